/**
 * The catalogue: everything that is measured, once. A family is columns that arrive together under the same labels:
 * `process` (labels host and process), `host` (label host), and `metric` (any labels, one value: for other sources).
 * Tables, packing, fields, schemas, names for Prometheus and the table in docs/METRICS.md come from here.
 */

/** What a value counts. Percent of CPU are of ONE core; of a host they are of the whole host. */
export type Unit =
  | 'percent'
  | 'percentOfCore'
  | 'bytes'
  | 'bytesPerSecond'
  | 'milliseconds'
  | 'seconds'
  | 'epochMilliseconds'
  | 'celsius'
  | 'load'
  | 'count'
  | 'none';

interface Column {
  unit: Unit;
  /** `counter`: only ever grows; `identity`: a number that names something, and is never added or averaged. */
  kind: 'gauge' | 'counter' | 'identity';
  /** The smallest and the largest value that is taken; what is beyond is a bug in the sender. */
  least: number;
  most: number;
  /** Kept to so many decimals, so that every store can return exactly what it was given. */
  decimals: 0 | 3;
  /** What it cannot exceed: a line at or over it is never crossed. */
  ceiling?: number;
  /** What it is, for the schema and the documentation. */
  description: string;
}

/** One figure of a process name in a snapshot. */
export interface ProcessColumn extends Column {
  /** What of each instance is added up, and how; absent: not measured of each (`count`, `pid`). */
  instances?: { of: string; add: 'sum' | 'max' };
  /** How it is summed up over time, in means; absent: it is not. */
  overTime?: 'mean' | 'peak';
  /** A sender has to say it; others may leave it out. */
  isRequired?: true;
  /** Taken instead where a sender says nothing of it; absent: not known. */
  insteadOfMissing?: string;
  /** What thresholds call it, and whether it is that of the largest instance or of all of the name; absent: it may have none. */
  threshold?: { metric: string; of: 'largest' | 'group' };
  /** Of the newest snapshot in GET /metrics. */
  isExposed?: true;
  /** The first version of the DuckDB file that has it: columns are added at the end. */
  since: number;
}

/** One figure of a host in a snapshot. */
export interface HostColumn extends Column {
  /** Where it stands in the stored list: never given to another. */
  place: number;
  /** Whether the collector says it, or the server measures it as the snapshot comes. */
  by: 'collector' | 'server';
}

/** A percentage no machine reaches: what is above is a bug in the sender. */
export const maxPercent = 1_000_000;
const maxInteger = Number.MAX_SAFE_INTEGER;

const percentOf = { kind: 'gauge', least: 0, most: maxPercent, decimals: 3 } as const;
const wholeOf = { kind: 'gauge', least: 0, most: maxInteger, decimals: 0 } as const;

