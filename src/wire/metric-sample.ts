import Type, { type Static } from 'typebox';
import { arrayOr, instant } from './fields.ts';

const metricBody = Type.Object(
  {
    name: Type.String({
      pattern: '^[a-zA-Z_:][a-zA-Z0-9_:]*$',
      maxLength: 200,
      description: 'Letters, digits, _ and :, as Prometheus has it.',
    }),
    labels: Type.Optional(
      Type.Unsafe<Record<string, string>>({
        type: 'object',
        // Those that begin with two underscores are Prometheus' own.
        propertyNames: { type: 'string', pattern: '^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$', maxLength: 100 },
        additionalProperties: { type: 'string', maxLength: 500 },
        maxProperties: 30,
        description: 'What the series is told apart by. host= and source= say whose it is.',
      }),
    ),
    kind: Type.Optional(
      Type.Enum(['gauge', 'counter'], {
        description: 'A counter only ever grows: what is told of it is by how much, in a second. Default gauge.',
      }),
    ),
    // Sums and differences of these are numbers too.
    value: Type.Number({ minimum: -1e300, maximum: 1e300 }),
    time: Type.Optional(instant('When it was measured. Default: now.')),
  },
  { title: 'MetricSample' },
);
export type MetricBody = Static<typeof metricBody>;

/** One sample, or up to 5,000, together at most 1 MiB. */
export const metricsBodySchema = arrayOr<MetricBody[], MetricBody>(
  Type.Array(metricBody, { minItems: 1, maxItems: 5000 }),
  metricBody,
);

export const metricsTakenSchema = Type.Object(
  {
    stored: Type.Integer(),
    expired: Type.Integer({ description: 'Older than the retention: not stored.' }),
    beyondBudget: Type.Integer({
      description: 'Of new series, beyond what their host or source may bring along in a day: not stored.',
    }),
  },
  { title: 'MetricsTaken', description: 'All are settled, and some were not stored.' },
);
