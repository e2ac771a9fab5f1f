/**
 * The system totals of a host and what the collector says of itself, as flat metric names.
 * Percentages are of the whole host (0-100). Snapshots since the spool was made: taken = stored + dropped +
 * quarantined + expired + spooled; the gap is the last stretch that was dropped. Stores keep them in this order:
 * new ones go to the end.
 */
export const hostMetrics = [
  'system.cpu',
  'system.memory',
  'system.swap',
  'system.disk',
  'system.load1',
  'system.temperature',
  'collector.cpu',
  'collector.memoryBytes',
  'collector.sweepMs',
  'collector.taken',
  'collector.stored',
  'collector.dropped',
  'collector.quarantined',
  'collector.spooled',
  'collector.gapFromMs',
  'collector.gapToMs',
  'collector.clockSkewSeconds',
  'collector.expired',
  'collector.clockSkewSinceMs',
  'collector.foldedNames',
  'collector.foldedSinceMs',
] as const;
export type HostMetric = (typeof hostMetrics)[number];

/**
 * Measured by the server as a snapshot comes, whatever the collector says: by how much the host's clock is ahead, and
 * since when (epoch milliseconds) by more than is right; how many of its names are counted in `__other__`, and since
 * when names are.
 */
export const serverMetrics: ReadonlySet<HostMetric> = new Set([
  'collector.clockSkewSeconds',
  'collector.clockSkewSinceMs',
  'collector.foldedNames',
  'collector.foldedSinceMs',
]);

/** Per-process metrics a store keeps. `cpu`, `memory` are the group's sum, `...Max` its largest instance. */
export const usageMetrics = ['cpu', 'memory', 'cpuMax', 'memoryMax'] as const;
export type UsageMetric = (typeof usageMetrics)[number];

/** One process name on one host in one snapshot. `null` is "not known" and never means 0. */
export interface ProcessUsage {
  name: string;
  /** Instances of this name. */
  count: number;
  /** Percent of ONE core, summed over the instances. */
  cpu: number | null;
  /** Percent of one core of the largest instance. */
  cpuMax: number | null;
  /** RSS in percent of the host's memory, or of the cgroup limit where one binds, summed. */
  memory: number | null;
  memoryMax: number | null;
  rssBytes: number | null;
  /** Of the largest instance by CPU. */
  pid: number | null;
}

/** The same as equally long arrays: half the bytes on the wire and no object per process in memory. */
export type ProcessColumns = { [K in keyof ProcessUsage]: ProcessUsage[K][] };

/** All that is said of a host in one snapshot beside its processes. */
export interface SnapshotHeader {
  host: string;
  ip: string | null;
  /** Wall time of the sweep at the collector, epoch milliseconds. (host, time) names the snapshot. */
  time: number;
  /** The collector's nominal interval; tells when its silence means something. */
  intervalMs: number;
  bootId: string | null;
  /** Usable cores: fractional under a cgroup quota. */
  cores: number | null;
  memoryBytes: number | null;
  /** What the denominators are taken from. */
  limitedBy: 'host' | 'cgroup';
  metrics: Partial<Record<HostMetric, number>>;
  /** Marked: from so far ahead that it says nothing of now. Kept from when it came, and never a host's newest. */
  isFromFuture?: true;
  /** When it was taken by the server's clock, where the server has measured that. Not stored. */
  seenAt?: number;
}

/** Every process and the system totals of one host at one instant: the unit of PUT, spool and idempotence. */
export interface Snapshot extends SnapshotHeader {
  processes: ProcessColumns;
}

/** All kernel threads of a host, one row. */
export const kernelName = '__kernel__';
/** Host CPU that no listed process accounts for: exited ones and rounding. */
export const unattributedName = '__unattributed__';
/** Processes beyond the limit of names per snapshot, summed. */
export const otherName = '__other__';
/** Rows that are no process: they take part in sums and never in alarms. */
export const reservedNames: ReadonlySet<string> = new Set([kernelName, unattributedName, otherName]);

/** A percentage no machine reaches: what is above is a bug in the sender. */
export const maxPercent = 1_000_000;

/** Percentages are kept to a thousandth, so that every store can return exactly what it was given. */
export function roundPercent(value: number): number {
  return Math.round(value * 1000) / 1000;
}

export function emptyColumns(): ProcessColumns {
  return { name: [], count: [], cpu: [], cpuMax: [], memory: [], memoryMax: [], rssBytes: [], pid: [] };
}

export function pushUsage(columns: ProcessColumns, usage: ProcessUsage): void {
  columns.name.push(usage.name);
  columns.count.push(usage.count);
  columns.cpu.push(usage.cpu);
  columns.cpuMax.push(usage.cpuMax);
  columns.memory.push(usage.memory);
  columns.memoryMax.push(usage.memoryMax);
  columns.rssBytes.push(usage.rssBytes);
  columns.pid.push(usage.pid);
}

/** Row `index` of the columns as an object. */
export function usageAt(columns: ProcessColumns, index: number): ProcessUsage {
  return {
    name: columns.name[index] as string,
    count: columns.count[index] as number,
    cpu: columns.cpu[index] ?? null,
    cpuMax: columns.cpuMax[index] ?? null,
    memory: columns.memory[index] ?? null,
    memoryMax: columns.memoryMax[index] ?? null,
    rssBytes: columns.rssBytes[index] ?? null,
    pid: columns.pid[index] ?? null,
  };
}
