import Type, { type Static } from 'typebox';
import { levels } from './alarm.ts';
import { errorStatus } from './error.ts';
import {
  type HostColumn,
  type HostMetric,
  hostColumn,
  hostMetrics,
  maxPercent,
  meanColumnIds,
  type ProcessColumn,
  type ProcessColumnId,
  processColumn,
  processColumns,
  type RequiredColumnId,
} from './metric.ts';
import type { ProcessUsage } from './snapshot.ts';
import { aggregates, type MeanRow } from './store.ts';

/**
 * The wire: what PUT accepts and GET answers. These schemas validate, type the code and make the
 * OpenAPI document. Unknown fields are ignored in what comes in.
 */

/** Names longer than this are refused; Linux gives 15 bytes, Windows at most 260. */
const maxNameLength = 260;
/** More process names than this in one snapshot are refused. */
const maxProcesses = 5000;
const maxBytes = Number.MAX_SAFE_INTEGER;

const nullable = (minimum: number, maximum: number, description: string, type = 'number') =>
  Type.Unsafe<number | null>({ type: [type, 'null'], minimum, maximum, description });
const name = (description: string) => Type.String({ minLength: 1, maxLength: maxNameLength, description });
const instant = (description: string) => Type.String({ format: 'date-time', description });

/** As the catalogue has it; what may be unknown may be null. */
const fieldOf = ({ least, most, decimals, description }: ProcessColumn | HostColumn) =>
  nullable(least, most, description, decimals === 0 ? 'integer' : 'number');
const { count: countColumn, ...knownOrNot } = processColumns;
const usageFields: Record<string, Type.TSchema> = {
  ...mapValues(knownOrNot, fieldOf),
  count: Type.Integer({
    minimum: countColumn.least,
    maximum: countColumn.most,
    description: countColumn.description,
  }),
};
const isRequired = (id: string) => processColumn(id as ProcessColumnId).isRequired;
/** Of a body: what a sender may leave out is optional. */
const columnFields = (ofColumn: (field: Type.TSchema) => Type.TSchema) =>
  Object.fromEntries(
    Object.entries(usageFields).map(([id, field]) => [
      id,
      isRequired(id) ? ofColumn(field) : Type.Optional(ofColumn(field)),
    ]),
  );

const usageBody = Type.Object(
  { name: name('Process name.'), ...columnFields((field) => field) },
  { title: 'ProcessUsage' },
);

const columnsBody = Type.Object(
  {
    name: Type.Array(name('Process name.'), { maxItems: maxProcesses }),
    ...columnFields((field) => Type.Array(field, { maxItems: maxProcesses })),
  },
  { title: 'ProcessColumns', description: 'The same as equally long arrays: half the bytes.' },
);

/** A process as it comes in. */
export type ProcessUsageBody = Pick<ProcessUsage, 'name' | RequiredColumnId> & Partial<ProcessUsage>;
/** The columns of one snapshot as they come in: all of them equally long. */
export type ProcessColumnsBody = { [K in keyof ProcessUsageBody]: Exclude<ProcessUsageBody[K], undefined>[] };

/** `if/then/else` and not anyOf: the validator then says what is wrong with the branch that was meant. */
const arrayOr = <A, B>(whenArray: Type.TSchema, otherwise: Type.TSchema) =>
  Type.Unsafe<A | B>({
    type: ['array', 'object'],
    if: { type: 'array' },
    // biome-ignore lint/suspicious/noThenProperty: the JSON Schema keyword
    then: whenArray,
    else: otherwise,
  });

/** The figures of a host that its collector tells of, under `system` or `collector`. */
const hostFields = (group: 'system' | 'collector') =>
  Type.Object(
    Object.fromEntries(
      hostMetrics
        .filter((metric) => metric.startsWith(`${group}.`) && hostColumn(metric).by === 'collector')
        .map((metric) => [metric.slice(group.length + 1), Type.Optional(fieldOf(hostColumn(metric)))]),
    ),
  );

