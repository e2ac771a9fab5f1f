import Type, { type Static } from 'typebox';
import { maxPercent } from '../core/metric.ts';
import { maxNameLength } from './fields.ts';

/** The older REST clients' body: one entry per process instance and metric. */
export const resourcesBodySchema = Type.Object({
  ipaddress: Type.String({ minLength: 1, maxLength: 64 }),
  data: Type.Array(
    Type.Object({
      timestamp: Type.Number({ minimum: 0, maximum: 7_258_118_400, description: 'Unix seconds.' }),
      value: Type.Number({ minimum: 0, maximum: maxPercent }),
      process_name: Type.Unsafe<string | null>({ type: ['string', 'null'], maxLength: maxNameLength }),
      type_data: Type.Enum(['cpu', 'mem']),
    }),
    { minItems: 1, maxItems: 20_000 },
  ),
});
export type ResourcesBody = Static<typeof resourcesBodySchema>;