/** In the order of the tables. */
export const processColumns = {
  cpu: {
    ...percentOf,
    unit: 'percentOfCore',
    description: 'Percent of ONE core, summed over the instances.',
    instances: { of: 'cpu', add: 'sum' },
    overTime: 'mean',
    isRequired: true,
    threshold: { metric: 'cpu', of: 'group' },
    isExposed: true,
    since: 1,
  },
  cpuMax: {
    ...percentOf,
    unit: 'percentOfCore',
    description: 'Percent of one core of the largest instance. Default: cpu.',
    instances: { of: 'cpu', add: 'max' },
    overTime: 'peak',
    insteadOfMissing: 'cpu',
    threshold: { metric: 'cpu', of: 'largest' },
    since: 1,
  },
  memory: {
    ...percentOf,
    unit: 'percent',
    description: "RSS as percent of the host's memory, summed over the instances.",
    instances: { of: 'memory', add: 'sum' },
    overTime: 'mean',
    isRequired: true,
    threshold: { metric: 'memory', of: 'group' },
    isExposed: true,
    since: 1,
  },
  memoryMax: {
    ...percentOf,
    unit: 'percent',
    ceiling: 100,
    description: 'The same of the largest instance. Default: memory.',
    instances: { of: 'memory', add: 'max' },
    overTime: 'peak',
    insteadOfMissing: 'memory',
    threshold: { metric: 'memory', of: 'largest' },
    since: 1,
  },
  rssBytes: {
    ...wholeOf,
    unit: 'bytes',
    description: 'Resident bytes, summed.',
    instances: { of: 'rssBytes', add: 'sum' },
    isExposed: true,
    since: 1,
  },
  count: {
    ...wholeOf,
    unit: 'count',
    least: 1,
    most: 1_000_000,
    description: 'Instances of this name. Default 1.',
    overTime: 'mean',
    since: 1,
  },
  pid: {
    ...wholeOf,
    unit: 'none',
    kind: 'identity',
    most: 4_294_967_294,
    description: 'Of the largest instance.',
    since: 1,
  },
  threads: {
    ...wholeOf,
    unit: 'count',
    most: 100_000_000,
    description: 'Threads, summed over the instances.',
    instances: { of: 'threads', add: 'sum' },
    overTime: 'mean',
    threshold: { metric: 'threads', of: 'group' },
    isExposed: true,
    since: 4,
  },
  ioReadBytesPerSecond: {
    ...wholeOf,
    unit: 'bytesPerSecond',
    description: 'Bytes read from disks in a second, summed; with --io, and of what this user may see.',
    instances: { of: 'ioReadBytesPerSecond', add: 'sum' },
    overTime: 'mean',
    threshold: { metric: 'ioReadBytesPerSecond', of: 'group' },
    isExposed: true,
    since: 4,
  },
  ioWriteBytesPerSecond: {
    ...wholeOf,
    unit: 'bytesPerSecond',
    description: 'The same written.',
    instances: { of: 'ioWriteBytesPerSecond', add: 'sum' },
    overTime: 'mean',
    threshold: { metric: 'ioWriteBytesPerSecond', of: 'group' },
    isExposed: true,
    since: 4,
  },
} as const satisfies Record<string, ProcessColumn>;

export type ProcessColumnId = keyof typeof processColumns;
export const processColumnIds = Object.keys(processColumns) as ProcessColumnId[];

const system = { ...percentOf, unit: 'percent', by: 'collector' } as const;
const account = { ...wholeOf, unit: 'count', kind: 'counter', by: 'collector' } as const;

export const hostColumns = {
  'system.cpu': { ...system, place: 0, ceiling: 100, description: 'Busy time, 0-100 of the host.' },
  'system.memory': { ...system, place: 1, ceiling: 100, description: 'Used memory, 0-100.' },
  'system.swap': { ...system, place: 2, ceiling: 100, description: 'Used swap, 0-100.' },
  'system.disk': { ...system, place: 3, ceiling: 100, description: 'Used space of /, 0-100.' },
  'system.load1': { ...system, place: 4, unit: 'load', description: 'Load average of one minute.' },
  'system.temperature': {
    ...system,
    place: 5,
    unit: 'celsius',
    least: -273,
    most: 1000,
    description: 'Degrees Celsius.',
  },
  'collector.cpu': {
    ...system,
    place: 6,
    unit: 'percentOfCore',
    description: "The collector's own CPU, percent of one core.",
  },
  'collector.memoryBytes': {
    ...wholeOf,
    by: 'collector',
    place: 7,
    unit: 'bytes',
    description: "The collector's own RSS.",
  },
  'collector.sweepMs': { ...system, place: 8, unit: 'milliseconds', description: 'How long the sweep took.' },
  'collector.taken': {
    ...account,
    place: 9,
    description: 'Snapshots taken so far: stored + expired + dropped + quarantined + spooled.',
  },
  'collector.stored': { ...account, place: 10, description: 'Of these stored.' },
  'collector.dropped': { ...account, place: 11, description: 'Of these lost to the limits of the spool.' },
  'collector.quarantined': { ...account, place: 12, description: 'Of these refused, or damaged in the spool.' },
  'collector.spooled': { ...account, place: 13, kind: 'gauge', description: 'Of these waiting, this one included.' },
  'collector.gapFromMs': {
    ...account,
    place: 14,
    kind: 'identity',
    unit: 'epochMilliseconds',
    description: 'First instant of the last stretch dropped, epoch milliseconds.',
  },
  'collector.gapToMs': {
    ...account,
    place: 15,
    kind: 'identity',
    unit: 'epochMilliseconds',
    description: 'Last instant of it.',
  },
  'collector.clockSkewSeconds': {
    ...wholeOf,
    by: 'server',
    place: 16,
    unit: 'seconds',
    least: -maxInteger,
    description: "By how much the host's clock is ahead of the server's; negative: behind.",
  },
  'collector.expired': { ...account, place: 17, description: 'Of these older than the server keeps when they came.' },
  'collector.clockSkewSinceMs': {
    ...wholeOf,
    by: 'server',
    place: 18,
    kind: 'identity',
    unit: 'epochMilliseconds',
    description: 'Since when that is more than is right.',
  },
  'collector.foldedNames': {
    ...wholeOf,
    by: 'server',
    place: 19,
    unit: 'count',
    description: 'How many names of the snapshot are counted in `__other__`.',
  },
  'collector.foldedSinceMs': {
    ...wholeOf,
    by: 'server',
    place: 20,
    kind: 'identity',
    unit: 'epochMilliseconds',
    description: 'Since when names are, today.',
  },
  'collector.paused': {
    ...wholeOf,
    by: 'collector',
    place: 21,
    unit: 'count',
    most: 1,
    description: '1: it was told to pause, and only says that it lives. Without it: it is not paused.',
  },
  'collector.mapped': {
    ...wholeOf,
    by: 'server',
    place: 22,
    unit: 'count',
    most: 1,
    description: '1: no collector has said it, but series of others that a mapping takes for it.',
  },
} as const satisfies Record<string, HostColumn>;

