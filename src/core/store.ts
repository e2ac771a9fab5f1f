import { MonitorError } from './error.ts';
import type { Forecast, ForecastSubject } from './forecast.ts';
import { groupBy } from './group-by.ts';
import {
  type HostMetric,
  type MeanColumnId,
  type ProcessColumnId,
  processColumnIds,
  type UsageMetric,
  usageMetrics,
} from './metric.ts';
import type { Run } from './run.ts';
import type { ProcessUsage, Snapshot, SnapshotHeader } from './snapshot.ts';
import type { HourTally } from './tally.ts';

/** Points with `from < time <= to`, epoch milliseconds. */
export interface TimeWindow {
  from: number;
  to: number;
}

export type UsageRow = ProcessUsage & { host: string; time: number };

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

/** Means over the snapshots that have a value; of a column that tells the largest instance, the highest. */
export type MeanRow = {
  name: string;
  hosts: number;
  /** How many (host, time) the name was seen in. */
  snapshots: number;
  count: number;
} & { [K in Exclude<MeanColumnId, 'count'>]: number | null };

export interface DetailedQuery extends TimeWindow, UsageFilter {
  limit: number;
  /** Rows to skip: the cursor is (from, rows of that first instant already delivered). */
  skip: number;
}

/**
 * Raw rows as equally long columns: 50,000 of them are 4 MB, and change hands between threads without being copied.
 * `host` and `name` are places in `hosts` and `names`; NaN is not known.
 */
export type UsageTable = {
  hosts: readonly string[];
  names: readonly string[];
  host: Uint32Array;
  name: Uint32Array;
  time: Float64Array;
} & Record<ProcessColumnId, Float64Array>;

/** What a read may cost. */
export interface Reading {
  /** Once it is aborted nobody works on the read any more, and it rejects with the reason. */
  signal?: AbortSignal;
  /**
   * `present`: what alarms are made of, which waits for no question of anybody; `background`: what nobody waits for,
   * which waits for them. Absent: a question, which waits for others that cost as much.
   */
  lane?: 'present' | 'background';
}

/** More names than this are not in one answer. */
export const mostNames = 100_000;

/** One snapshot by its name. */
export interface SnapshotKey {
  host: string;
  time: number;
}

/** Rows in which at least one metric is over its level. */
export type Above = Partial<Record<UsageMetric, number>>;

/** Which rows of a snapshot: those that are `above`, or the `top` of each host by CPU and as many by memory; absent: all. */
export interface RowsWanted {
  above?: Above;
  /** With `above`: also those of names that were so on their host within so long before; a few that were not may come along. */
  withinMs?: number;
  top?: number;
}

/** A metric of a process of a host, or of the host itself. */
export type SeriesKey =
  | { kind: 'process'; host: string; process: string; metric: UsageMetric }
  | { kind: 'system'; host: string; metric: HostMetric };

/** Asks for the run at `until`: see `runOf` in run.ts. */
export interface RunQuery {
  series: SeriesKey;
  red: number;
  clear: number;
  forMs: number;
  holdMs: number;
  /** A hole longer than this ends a run. */
  gapMs: number;
  /** Points after this are not looked at, also those in the window. */
  until: number;
}

/** Forecasts made in a window, of all series or of those named. */
export interface ForecastQuery extends TimeWindow, Partial<ForecastSubject> {}

/** What can be asked of a store; how long and in which lane is the last argument of each, or was given before. */
export interface Reads<Bounds extends [Reading?] = [Reading?]> {
  /**
   * Of every host the header of the snapshot that is placed (`placedAt`) last at or before `at`, by host name; none
   * marked as from the future.
   */
  hosts(at: number, ...bounds: Bounds): Promise<SnapshotHeader[]>;
  /** The process rows of exactly these snapshots, or those of them that are wanted. Unordered. */
  rowsOf(snapshots: readonly SnapshotKey[], wanted?: RowsWanted, ...bounds: Bounds): Promise<UsageRow[]>;
  /**
   * Highest mean CPU first.
   * @throws MonitorError `invalid` for more than `mostNames`, unless `top` says how many
   */
  mean(query: MeanQuery, ...bounds: Bounds): Promise<MeanRow[]>;
  /** Raw rows by time, host and name, at most `limit`. */
  detailed(query: DetailedQuery, ...bounds: Bounds): Promise<UsageTable>;
  /** For each query its run, as far as the window shows it. Values nobody knows are passed over. */
  runs(queries: readonly RunQuery[], window: TimeWindow, ...bounds: Bounds): Promise<Run[]>;
  /**
   * The means of each series over regular steps, oldest first; steps without a value are left out. `time` is
   * the start of a step, a multiple of `stepMs`, and belongs to it. All in one go: ask for few or for little.
   */
  stepMeans(series: readonly SeriesKey[], window: TimeWindow, stepMs: number, ...bounds: Bounds): Promise<Point[][]>;
  /** The series of this metric with a value over `level` in the window, in no order. */
  seriesAbove(
    metric: UsageMetric | HostMetric,
    level: number,
    window: TimeWindow,
    ...bounds: Bounds
  ): Promise<SeriesKey[]>;
  /** By time; those of one instant in no order. */
  forecasts(query: ForecastQuery, ...bounds: Bounds): Promise<Forecast[]>;
  /** The sums of the hours in the window, by series; an hour is in it when its end is. */
  tallies(query: ForecastQuery, ...bounds: Bounds): Promise<HourTally[]>;
}

