import { type Measure, processColumn, processColumnIds, roundTo, type UsageMetric } from '../core/metric.ts';
import type { SampledProcess, Sweep } from '../core/process-source.ts';
import {
  emptyColumns,
  kernelName,
  otherName,
  type ProcessColumns,
  type ProcessUsage,
  pushUsage,
  roundPercent,
  unattributedName,
  unknownUsage,
} from '../core/snapshot.ts';

/** More names than this are summed up in `__other__`. */
export const maxNames = 500;
/** What has come half way to the usual threshold is always listed by name. */
const alwaysListedPercent = 40;

/**
 * The processes of a sweep grouped by name, highest CPU first, and the host's busy time that they sum to: what
 * exited processes and rounding leave over is `__unattributed__`. A process's figure is what the kernel measured
 * for it and is never made smaller. Where the processes have used more than the host is said to have been busy,
 * the host has been busier: kernels that count whole ticks miss who sleeps at each of them.
 */
export function groupByName(sweep: Sweep): { columns: ProcessColumns; busy: number | null } {
  const groups = new Map<string, ProcessUsage>();
  for (const sampled of sweep.processes) addToGroup(groups, sampled, sweep.memoryBytes);
  const rows = fold([...groups.values()].sort((a, b) => (b.cpu ?? -1) - (a.cpu ?? -1)));
  const columns = emptyColumns();
  const rounded = rows.map(roundRow);
  for (const row of rounded) pushUsage(columns, row);
  if (sweep.busy === null) return { columns, busy: null };
  const listed = rounded.reduce((sum, row) => sum + (row.cpu ?? 0), 0);
  const busy = Math.max(sweep.busy, listed);
  pushUsage(columns, unattributed(roundPercent(busy - listed)));
  return { columns, busy };
}

/** Columns that are measured of each instance. */
const measured = processColumnIds.flatMap((id) => {
  const { instances } = processColumn(id);
  return instances === undefined ? [] : [{ id: id as MeasuredColumn, of: instances.of as Measure, add: instances.add }];
});
type MeasuredColumn = Exclude<UsageMetric, 'count'>;

function addToGroup(groups: Map<string, ProcessUsage>, sampled: SampledProcess, memoryTotal: number): void {
  const name = sampled.kernel ? kernelName : sampled.name;
  const memory = (sampled.rssBytes / memoryTotal) * 100;
  let group = groups.get(name);
  if (group === undefined) {
    group = { ...unknownUsage(name), count: 0 };
    groups.set(name, group);
  }
  if (!sampled.kernel && (group.count === 0 || isLarger(sampled, memory, group))) group.pid = sampled.pid;
  group.count++;
  for (const { id, of, add } of measured)
    group[id] = combine[add](group[id], of === 'memory' ? memory : (sampled[of] ?? null));
}

/** The largest instance by CPU; before CPU is known, by memory. */
function isLarger(sampled: SampledProcess, memory: number, group: ProcessUsage): boolean {
  return sampled.cpu === null || group.cpuMax === null
    ? sampled.cpu !== null || memory > (group.memoryMax ?? 0)
    : sampled.cpu > group.cpuMax;
}

/** Rows by CPU, bounded: top by CPU, top by memory, and whatever is half way to a threshold. */
function fold(rows: ProcessUsage[]): ProcessUsage[] {
  if (rows.length <= maxNames) return rows;
  const byMemory = rows.toSorted((a, b) => (b.memory ?? 0) - (a.memory ?? 0));
  const listed = new Set([
    ...rows.slice(0, maxNames / 2),
    ...byMemory.slice(0, maxNames / 2),
    ...rows.filter(
      (row) => Math.max(row.cpuMax ?? 0, row.memoryMax ?? 0) > alwaysListedPercent || row.name === kernelName,
    ),
  ]);
  const other: ProcessUsage = { ...unknownUsage(otherName), count: 0 };
  for (const row of rows) {
    if (listed.has(row)) continue;
    other.count += row.count;
    for (const { id, add } of measured) other[id] = combine[add](other[id], row[id]);
  }
  return other.count === 0 ? rows : [...rows.filter((row) => listed.has(row)), other];
}

function roundRow(row: ProcessUsage): ProcessUsage {
  const rounded = { ...row };
  for (const { id } of measured) {
    const value = row[id];
    const { unit, decimals } = processColumn(id);
    if (value !== null) rounded[id] = unit === 'percentOfCore' ? floorPercent(value) : roundTo(decimals, value);
  }
  return rounded;
}

function unattributed(cpu: number): ProcessUsage {
  return { ...unknownUsage(unattributedName), cpu, cpuMax: cpu };
}

/** Down to a thousandth, so that the rows never sum to more than there was. */
function floorPercent(value: number): number {
  return Math.floor(value * 1000) / 1000;
}

/** What is not known adds nothing. */
const combine = {
  sum: (a: number | null, b: number | null) => (a === null ? b : b === null ? a : a + b),
  max: (a: number | null, b: number | null) => (a === null ? b : b === null ? a : Math.max(a, b)),
};
