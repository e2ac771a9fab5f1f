import Type, { type Static } from 'typebox';
import { levels } from './alarm.ts';
import { errorStatus } from './error.ts';

/**
 * The wire: what PUT accepts and GET answers. These schemas validate, type the code and make the
 * OpenAPI document. Unknown fields are ignored in what comes in.
 */

/** Names longer than this are refused; Linux gives 15 bytes, Windows at most 260. */
const maxNameLength = 260;
/** More process names than this in one snapshot are refused. */
const maxProcesses = 5000;
/** A percentage no machine reaches: what is above is a bug in the sender. */
export const maxPercent = 1_000_000;
const maxBytes = Number.MAX_SAFE_INTEGER;

const nullable = (minimum: number, maximum: number, description: string, type = 'number') =>
  Type.Unsafe<number | null>({ type: [type, 'null'], minimum, maximum, description });
const name = (description: string) => Type.String({ minLength: 1, maxLength: maxNameLength, description });
const instant = (description: string) => Type.String({ format: 'date-time', description });

const usageFields = {
  count: Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'Instances of this name. Default 1.' }),
  cpu: nullable(0, maxPercent, 'Percent of ONE core, summed over the instances. null: not known.'),
  cpuMax: nullable(0, maxPercent, 'Percent of one core of the largest instance. Default: cpu.'),
  memory: nullable(0, maxPercent, "RSS as percent of the host's memory, summed over the instances."),
  memoryMax: nullable(0, maxPercent, 'The same of the largest instance. Default: memory.'),
  rssBytes: nullable(0, maxBytes, 'Resident bytes, summed.', 'integer'),
  pid: nullable(0, 4_294_967_294, 'Of the largest instance.', 'integer'),
};
const { cpu, memory, ...optionalUsage } = usageFields;

const usageBody = Type.Object(
  { name: name('Process name.'), cpu, memory, ...mapValues(optionalUsage, Type.Optional) },
  { title: 'ProcessUsage' },
);

const column = (items: Type.TSchema) => Type.Array(items, { maxItems: maxProcesses });
const columnsBody = Type.Object(
  {
    name: Type.Array(name('Process name.'), { maxItems: maxProcesses }),
    cpu: column(cpu),
    memory: column(memory),
    ...mapValues(optionalUsage, (field) => Type.Optional(column(field))),
  },
  { title: 'ProcessColumns', description: 'The same as equally long arrays: half the bytes.' },
);
/** The columns of one snapshot as they come in: all of them equally long. */
export interface ProcessColumnsBody {
  name: string[];
  cpu: (number | null)[];
  memory: (number | null)[];
  count?: number[];
  cpuMax?: (number | null)[];
  memoryMax?: (number | null)[];
  rssBytes?: (number | null)[];
  pid?: (number | null)[];
}
export type ProcessUsageBody = Static<typeof usageBody>;

/** `if/then/else` and not anyOf: the validator then says what is wrong with the branch that was meant. */
const arrayOr = <A, B>(whenArray: Type.TSchema, otherwise: Type.TSchema) =>
  Type.Unsafe<A | B>({
    type: ['array', 'object'],
    if: { type: 'array' },
    // biome-ignore lint/suspicious/noThenProperty: the JSON Schema keyword
    then: whenArray,
    else: otherwise,
  });

const percent = (description: string) => Type.Optional(nullable(0, maxPercent, description));

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
    system: Type.Optional(
      Type.Object({
        cpu: percent('Busy time, 0-100 of the host.'),
        memory: percent('Used memory, 0-100.'),
        swap: percent('Used swap, 0-100.'),
        disk: percent('Used space of /, 0-100.'),
        load1: percent('Load average of one minute.'),
        temperature: Type.Optional(nullable(-273, 1000, 'Degrees Celsius.')),
      }),
    ),
    collector: Type.Optional(
      Type.Object({
        cpu: percent("The collector's own CPU, percent of one core."),
        memoryBytes: Type.Optional(nullable(0, maxBytes, "The collector's own RSS.", 'integer')),
        sweepMs: Type.Optional(nullable(0, maxPercent, 'How long the sweep took.')),
      }),
    ),
    processes: arrayOr<ProcessUsageBody[], ProcessColumnsBody>(
      Type.Array(usageBody, { maxItems: maxProcesses }),
      columnsBody,
    ),
  },
  { title: 'Snapshot' },
);
export type SnapshotBody = Static<typeof snapshotBody>;

/** One snapshot, or a backlog: an array of up to 100, together at most 1 MiB. */
export const usageBodySchema = arrayOr<SnapshotBody[], SnapshotBody>(
  Type.Array(snapshotBody, { minItems: 1, maxItems: 100 }),
  snapshotBody,
);

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
/** Any key at all: Type.Record makes a pattern of it, and a name with a newline in it does not match that. */
const recordOf = <T extends Type.TSchema>(value: T, description = '') =>
  Type.Unsafe<Record<string, Static<T>>>({ type: 'object', description, additionalProperties: value });
const windowFields = { from: instant('Exclusive.'), to: instant('Inclusive.') };

export const meanSchema = Type.Object(
  {
    ...windowFields,
    processes: recordOf(
      Type.Object({
        cpu: number,
        memory: number,
        cpuMax: number,
        memoryMax: number,
        count: Type.Number(),
        hosts: Type.Integer(),
        snapshots: Type.Integer(),
      }),
      'By process name, highest mean CPU first.',
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
        Type.Object({
          host: Type.String(),
          time: instant('Of the snapshot.'),
          cpu: number,
          memory: number,
          cpuMax: number,
          memoryMax: number,
          count: Type.Integer(),
          pid: integer,
          rssBytes: integer,
        }),
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
export const hostsSchema = Type.Object({ at: instant('Now.'), hosts: Type.Array(hostSchema) }, { title: 'Hosts' });
export type HostsAnswer = Static<typeof hostsSchema>;

const alarmSchema = Type.Object({
  id: Type.String(),
  level: Type.Enum(['RED', 'AMBER']),
  state: Type.Enum(['firing', 'stale']),
  host: Type.String(),
  ip: text,
  subject: Type.Object({
    kind: Type.Enum(['process', 'system']),
    name: Type.Optional(Type.String()),
    pid: Type.Optional(integer),
  }),
  metric: Type.String(),
  value: Type.Number(),
  threshold: Type.Number(),
  since: instant('When the run over the threshold began.'),
  reason: Type.String(),
  prediction: Type.Unsafe<{
    probability: number;
    etaSeconds: number | null;
    intervalSeconds: number[] | null;
  } | null>({
    type: ['object', 'null'],
    properties: {
      probability: { type: 'number' },
      etaSeconds: { type: ['number', 'null'] },
      intervalSeconds: { type: ['array', 'null'], items: { type: 'number' } },
    },
  }),
});
export type AlarmAnswer = Static<typeof alarmSchema>;

export const alarmsSchema = Type.Object(
  {
    at: instant('What the alarms are computed for.'),
    level: Type.Enum([...levels]),
    alarms: Type.Array(alarmSchema, { description: 'Worst first.' }),
    stale: Type.Array(Type.Object({ host: Type.String(), lastSeen: instant('Its newest snapshot.') })),
  },
  { title: 'Alarms' },
);
export type AlarmsAnswer = Static<typeof alarmsSchema>;

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
