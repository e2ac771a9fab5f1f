import {
  type HostMetric,
  hostColumn,
  hostMetrics,
  type ProcessColumnId,
  processColumn,
  processColumnIds,
  roundTo,
} from '../core/metric.ts';
import { emptyColumns, type ProcessColumns, pushUsage, type SnapshotHeader, unknownUsage } from '../core/snapshot.ts';
import type { ToldValue } from './mapped-series.ts';
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

/** What one mapping tells of one host at one instant, as its samples come. */
export class Instant {
  readonly time: number;
  /** Samples that have come. */
  samples = 0;
  /** Monotonic: of the last of them. */
  touchedAt = 0;
  /** By process, then by column; null: of the host. */
  readonly #sums = new Map<string | null, Map<MappedColumn, Sum>>();
  /** Whether a rate is known: of the first sample of a counter none is. */
  #hasRate = false;
  #wantsRate = false;

  constructor(time: number) {
    this.time = time;
  }

  add(process: string | null, told: readonly ToldValue[], now: number): void {
    this.samples++;
    this.touchedAt = now;
    if (told.length === 0) return;
    const sums = this.#sums.get(process) ?? new Map<MappedColumn, Sum>();
    this.#sums.set(process, sums);
    for (const { use, value } of told) {
      this.#wantsRate ||= use.isRate;
      this.#hasRate ||= use.isRate && value !== null;
      const sum = sums.get(use.column) ?? { figure: use.figure, of: null, free: null, left: null };
      sums.set(use.column, sum);
      if (value !== null) sum[use.part] = added(use.figure, sum[use.part], value);
    }
  }

  /** Of the first instant of all no counter can tell how fast it grows: it is not worth a snapshot. */
  get isTelling(): boolean {
    return this.#hasRate || !this.#wantsRate;
  }

  get hasProcesses(): boolean {
    return [...this.#sums.keys()].some((process) => process !== null);
  }

  hostFigures(): HostFigures {
    const sums = this.#sums.get(null);
    const figure = (column: MappedColumn) => total(sums?.get(column));
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
    for (const [name, sums] of this.#sums) {
      if (name === null || total(sums.get('count')) === 0) continue;
      const usage = unknownUsage(name);
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
  return part === null || whole === null || whole <= 0
    ? null
    : within(processColumn('memory' satisfies ProcessColumnId), (100 * part) / whole);
}
