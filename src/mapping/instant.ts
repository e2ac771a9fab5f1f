import { type HostMetric, hostColumn, hostMetrics, processColumn, processColumnIds, roundTo } from '../core/metric.ts';
import {
  emptyColumns,
  maxProcesses,
  type ProcessColumns,
  pushUsage,
  reservedNames,
  type SnapshotHeader,
  unknownUsage,
} from '../core/snapshot.ts';
import { groupBy } from '../platform/group-by.ts';
import type { MappedSeries, ToldValue } from './mapped-series.ts';
import type { Figure, MappedColumn } from './mapping.ts';

/** What is known of a host as a whole. */
export interface HostFigures {
  time: number;
  metrics: Partial<Record<HostMetric, number>>;
  cores: number | null;
  memoryBytes: number | null;
}

interface Sum {
  figure: Figure;
  of: number | null;
  free: number | null;
  left: number | null;
}

/** What one target tells of one host at one instant, as its samples come. */
export class Instant {
  readonly time: number;
  /** Monotonic: of the last sample that came. */
  touchedAt = 0;
  readonly values = new Map<MappedSeries, readonly ToldValue[]>();

  constructor(time: number) {
    this.time = time;
  }

  /** What comes again replaces what came before, unless it says less. */
  set(series: MappedSeries, told: readonly ToldValue[], now: number): void {
    this.touchedAt = now;
    const isLess = told.some(({ value }) => value === null);
    if (!isLess || !this.values.has(series)) this.values.set(series, told);
  }

  /** Without a rate, as with the first samples of all counters, or with ends alone, it is not worth a snapshot. */
  get isTelling(): boolean {
    const all = [...this.values.values()].flat();
    return (
      all.some(({ use, value }) => use.isRate && value !== null) ||
      (all.length > 0 && !all.some(({ use }) => use.isRate))
    );
  }

  hostFigures(): HostFigures {
    const sums = sumsOf([...this.values].filter(([{ process }]) => process === null));
    const figure = (column: MappedColumn) => total(sums.get(column));
    const metrics = hostMetrics.flatMap((metric) => {
      const value = within(hostColumn(metric), figure(metric));
      return value === null ? [] : [[metric, value] as const];
    });
    return {
      time: this.time,
      metrics: Object.fromEntries(metrics),
      cores: figure('cores'),
      memoryBytes: figure('memoryBytes'),
    };
  }

  /** Names without an instance are left out: a group whose processes have all exited is still told of. */
  processes(memoryBytes: SnapshotHeader['memoryBytes']): ProcessColumns {
    const columns = emptyColumns();
    const ofProcesses = [...this.values].filter(([{ process }]) => process !== null);
    const byName = groupBy(ofProcesses, ([{ process }]) => process as string);
    for (const [name, values] of [...byName].slice(0, maxProcesses)) {
      const sums = sumsOf(values);
      if (total(sums.get('count')) === 0) continue;
      const usage = unknownUsage(reservedNames.has(name) ? `${name} (process)` : name);
      for (const id of processColumnIds) {
        const value = within(processColumn(id), total(sums.get(id)));
        if (value !== null) usage[id] = value;
      }
      usage.memory = percentOf(usage.rssBytes, memoryBytes);
      // Of the largest instance nobody knows: a name stands for all of its own, as PUT /v1/usage takes it.
      usage.cpuMax = usage.cpu;
      usage.memoryMax = usage.memory;
      pushUsage(columns, usage);
    }
    return columns;
  }
}

/** By column. */
function sumsOf(values: Iterable<readonly [MappedSeries, readonly ToldValue[]]>): Map<MappedColumn, Sum> {
  const sums = new Map<MappedColumn, Sum>();
  for (const [, told] of values)
    for (const { use, value } of told) {
      const sum = sums.get(use.column) ?? { figure: use.figure, of: null, free: null, left: null };
      sums.set(use.column, sum);
      if (value !== null) sum[use.part] = added(use.figure, sum[use.part], value);
    }
  return sums;
}

function added({ how }: Figure, sum: number | null, value: number): number {
  if (how === 'count') return (sum ?? 0) + 1;
  return how === 'max' ? Math.max(sum ?? Number.NEGATIVE_INFINITY, value) : (sum ?? 0) + value;
}

function total(sum: Sum | undefined): number | null {
  if (sum === undefined || sum.of === null) return null;
  const { figure, of, free } = sum;
  if (figure.how !== 'used') return of * figure.times;
  const left = figure.left === null ? free : sum.left;
  if (free === null || left === null || of - free + left <= 0) return null;
  return Math.min(100, Math.max(0, (100 * (of - free)) / (of - free + left)));
}

/** As a store keeps it; null where it is beyond what the column takes. */
function within(
  { least, most, decimals }: ReturnType<typeof processColumn | typeof hostColumn>,
  value: number | null,
): number | null {
  if (value === null) return null;
  const rounded = roundTo(decimals, value);
  return rounded >= least && rounded <= most ? rounded : null;
}

function percentOf(part: number | null, whole: number | null): number | null {
  return part === null || whole === null || whole <= 0 ? null : within(processColumn('memory'), (100 * part) / whole);
}
