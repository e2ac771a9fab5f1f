import { type HostMetric, type ProcessColumnId, processColumnIds } from './metric.ts';

/** One process name on one host in one snapshot. `null` is "not known" and never means 0. */
export type ProcessUsage = { name: string; count: number } & {
  [K in Exclude<ProcessColumnId, 'count'>]: number | null;
};

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
/** A snapshot has no more names. */
export const maxProcesses = 5000;

/** Rows that are no process: they take part in sums and never in alarms. */
export const reservedNames: ReadonlySet<string> = new Set([kernelName, unattributedName, otherName]);

/** Percentages are kept to a thousandth, so that every store can return exactly what it was given. */
export function roundPercent(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** One of which nothing is known but that it was there. */
export function unknownUsage(name: string): ProcessUsage {
  const usage: Record<string, unknown> = { name };
  for (const id of processColumnIds) usage[id] = null;
  usage.count = 1;
  return usage as ProcessUsage;
}

export function emptyColumns(): ProcessColumns {
  return { name: [], ...Object.fromEntries(processColumnIds.map((id) => [id, []])) } as unknown as ProcessColumns;
}

export function pushUsage(columns: ProcessColumns, usage: ProcessUsage): void {
  columns.name.push(usage.name);
  for (const id of processColumnIds) (columns[id] as (number | null)[]).push(usage[id]);
}

/** Row `index` of the columns as an object. */
export function usageAt(columns: ProcessColumns, index: number): ProcessUsage {
  const usage: Record<string, unknown> = { name: columns.name[index] };
  for (const id of processColumnIds) usage[id] = columns[id][index] ?? null;
  return usage as ProcessUsage;
}
