import Type, { type Static } from 'typebox';
import { aggregates } from '../core/store.ts';
import { instant, recordOf, resolutionField, windowFields } from './fields.ts';
import { subjectFields } from './forecast.ts';

const pointsSchema = Type.Array(Type.Object({ time: instant('Start of the step.'), value: Type.Number() }), {
  description: 'Of the steps that have a value, oldest first.',
});
const { series: keyOfSeries, ...olderSubject } = subjectFields;
export const seriesSchema = Type.Object(
  {
    ...windowFields,
    resolution: resolutionField,
    stepSeconds: Type.Number(),
    aggregate: Type.Enum([...aggregates], { description: 'What is told of a step.' }),
    series: Type.Array(
      Type.Object({
        series: keyOfSeries,
        metric: Type.String(),
        labels: recordOf(Type.String()),
        points: pointsSchema,
      }),
      { description: 'By key.' },
    ),
    host: Type.Optional(olderSubject.host),
    process: Type.Optional(olderSubject.process),
    metric: Type.Optional(olderSubject.metric),
    points: Type.Optional(pointsSchema),
  },
  {
    title: 'Series',
    description: 'host, process, metric and points only where the series was asked for by these; of that one series.',
  },
);
export type SeriesAnswer = Omit<Static<typeof seriesSchema>, 'process'> & { process?: string | null };

export const analysisSchema = Type.Object(
  {
    ...windowFields,
    ...subjectFields,
    stepSeconds: Type.Number(),
    points: Type.Integer({ description: 'Steps from the first to the last value.' }),
    missing: Type.Integer({ description: 'Of these without a value; taken for the one before.' }),
    autocorrelation: Type.Array(Type.Number(), { description: 'At lags 0, 1, 2, ... steps.' }),
    stationarity: Type.Unsafe<{
      statistic: number;
      pValue: number;
      lags: number;
      critical: Record<string, number>;
    } | null>({
      type: ['object', 'null'],
      description:
        'Augmented Dickey-Fuller test with a constant; a small p-value: stationary. null: constant or too short.',
      properties: {
        statistic: { type: 'number' },
        pValue: { type: 'number' },
        lags: { type: 'integer', description: 'Chosen by the least AIC.' },
        critical: { type: 'object', additionalProperties: { type: 'number' }, description: 'By significance level.' },
      },
    }),
    period: Type.Unsafe<{ seconds: number; correlation: number } | null>({
      type: ['object', 'null'],
      description: 'The lag at which the series is most like itself; null: none found.',
      properties: { seconds: { type: 'number' }, correlation: { type: 'number' } },
    }),
    decomposition: Type.Unsafe<{ trend: (number | null)[]; seasonal: number[]; residual: (number | null)[] } | null>({
      type: ['object', 'null'],
      description: 'Additive, by moving averages over the period found; null where there is none.',
      properties: {
        trend: { type: 'array', items: { type: ['number', 'null'] } },
        seasonal: { type: 'array', items: { type: 'number' } },
        residual: { type: 'array', items: { type: ['number', 'null'] } },
      },
    }),
  },
  { title: 'Analysis' },
);
export type AnalysisAnswer = Static<typeof analysisSchema>;
