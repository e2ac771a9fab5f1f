import Type, { type Static } from 'typebox';
import { percentileNames } from '../core/statistics.ts';
import { instant, number, optionalNumber, recordOf, resolutionField, windowFields } from './fields.ts';

export const statisticsSchema = Type.Object(
  {
    at: instant('Up to when.'),
    selector: Type.String(),
    by: Type.Unsafe<string[] | null>({
      type: ['array', 'null'],
      items: { type: 'string' },
      description: 'Labels by which series are taken together; null: each by itself.',
    }),
    windows: Type.Array(
      Type.Object({
        window: Type.String(),
        ...windowFields,
        resolution: resolutionField,
        percentileError: Type.Number({
          description:
            'How far a percentile may be off, as a share of it. 0: of the samples themselves, by linear interpolation; else by buckets.',
        }),
        found: Type.Integer({ description: 'How many there are, also beyond top=.' }),
        statistics: Type.Array(
          Type.Object({
            labels: recordOf(Type.String()),
            count: Type.Integer({ description: 'Values that are known.' }),
            min: Type.Number(),
            max: Type.Number(),
            mean: Type.Number(),
            deviation: optionalNumber('The standard deviation of all of them, not that of a sample.'),
            ...Object.fromEntries(percentileNames.map((name) => [name, number])),
          }),
          { description: 'Highest mean first. A percentile is null where only roll-ups without buckets are left.' },
        ),
      }),
    ),
  },
  { title: 'Statistics' },
);
export type StatisticsBody = Static<typeof statisticsSchema>;
