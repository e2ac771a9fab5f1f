import Type, { type Static } from 'typebox';
import { meanColumnIds, processColumns } from '../core/metric.ts';
import type { ProcessUsage } from '../core/snapshot.ts';
import type { MeanRow } from '../core/store.ts';
import { instant, integer, mapValues, number, recordOf, resolutionField, windowFields } from './fields.ts';

export const meanSchema = Type.Object(
  {
    ...windowFields,
    resolution: resolutionField,
    processes: recordOf(
      Type.Unsafe<Omit<MeanRow, 'name'>>(
        Type.Object({
          ...Object.fromEntries(meanColumnIds.map((id) => [id, id === 'count' ? Type.Number() : number])),
          hosts: Type.Integer(),
          snapshots: Type.Integer(),
        }),
      ),
      'By process name, in no order to rely on: sort by what you want, or ask for the highest with top=.',
    ),
  },
  { title: 'Mean' },
);
export type MeanAnswer = Static<typeof meanSchema>;

export const detailedSchema = Type.Object(
  {
    ...windowFields,
    processes: recordOf(
      Type.Array(
        Type.Unsafe<Omit<ProcessUsage, 'name'> & { host: string; time: string }>(
          Type.Object({
            host: Type.String(),
            time: instant('Of the snapshot.'),
            ...mapValues(processColumns, ({ decimals }) => (decimals === 0 ? integer : number)),
          }),
        ),
      ),
      'By process name, oldest first.',
    ),
    next: Type.Unsafe<string | null>({ type: ['string', 'null'], description: 'Pass as cursor= for the next page.' }),
  },
  { title: 'Detailed' },
);
export const detailedColumnsSchema = Type.Object(
  {
    ...windowFields,
    host: Type.Array(Type.String()),
    process: Type.Array(Type.String()),
    time: Type.Array(instant('Of the snapshot.')),
    ...mapValues(processColumns, ({ decimals }) => Type.Array(decimals === 0 ? integer : number)),
    next: Type.Unsafe<string | null>({ type: ['string', 'null'], description: 'Pass as cursor= for the next page.' }),
  },
  { title: 'DetailedColumns', description: 'Equally long arrays: the rows, oldest first, then by host and process.' },
);
export type DetailedAnswer = Static<typeof detailedSchema>;
