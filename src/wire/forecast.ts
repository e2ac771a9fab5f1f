import Type, { type Static } from 'typebox';
import { instant, number, optionalInstant, optionalNumber, windowFields } from './fields.ts';

export const subjectFields = {
  host: Type.String(),
  process: Type.Unsafe<string | null>({ type: ['string', 'null'], description: 'null: the host itself.' }),
  metric: Type.String(),
  series: Type.String({ description: 'The key of the series, as selectors name it.' }),
};
const horizonFields = {
  horizonSeconds: Type.Number({ description: 'How far ahead.' }),
  stepSeconds: Type.Number({ description: 'How often; a value is the mean over so long.' }),
};

export const forecastsSchema = Type.Object(
  {
    at: instant('What the forecasts are of.'),
    ...horizonFields,
    forecasts: Type.Array(
      Type.Object({
        ...subjectFields,
        time: instant('End of the step.'),
        value: Type.Number(),
        threshold: Type.Number(),
        probability: optionalNumber('Of going over the threshold within the horizon; null: over it, or too young.'),
        amberSince: optionalInstant('Since when it is AMBER.'),
        notifySince: optionalInstant('The same by the policy that puts precision first.'),
        muted: Type.Boolean({ description: 'Not shown: its own record is too bad.' }),
        etaSeconds: optionalNumber(
          'When it would go over if it does within the horizon, in seconds after `time`: the median.',
        ),
        intervalSeconds: Type.Unsafe<number[] | null>({
          type: ['array', 'null'],
          items: { type: 'number' },
          description: 'Eight in ten breaches that come within the horizon come between the two.',
        }),
        reason: Type.String(),
      }),
      { description: 'Most likely first.' },
    ),
  },
  { title: 'Forecasts' },
);
export type ForecastsAnswer = Static<typeof forecastsSchema>;

const accuracyFields = {
  predictions: Type.Integer({ description: 'Whose horizon has passed.' }),
  breaches: Type.Integer({ description: 'That could have been warned of.' }),
  warned: Type.Integer({ description: 'Breaches that an AMBER came before.' }),
  unforeseeable: Type.Integer({
    description: 'Breaches of series too new for a prediction; they count in nothing else.',
  }),
  alarms: Type.Integer({ description: 'AMBER alarms; a stretch is one, and one more for each further horizon.' }),
  falseAlarms: Type.Integer({ description: 'Of these, not followed by a breach within a horizon of their start.' }),
  pointedAt: Type.Integer({ description: 'Breaches that the others pointed at.' }),
  precision: optionalNumber('Breaches pointed at / (breaches pointed at + false alarms).'),
  recall: optionalNumber('Share of the breaches warned of.'),
  f1: number,
  brier: optionalNumber('Mean squared error of the probability.'),
  brierSkill: optionalNumber('1: perfect, 0: no better than the mean.'),
  medianLeadSeconds: number,
  etaErrorSeconds: optionalNumber('Mean distance of the time said from the breach, where one came within the horizon.'),
  intervalShare: optionalNumber('Share of these breaches that came within the interval said; it means to hold 0.8.'),
  falseAlarmsPerDay: number,
};

export const accuracySchema = Type.Object(
  {
    ...windowFields,
    ...horizonFields,
    overall: Type.Object(accuracyFields),
    series: Type.Array(Type.Object({ ...subjectFields, muted: Type.Boolean(), ...accuracyFields }), {
      description: 'Most alarms first.',
    }),
  },
  { title: 'Accuracy' },
);
export type AccuracyAnswer = Static<typeof accuracySchema>;

const bandSchema = Type.Object({
  expected: Type.Number({ description: 'The median of what may come.' }),
  low: Type.Number({ description: 'One in ten lies below.' }),
  high: Type.Number({ description: 'One in ten lies above.' }),
});

export const seriesForecastsSchema = Type.Object(
  {
    at: instant('End of the newest step that they are made of.'),
    ...horizonFields,
    series: Type.Array(
      Type.Object({
        ...subjectFields,
        problem: Type.Unsafe<string | null>({
          type: ['string', 'null'],
          description: 'Why there are no steps.',
        }),
        steps: Type.Array(
          Type.Object({
            time: instant('End of the step.'),
            mean: bandSchema,
            min: bandSchema,
            max: bandSchema,
          }),
          { description: 'Mean, lowest and highest value of each step to come.' },
        ),
      }),
      { description: 'By series.' },
    ),
  },
  { title: 'SeriesForecasts' },
);
export type SeriesForecastsAnswer = Static<typeof seriesForecastsSchema>;