export type HostMetric = keyof typeof hostColumns;
export const hostMetrics = Object.keys(hostColumns) as HostMetric[];

/** `memoryMax` -> `memory_max`, `system.load1` -> `system_load1`: what databases and Prometheus call it. */
export function snakeCase(id: string): string {
  return id.replace('.', '_').replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The column of a family without its exact type: what code that serves all of them works with. */
export function processColumn(id: ProcessColumnId): ProcessColumn {
  return processColumns[id];
}

export function hostColumn(id: HostMetric): HostColumn {
  return hostColumns[id];
}

type ColumnWith<Property extends keyof ProcessColumn> = {
  [K in ProcessColumnId]: (typeof processColumns)[K] extends Record<Property, unknown> ? K : never;
}[ProcessColumnId];

/** Those that means tell of. */
export type MeanColumnId = ColumnWith<'overTime'>;
export const meanColumnIds = processColumnIds.filter((id) => processColumn(id).overTime) as MeanColumnId[];

/** Those that every sender has to say. */
export type RequiredColumnId = ColumnWith<'isRequired'>;

/** What is measured of each instance of a name. */
export type Measure = (typeof processColumns)[ColumnWith<'instances'>]['instances']['of'];

/** What a threshold on processes may be on: `cpu`, `memory`, ... */
export type ProcessQuantity = (typeof processColumns)[ColumnWith<'threshold'>]['threshold']['metric'];
export const processQuantities = [
  ...new Set(processColumnIds.flatMap((id) => processColumn(id).threshold?.metric ?? [])),
] as ProcessQuantity[];

/** The column that a threshold on all of a name, or on its largest instance, is on; undefined: there is none. */
export function columnOfQuantity(metric: string, of: 'largest' | 'group'): ProcessColumnId | undefined {
  return processColumnIds.find((id) => {
    const { threshold } = processColumn(id);
    return threshold?.metric === metric && threshold.of === of;
  });
}

/** Those that make a series: all but what only names something. */
export type UsageMetric = {
  [K in ProcessColumnId]: (typeof processColumns)[K]['kind'] extends 'identity' ? never : K;
}[ProcessColumnId];
export const usageMetrics = processColumnIds.filter((id) => processColumn(id).kind !== 'identity') as UsageMetric[];

export function isUsageMetric(metric: string): metric is UsageMetric {
  return (usageMetrics as readonly string[]).includes(metric);
}

/** A value as it is kept. */
export function roundTo(decimals: Column['decimals'], value: number): number {
  return decimals === 0 ? Math.round(value) : Math.round(value * 1000) / 1000;
}

/** The unit of what a threshold or an alarm names: `cpu`, `system.load1`, ... */
export function unitOf(metric: string): Unit {
  if (Object.hasOwn(hostColumns, metric)) return hostColumn(metric as HostMetric).unit;
  const column = columnOfQuantity(metric, 'group') ?? columnOfQuantity(metric, 'largest');
  return column === undefined ? 'none' : processColumn(column).unit;
}
