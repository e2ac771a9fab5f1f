import type { Forecast, ForecastSubject } from './forecast.ts';
import type { HostMetric, ProcessUsage, Snapshot, SnapshotHeader, UsageMetric } from './snapshot.ts';

/** Points with `from < time <= to`, epoch milliseconds. */
export interface TimeWindow {
  from: number;
  to: number;
}

export interface UsageRow extends ProcessUsage {
  host: string;
  time: number;
}

export interface UsageFilter {
  /** Only these hosts; absent means all of them. */
  hosts?: readonly string[];
  /** Only snapshots that carried this address, whatever others of their host carried. */
  ip?: string;
  process?: string;
}

export interface MeanQuery extends TimeWindow, UsageFilter {
  /** The so many names with the highest mean CPU. */
  top?: number;
}

/** Means over the snapshots that have a value. */
export interface MeanRow {
  name: string;
  cpu: number | null;
  memory: number | null;
  /** The highest single instance in the window. */
  cpuMax: number | null;
  memoryMax: number | null;
  count: number;
  hosts: number;
  /** How many (host, time) the name was seen in. */
  snapshots: number;
}

export interface DetailedQuery extends TimeWindow, UsageFilter {
  limit: number;
  /** Rows to skip: the cursor is (from, rows of that first instant already delivered). */
  skip: number;
}

/** One snapshot by its name. */
export interface SnapshotKey {
  host: string;
  time: number;
}

/** Rows in which at least one metric is over its level. */
export type Above = Partial<Record<UsageMetric, number>>;

/** A metric of a process of a host, or of the host itself. */
export type SeriesKey =
  | { kind: 'process'; host: string; process: string; metric: UsageMetric }
  | { kind: 'system'; host: string; metric: HostMetric };

/** Asks when the run that ends at `until` began: the first value over `red` since the last at or under `clear`. */
export interface RunQuery {
  series: SeriesKey;
  red: number;
  clear: number;
  /** A hole longer than this ends a run. */
  gapMs: number;
  /** Points after this are not looked at, also those in the window. */
  until: number;
}

/** Forecasts made in a window, of all series or of those named. */
export interface ForecastQuery extends TimeWindow, Partial<ForecastSubject> {}

/**
 * Where snapshots are kept. Every engine passes the same contract suite (test/store/store-contract.ts).
 *
 * Each method may throw MonitorError: `unavailable` when the engine cannot be reached or its queue is
 * full, `timeout` when it did not answer in time, `internal` otherwise.
 */
export interface Store {
  /** For logs and /health/ready: never holds a secret. */
  readonly url: string;
  /** Forgets by its own clock and retention; `expire` does nothing then. */
  readonly expiresItself: boolean;
  /**
   * Resolves once all snapshots are durable; then a query sees them. A snapshot is stored whole or not
   * at all. A repeated (host, time) is stored once, also across a restart.
   * @returns those that the engine refused for being older than what it keeps itself: they are not stored
   */
  write(snapshots: readonly Snapshot[]): Promise<Snapshot[]>;
  /**
   * Of every host the header of the snapshot that is placed (`placedAt`) last at or before `at`, by host name; none
   * marked as from the future.
   */
  hosts(at: number): Promise<SnapshotHeader[]>;
  /** The process rows of exactly these snapshots, limited to those `above` when given. Unordered. */
  rowsOf(snapshots: readonly SnapshotKey[], above?: Above): Promise<UsageRow[]>;
  /** Highest mean CPU first. */
  mean(query: MeanQuery): Promise<MeanRow[]>;
  /** Raw rows by time, host and name, at most `limit`. */
  detailed(query: DetailedQuery): Promise<UsageRow[]>;
  /** For each query, when its present run began, or null when there is none. Values nobody knows are passed over. */
  runs(queries: readonly RunQuery[], window: TimeWindow): Promise<(number | null)[]>;
  /**
   * The means of each series over regular steps, oldest first; steps without a value are left out. `time` is
   * the start of a step, a multiple of `stepMs`, and belongs to it. All in one go: ask for few or for little.
   */
  stepMeans(series: readonly SeriesKey[], window: TimeWindow, stepMs: number): Promise<Point[][]>;
  /** The series of this metric with a value over `level` in the window, in no order. */
  seriesAbove(metric: UsageMetric | HostMetric, level: number, window: TimeWindow): Promise<SeriesKey[]>;
  /** Keeps forecasts as long as snapshots. */
  keepForecasts(forecasts: readonly Forecast[]): Promise<void>;
  /** By time; those of one instant in no order. */
  forecasts(query: ForecastQuery): Promise<Forecast[]>;
  /** Forgets what is older than the retention at `now`. Engines that do so by themselves do nothing. */
  expire(now: number): Promise<void>;
  /** Rejects when the engine would not take a write now. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** What every engine is opened with. */
export interface StoreOptions {
  retentionMs: number;
  /** For what the engine has to say while it works. */
  warn: (message: string) => void;
}

/** The order of raw rows: names by code point, as databases order text. */
export function byTimeHostName(a: UsageRow, b: UsageRow): number {
  return a.time - b.time || compareText(a.host, b.host) || compareText(a.name, b.name);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export interface Point {
  time: number;
  value: number;
}

/**
 * When the run that ends with the last point began. A run starts with the first value over `red` and
 * ends with the first at or under `clear`, or with a hole of more than `gapMs`. Points are by time.
 */
export function runStart(points: Iterable<Point>, query: Omit<RunQuery, 'series'>): number | null {
  let since: number | null = null;
  let previous: number | null = null;
  for (const { time, value } of points) {
    if (time > query.until) break;
    if (previous !== null && time - previous > query.gapMs) since = null;
    if (value <= query.clear) since = null;
    else if (since === null && value > query.red) since = time;
    previous = time;
  }
  return since;
}

/** The means of points over regular steps, each with the start of its step; points are by time. */
export function meansByStep(points: Iterable<Point>, stepMs: number): Point[] {
  const sums = new Map<number, { sum: number; count: number }>();
  for (const { time, value } of points) {
    const start = Math.floor(time / stepMs) * stepMs;
    const { sum, count } = sums.get(start) ?? { sum: 0, count: 0 };
    sums.set(start, { sum: sum + value, count: count + 1 });
  }
  return [...sums].map(([time, { sum, count }]) => ({ time, value: sum / count }));
}
