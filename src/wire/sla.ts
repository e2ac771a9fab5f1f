import Type, { type Static } from 'typebox';
import { instant, number, optionalInstant, optionalNumber, windowFields } from './fields.ts';

/** What is promised, and how it was kept. */

/** `status` is that of all. */
export const slaIdPattern = '^(?!status$)[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}$';

const definitionFields = {
  selector: Type.String({ minLength: 1, description: 'The series, all of which are to be in the range.' }),
  objective: Type.Number({ exclusiveMinimum: 0, maximum: 100, description: 'Percent of the time.' }),
};

export const slaBodySchema = Type.Object(
  {
    ...definitionFields,
    min: Type.Optional(Type.Unsafe<number | null>({ type: ['number', 'null'], description: 'Absent or null: any.' })),
    max: Type.Optional(Type.Unsafe<number | null>({ type: ['number', 'null'], description: 'Absent or null: any.' })),
    windows: Type.Optional(
      Type.Array(Type.String(), { description: 'Over which it is told; default: 1h, 3h, 12h.', maxItems: 10 }),
    ),
  },
  { title: 'SlaDefinition', additionalProperties: false },
);

const versionSchema = Type.Object({
  since: optionalInstant('From when on it is in force; null: also for all of the past.'),
  ...definitionFields,
  min: number,
  max: number,
  windows: Type.Array(Type.String()),
});

export const slaSchema = Type.Object(
  {
    id: Type.String(),
    ...versionSchema.properties,
    versions: Type.Array(versionSchema, { description: 'What it was before too, oldest first.' }),
  },
  { title: 'Sla' },
);
export type SlaAnswer = Static<typeof slaSchema>;

export const slasSchema = Type.Object({ slas: Type.Array(slaSchema, { description: 'By id.' }) }, { title: 'Slas' });
export type SlasAnswer = Static<typeof slasSchema>;

const violationFields = {
  series: Type.String(),
  from: instant('When it began, or the window.'),
  to: instant('When it ended; the end of the window where it is open.'),
  durationSeconds: Type.Number(),
  side: Type.Enum(['above', 'below']),
  worst: Type.Number({ description: 'The value farthest from the range.' }),
};

export const violationsSchema = Type.Object(
  {
    id: Type.String(),
    ...windowFields,
    violations: Type.Array(Type.Object(violationFields), { description: 'Oldest first.' }),
  },
  { title: 'SlaViolations' },
);
export type ViolationsAnswer = Static<typeof violationsSchema>;

const windowStatusSchema = Type.Object({
  window: Type.String(),
  ...windowFields,
  violations: Type.Integer(),
  violatedSeconds: Type.Number({ description: 'In which at least one series was out of the range.' }),
  coverage: Type.Number({ description: 'Share of the window of which something is known: 0 to 1.' }),
  compliance: Type.Unsafe<number | null>({
    type: ['number', 'null'],
    description: 'Percent of the known time within the range; null: nothing is known.',
  }),
  met: Type.Unsafe<boolean | null>({ type: ['boolean', 'null'] }),
  budgetSeconds: Type.Number({ description: 'Violation that the objective allows in the window.' }),
  budgetLeftSeconds: Type.Number({ description: 'Below 0: more than that.' }),
  budgetUsedUpAt: optionalInstant('At this pace; null: never.'),
});

export const slaStatusSchema = Type.Object(
  {
    at: instant('Of the end of the windows.'),
    slas: Type.Array(
      Type.Object({
        id: Type.String(),
        objective: Type.Number(),
        violated: Type.Unsafe<boolean | null>({
          type: ['boolean', 'null'],
          description: 'Whether a series is out of the range now; null: nothing is known.',
        }),
        windows: Type.Array(windowStatusSchema),
        problem: Type.Unsafe<string | null>({
          type: ['string', 'null'],
          description: 'Why it could not be told; then there are no windows.',
        }),
      }),
      { description: 'By id.' },
    ),
  },
  { title: 'SlaStatus' },
);
export type SlaStatusAnswer = Static<typeof slaStatusSchema>;

const passingFields = {
  series: Type.String(),
  side: Type.Enum(['above', 'below'], { description: 'Of the end of the range that it may pass.' }),
  limit: Type.Number({ description: 'That end.' }),
  value: Type.Number({ description: 'Mean of the newest step.' }),
  violated: Type.Boolean({ description: 'It is out of the range there already.' }),
};
const likelyFields = {
  etaSeconds: optionalNumber('When, if it comes within the horizon, in seconds after `at`: the median.'),
  intervalSeconds: Type.Unsafe<number[] | null>({
    type: ['array', 'null'],
    items: { type: 'number' },
    description: 'Eight in ten lie between the two.',
  }),
  reason: Type.String(),
};

export const slaPredictionsSchema = Type.Object(
  {
    id: Type.String(),
    at: optionalInstant('End of the step they are of; null: none has ended since the SLA was defined.'),
    horizonSeconds: Type.Number({ description: 'How far ahead.' }),
    problem: Type.Unsafe<string | null>({ type: ['string', 'null'], description: 'Why nothing is predicted.' }),
    predictions: Type.Array(
      Type.Object({
        ...passingFields,
        probability: optionalNumber(
          'Of a violation within the horizon; null: there is one, or the series is too young.',
        ),
        ...likelyFields,
      }),
      { description: 'Of each series at each end of the range, most likely first.' },
    ),
    budgets: Type.Array(
      Type.Object({
        window: Type.String(),
        probability: Type.Number({ description: 'That the error budget is used up within the horizon.' }),
        ...likelyFields,
      }),
      { description: 'What is AMBER where it is likely enough.' },
    ),
  },
  { title: 'SlaPredictions' },
);
export type SlaPredictionsAnswer = Static<typeof slaPredictionsSchema>;