const snapshotBody = Type.Object(
  {
    host: name('Host name: with time, the identity of the snapshot.'),
    time: instant('When the sweep was made, by the clock of the host.'),
    ip: Type.Optional(Type.String({ maxLength: 64, description: "Default: the connection's address." })),
    interval: Type.Optional(
      Type.Number({ exclusiveMinimum: 0, maximum: 86_400, description: 'Seconds between snapshots. Default 10.' }),
    ),
    bootId: Type.Optional(Type.Union([Type.String({ maxLength: 64 }), Type.Null()])),
    cores: Type.Optional(nullable(0.001, 65_536, 'Usable cores; fractional under a cgroup quota.')),
    memoryBytes: Type.Optional(nullable(1, maxBytes, 'What 100 % of memory is.', 'integer')),
    limitedBy: Type.Optional(Type.Enum(['host', 'cgroup'], { description: 'Where cores and memoryBytes come from.' })),
    system: Type.Optional(hostFields('system')),
    collector: Type.Optional(hostFields('collector')),
    processes: arrayOr<ProcessUsageBody[], ProcessColumnsBody>(
      Type.Array(usageBody, { maxItems: maxProcesses }),
      columnsBody,
    ),
  },
  { title: 'Snapshot' },
);
/** What is told of a host: `null` is not known. */
type HostFigures<Group extends string> = {
  [K in HostMetric as K extends `${Group}.${infer Field}` ? Field : never]?: number | null;
};
export type SnapshotBody = Omit<Static<typeof snapshotBody>, 'system' | 'collector'> & {
  system?: HostFigures<'system'>;
  collector?: HostFigures<'collector'>;
};

/** One snapshot, or a backlog: an array of up to 100, together at most 1 MiB. */
export const usageBodySchema = arrayOr<SnapshotBody[], SnapshotBody>(
  Type.Array(snapshotBody, { minItems: 1, maxItems: 100 }),
  snapshotBody,
);

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
export type MetricsTakenAnswer = Static<typeof metricsTakenSchema>;

export const takenSchema = Type.Object(
  { stored: Type.Integer(), expired: Type.Integer({ description: 'Older than the retention: not stored.' }) },
  { title: 'Taken', description: 'All are settled, and these were too old to be stored.' },
);
export type TakenAnswer = Static<typeof takenSchema>;

export const expirySchema = Type.Object(
  {
    waiting: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: "Why nothing is forgotten now: this server's clock is in doubt. null: it is not.",
    }),
    oldestKept: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      format: 'date-time',
      description: 'What is older is forgotten; null: nothing is.',
    }),
    expiresItself: Type.Boolean({ description: 'InfluxDB: by its own clock and its own retention.' }),
  },
  { title: 'Expiry' },
);
export type ExpiryAnswer = Static<typeof expirySchema>;

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

const number = Type.Unsafe<number | null>({ type: ['number', 'null'] });
const integer = Type.Unsafe<number | null>({ type: ['integer', 'null'] });
const text = Type.Unsafe<string | null>({ type: ['string', 'null'] });
const optionalInstant = (description: string) =>
  Type.Unsafe<string | null>({ type: ['string', 'null'], format: 'date-time', description });
/** Any key at all: Type.Record makes a pattern of it, and a name with a newline in it does not match that. */
const recordOf = <T extends Type.TSchema>(value: T, description = '') =>
  Type.Unsafe<Record<string, Static<T>>>({ type: 'object', description, additionalProperties: value });
const windowFields = { from: instant('Exclusive.'), to: instant('Inclusive.') };