/**
 * Where snapshots are kept. Every engine passes the same contract suite (test/store/store-contract.ts).
 *
 * Each method may throw MonitorError: `unavailable` when the engine cannot be reached or its queue is
 * full, `timeout` when it did not answer in time, `internal` otherwise. No write waits for a read.
 */
export interface Store extends Reads {
  /** For logs and /health/ready: never holds a secret. */
  readonly url: string;
  /** Forgets by its own clock and retention; `expire` does nothing then. */
  readonly expiresItself: boolean;
  /**
   * Resolves once all snapshots are durable; then a query sees them. A snapshot is stored whole or not
   * at all. A repeated (host, time) is stored once, also across a restart. New names of a host beyond
   * `newNamesPerDay` are counted in `__other__`, and the snapshot's metrics say how many.
   * @returns those that the engine refused for being older than what it keeps itself: they are not stored
   */
  write(snapshots: readonly Snapshot[]): Promise<Snapshot[]>;
  /** Keeps forecasts as long as snapshots. */
  keepForecasts(forecasts: readonly Forecast[]): Promise<void>;
  /** Keeps how right the forecasts of these hours were, by series, instead of what was kept of them; all or none. */
  keepTallies(hours: TimeWindow, tallies: readonly HourTally[]): Promise<void>;
  /** Forgets what is older than the retention at `now`. Engines that do so by themselves do nothing. */
  expire(now: number): Promise<void>;
  /** Rejects when the engine would not take a write now. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The reads of a store, each within these bounds. */
export function readsWithin(store: Reads, reading: Reading): Reads<[]> {
  return {
    hosts: (at) => store.hosts(at, reading),
    rowsOf: (snapshots, wanted) => store.rowsOf(snapshots, wanted, reading),
    mean: (query) => store.mean(query, reading),
    detailed: (query) => store.detailed(query, reading),
    runs: (queries, window) => store.runs(queries, window, reading),
    stepMeans: (series, window, stepMs) => store.stepMeans(series, window, stepMs, reading),
    seriesAbove: (metric, level, window) => store.seriesAbove(metric, level, window, reading),
    forecasts: (query) => store.forecasts(query, reading),
    tallies: (query) => store.tallies(query, reading),
  };
}

/** What every engine is opened with. */
export interface StoreOptions {
  retentionMs: number;
  /** Process names that nobody has had before, of one host and day; absent: `newNamesDefault`. */
  newNamesPerDay?: number;
  /** Wall time; absent: the machine's. */
  now?: () => number;
  /** For what the engine has to say while it works. */
  warn: (message: string) => void;
}

/** Twenty times what a busy host has in all. */
export const newNamesDefault = 5000;

/** @throws MonitorError `invalid` for more names than an answer may have */
export function refuseTooMany(names: number): void {
  if (names > mostNames)
    throw new MonitorError(
      'invalid',
      `the answer would have more than ${mostNames} process names; ask for the first so many (top=500), one host (host=) or a shorter window (window=)`,
    );
}

/** Rows as a table. */
export function toTable(rows: readonly UsageRow[]): UsageTable {
  const [hosts, names] = [new Places(), new Places()];
  const column = (metric: 'time' | ProcessColumnId) => Float64Array.from(rows, (row) => row[metric] ?? Number.NaN);
  return {
    host: Uint32Array.from(rows, (row) => hosts.of(row.host)),
    name: Uint32Array.from(rows, (row) => names.of(row.name)),
    hosts: hosts.texts,
    names: names.texts,
    time: column('time'),
    ...(Object.fromEntries(processColumnIds.map((id) => [id, column(id)])) as Record<ProcessColumnId, Float64Array>),
  };
}

/** Texts as the places where they stand. */
class Places {
  readonly texts: string[] = [];
  readonly #places = new Map<string, number>();

  of(text: string): number {
    const place = this.#places.get(text) ?? this.texts.push(text) - 1;
    this.#places.set(text, place);
    return place;
  }
}

/** Those of these rows that are wanted; `wasAbove` knows those that have been above. */
export function wantedOf(
  rows: readonly UsageRow[],
  { above, top }: RowsWanted,
  wasAbove: (row: UsageRow) => boolean = () => false,
): UsageRow[] {
  const over = above ? rows.filter((row) => isAbove(row, above) || wasAbove(row)) : [...rows];
  if (top === undefined) return over;
  const found = new Set<UsageRow>();
  for (const group of groupBy(over, ({ host, time }) => JSON.stringify([host, time])).values())
    for (const metric of ['cpu', 'memory'] as const)
      for (const row of group.toSorted((a, b) => (b[metric] ?? -1) - (a[metric] ?? -1)).slice(0, top)) found.add(row);
  return [...found];
}

/** The name on its host, whatever the snapshot. */
export function nameKey({ host, name }: UsageRow): string {
  return JSON.stringify([host, name]);
}

export function isAbove(row: UsageRow, above: Above): boolean {
  return usageMetrics.some((metric) => above[metric] !== undefined && (row[metric] ?? -1) > above[metric]);
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