export const meanSchema = Type.Object(
  {
    ...windowFields,
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
export type DetailedAnswer = Static<typeof detailedSchema>;

export const hostSchema = Type.Object(
  {
    host: Type.String(),
    ip: text,
    lastSeen: instant('Of its newest snapshot.'),
    state: Type.Enum(['fresh', 'stale']),
    interval: Type.Number({ description: 'Seconds.' }),
    cores: number,
    memoryBytes: integer,
    limitedBy: Type.Enum(['host', 'cgroup']),
    bootId: text,
    system: recordOf(Type.Number()),
    collector: recordOf(Type.Number()),
  },
  { title: 'Host' },
);
export type HostAnswer = Static<typeof hostSchema>;
export const hostsSchema = Type.Object(
  {
    at: instant('Now.'),
    hosts: Type.Array(hostSchema),
    forgotten: Type.Array(Type.Object({ host: Type.String(), at: instant('When somebody said that it is gone.') })),
  },
  { title: 'Hosts' },
);
export type HostsAnswer = Static<typeof hostsSchema>;

export interface PredictionAnswer {
  probability: number;
  etaSeconds: number | null;
  intervalSeconds: number[] | null;
  notify: boolean;
}

const alarmSchema = Type.Object({
  id: Type.String(),
  level: Type.Enum(['RED', 'AMBER']),
  state: Type.Enum(['firing', 'stale']),
  host: Type.String(),
  ip: text,
  subject: Type.Object({
    kind: Type.Enum(['process', 'system', 'series'], { description: 'series: of another source.' }),
    name: Type.Optional(Type.String()),
    pid: Type.Optional(integer),
  }),
  metric: Type.String(),
  series: Type.String({ description: 'Its key, as selectors name it.' }),
  of: Type.Enum(['largest', 'group'], { description: 'Of a process: its largest instance, or all of the name.' }),
  basis: Type.Enum(['core', 'host'], { description: 'What 100 % of cpu is: one core, or all of the host.' }),
  value: Type.Number(),
  threshold: Type.Number(),
  since: instant('When the run over the threshold began; of AMBER, when it was first said.'),
  reason: Type.String(),
  prediction: Type.Unsafe<PredictionAnswer | null>({
    type: ['object', 'null'],
    description: 'Of AMBER: how likely the breach is within the horizon, and when it would come.',
    properties: {
      probability: { type: 'number' },
      etaSeconds: { type: ['number', 'null'], description: 'Seconds from the last forecast, at most a step ago.' },
      intervalSeconds: { type: ['array', 'null'], items: { type: 'number' } },
      notify: { type: 'boolean', description: 'Sure enough to wake somebody: the policy that puts precision first.' },
    },
  }),
  leadSeconds: Type.Unsafe<number | null>({
    type: ['number', 'null'],
    description: 'Of RED that was AMBER before: how much earlier.',
  }),
});
export type AlarmAnswer = Static<typeof alarmSchema>;

export const alarmsSchema = Type.Object(
  {
    at: instant('What the alarms are computed for.'),
    level: Type.Enum([...levels]),
    alarms: Type.Array(alarmSchema, { description: 'Worst first.' }),
    stale: Type.Array(Type.Object({ host: Type.String(), lastSeen: instant('Its newest snapshot.') })),
    nextStaleAt: optionalInstant('When the next host will be STALE if it says nothing more.'),
  },
  { title: 'Alarms' },
);
export type AlarmsAnswer = Static<typeof alarmsSchema>;

const subjectFields = {
  host: Type.String(),
  process: Type.Unsafe<string | null>({ type: ['string', 'null'], description: 'null: the host itself.' }),
  metric: Type.String(),
  series: Type.String({ description: 'The key of the series, as selectors name it.' }),
};
const optionalNumber = (description: string) => Type.Unsafe<number | null>({ type: ['number', 'null'], description });
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

const pointsSchema = Type.Array(Type.Object({ time: instant('Start of the step.'), value: Type.Number() }), {
  description: 'Of the steps that have a value, oldest first.',
});
const { series: keyOfSeries, ...olderSubject } = subjectFields;
export const seriesSchema = Type.Object(
  {
    ...windowFields,
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

/** RFC 9457. */
export const problemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.Enum(Object.keys(errorStatus)),
    detail: Type.String(),
  },
  { title: 'Problem' },
);

function mapValues<K extends string, T extends Type.TSchema, R extends Type.TSchema>(
  fields: Record<K, T>,
  map: (field: T) => R,
): Record<K, R> {
  return Object.fromEntries(Object.entries<T>(fields).map(([key, field]) => [key, map(field)])) as Record<K, R>;
}
