import { timeLimit } from '../platform/deadline.ts';
import type { Agreements } from './agreement.ts';
import { MonitorError } from './error.ts';
import type { Forecast } from './forecast.ts';
import type { MeanColumnId } from './metric.ts';
import type { MetricSample, Sample, Stretch, StretchQuery } from './sample.ts';
import type { Matcher, Selector } from './selector.ts';
import type { Series } from './series.ts';
import type { Snapshot, SnapshotHeader } from './snapshot.ts';
import type { StatisticsAnswer, StatisticsQuery } from './statistics.ts';
import type { HourTally } from './tally.ts';
import type { RowsWanted, SnapshotKey, UsageRow } from './usage-row.ts';
import type { UsageTable } from './usage-table.ts';

/** Points with `from < time <= to`, epoch milliseconds. */
export interface TimeWindow {
  from: number;
  to: number;
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

/** Means over the snapshots that have a value; of a column that tells the largest instance, the highest. */
export type MeanRow = {
  name: string;
  hosts: number;
  /** How many (host, time) the name was seen in. */
  snapshots: number;
  count: number;
} & { [K in Exclude<MeanColumnId, 'count'>]: number | null };

export interface PageQuery extends TimeWindow, UsageFilter {
  limit: number;
  /** Rows to skip: the cursor is (from, rows of that first instant already delivered). */
  skip: number;
}

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

export interface SelectQuery extends TimeWindow {
  /** These, or all that a selector names and that have samples in the window. */
  series: readonly Series[] | Selector;
  /**
   * Over regular steps: `time` is then the start of a step, a multiple of this, and belongs to it; steps without a
   * value are left out. Null: every sample as it was taken, also those of which the value is not known.
   */
  stepMs: number | null;
  /** What is told of a step; default: the mean. */
  aggregate?: Aggregate;
}

export const resolutions = ['raw', '1m', '10m', '1h'] as const;
export type Resolution = (typeof resolutions)[number];

export const aggregates = ['mean', 'min', 'max'] as const;
export type Aggregate = (typeof aggregates)[number];

export interface Selected {
  series: Series;
  /** Oldest first. */
  samples: Sample[];
}

/** Which series a read is about: all that fit. */
export interface SeriesFilter {
  /** Exactly this one. */
  series?: Series;
  /** Only of these names. */
  metrics?: readonly string[];
  matchers?: readonly Matcher[];
}

/** Forecasts made in a window, of all series or of those that fit. */
export interface ForecastQuery extends TimeWindow, SeriesFilter {}

/** What can be asked of a store. `Bounds` is the last argument of each, or was given before by `readsWithin`. */
export interface Reads<Bounds extends [Reading?] = [Reading?]> {
  /**
   * Of every host the header of the snapshot that is placed (`placedAt`) last at or before `at`, by host name; none
   * marked as from the future.
   */
  latest(at: number, ...bounds: Bounds): Promise<SnapshotHeader[]>;
  /** All headers of the window by their own time, those from the future too, in no order: for a copy. */
  headers(window: TimeWindow, ...bounds: Bounds): Promise<SnapshotHeader[]>;
  /** All samples of other sources in the window as they were taken, in no order: for a copy. */
  samples(window: TimeWindow, ...bounds: Bounds): Promise<MetricSample[]>;
  /** The process rows of exactly these snapshots, or those of them that are wanted. Unordered. */
  rows(snapshots: readonly SnapshotKey[], wanted?: RowsWanted, ...bounds: Bounds): Promise<UsageRow[]>;
  /**
   * Of each process name over the window, highest mean CPU first.
   * @throws MonitorError `invalid` for more than `mostNames`, unless `top` says how many
   */
  means(query: MeanQuery, ...bounds: Bounds): Promise<MeanRow[]>;
  /**
   * The coarsest of what means of the window, or its steps, are made of: rows as they came, or roll-ups of them. As long
   * as the rows are kept that makes no difference; where they are not, the window's edges are those of the roll-ups.
   */
  resolution(window: TimeWindow, stepMs?: number, ...bounds: Bounds): Promise<Resolution>;
  /** Raw process rows by time, host and name, at most `limit`. */
  page(query: PageQuery, ...bounds: Bounds): Promise<UsageTable>;
  /** The same rows as a Parquet file, by an engine that can write one; absent: it cannot. */
  parquet?(query: PageQuery, ...bounds: Bounds): Promise<Uint8Array>;
  /**
   * In the order of the list, each with what there is of it; of a selector by key. All in one go: ask for few or for
   * little. Of a counter the rates.
   * @throws MonitorError `invalid` for a selector that names more than `mostSelected` series, or more than
   * `mostPoints` steps of them
   */
  select(query: SelectQuery, ...bounds: Bounds): Promise<Selected[]>;
  /**
   * What the values of the series that a selector names come to: of each, or of those that share labels. Those without
   * a known value are left out.
   * @throws MonitorError `invalid` for more than can be told at once
   */
  statistics(query: StatisticsQuery, ...bounds: Bounds): Promise<StatisticsAnswer>;
  /**
   * The series that a selector names with a value over `level` in the window, in no order; of other sources at most
   * `mostNamed`, those that have been there longest. Of a counter it is the rate that is looked at.
   */
  above(selector: Selector, level: number, window: TimeWindow, ...bounds: Bounds): Promise<Series[]>;
  /** By time; those of one instant in no order. */
  forecasts(query: ForecastQuery, ...bounds: Bounds): Promise<Forecast[]>;
  /** The sums of the hours in the window, by series; an hour is in it when its end is. */
  tallies(query: ForecastQuery, ...bounds: Bounds): Promise<HourTally[]>;
  /**
   * What alarms/run.ts makes of the samples of each of these series, by an engine that can do it without handing them
   * over; absent: it cannot. Samples that nobody knows are passed over.
   */
  stretches?(queries: readonly StretchQuery[], window: TimeWindow, ...bounds: Bounds): Promise<Stretch[][]>;
}

/** What can be put into a store, each kind whole or not at all. */
export interface Records {
  /** A repeated (host, time) is stored once, also across a restart. */
  snapshots?: readonly Snapshot[];
  /** A repeated (series, time) is stored once. */
  samples?: readonly MetricSample[];
  forecasts?: readonly Forecast[];
  /** How right the forecasts of these hours were, by series, instead of what was kept of them. */
  accuracy?: { hours: TimeWindow; tallies: readonly HourTally[] };
}

export interface Appended {
  /** Those that the engine refused for being older than what it keeps itself: they are not stored. */
  refused: readonly (Snapshot | MetricSample)[];
  /** Samples of series that nobody had before, beyond what their host or source may bring along in a day: not stored. */
  beyondBudget: readonly MetricSample[];
}

/**
 * Where everything is kept. Every engine passes the same contract suite (test/store/store-contract.ts).
 *
 * Each method may throw MonitorError: `unavailable` when the engine cannot be reached or its queue is
 * full, `timeout` when it did not answer in time, `internal` otherwise. No write waits for a read.
 */
export interface Store extends Reads {
  /** For logs and /health/ready: never holds a secret. */
  readonly url: string;
  /** Forgets by its own clock and retention; `expire` does nothing then. */
  readonly expiresItself: boolean;
  /** Several servers may work over it at once; absent: one. */
  readonly isShared?: boolean;
  /** Where several servers over it agree; absent: it is one server's own. */
  readonly agreements?: Agreements;
  /**
   * Resolves once all is durable; then a query sees it. New names of a host beyond `newNamesPerDay` are counted in
   * `__other__`, and the snapshot's metrics say how many.
   */
  append(records: Records): Promise<Appended>;
  /** Forgets what is older than the retention at `now`. Engines that do so by themselves do nothing. */
  expire(now: number): Promise<void>;
  /**
   * Puts what is over where it costs least, and adds it up for longer windows; to be called now and then. Engines that
   * do so by themselves do nothing.
   */
  compact(now: number): Promise<void>;
  /** What it takes on disk; null: the engine does not say. */
  disk(): Promise<DiskUse | null>;
  /** Rejects when the engine would not take a write now. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** What the embedded store takes on disk. */
export interface DiskUse {
  /** The database, with what is not closed yet. */
  databaseBytes: number;
  /** Of these in use: what is free the database takes before it grows. */
  usedBytes: number;
  /** The most that all of it may take; null: as much as it comes to. */
  mostBytes: number | null;
  /** Process rows, roll-ups of them of a minute and of an hour, and the buckets of these, as far as they are closed. */
  closed: {
    family: 'usage' | 'minute' | 'hour' | 'bucket';
    files: number;
    rows: number;
    bytes: number;
    /** From when to when, epoch milliseconds. */
    since: number;
    until: number;
  }[];
}

/** For what is read for all who ask: whoever reads longer is told so in our own words. */
export function readLimit(ms: number): AbortSignal {
  const late = () => new MonitorError('timeout', `the store did not answer within ${ms / 1000} s; ask again later`);
  return timeLimit(ms, late);
}

/** The reads of a store, each within these bounds. */
export function readsWithin(store: Reads, reading: Reading): Reads<[]> {
  return {
    latest: (at) => store.latest(at, reading),
    headers: (window) => store.headers(window, reading),
    samples: (window) => store.samples(window, reading),
    rows: (snapshots, wanted) => store.rows(snapshots, wanted, reading),
    means: (query) => store.means(query, reading),
    resolution: (window, stepMs) => store.resolution(window, stepMs, reading),
    statistics: (query) => store.statistics(query, reading),
    page: (query) => store.page(query, reading),
    ...(store.parquet && {
      parquet: (query) => store.parquet?.(query, reading) ?? Promise.resolve(new Uint8Array()),
    }),
    select: (query) => store.select(query, reading),
    above: (selector, level, window) => store.above(selector, level, window, reading),
    forecasts: (query) => store.forecasts(query, reading),
    tallies: (query) => store.tallies(query, reading),
    ...(store.stretches && {
      stretches: (queries, window) => store.stretches?.(queries, window, reading) ?? Promise.resolve([]),
    }),
  };
}

/** What every engine is opened with. */
export interface StoreOptions {
  retentionMs: number;
  /** How long roll-ups of a minute and of an hour are kept; absent: `minuteRetentionDefaultMs`, `hourRetentionDefaultMs`. */
  minuteRetentionMs?: number;
  hourRetentionMs?: number;
  /** What the embedded store may take on disk; absent: as much as the retentions come to. */
  mostBytes?: number;
  /** Process names, and series, that nobody has had before, of one host and day; absent: `newNamesDefault`. */
  newNamesPerDay?: number;
  /** The same of series of one Prometheus; absent: `newSeriesDefault`. */
  newSeriesPerDay?: number;
  /** It is only asked: nothing is made, changed or mended in it. Absent: it is worked with. */
  isReadOnly?: boolean;
  /** Wall time; absent: the machine's. */
  now?: () => number;
  /** For what the engine has to say while it works. */
  warn: (message: string) => void;
}

const dayMs = 86_400_000;
export const minuteRetentionDefaultMs = 7 * dayMs;
export const hourRetentionDefaultMs = 400 * dayMs;
/** Twenty times what a busy host has in all. */
export const newNamesDefault = 5000;
/** Those of a hundred hosts with a node exporter. */
export const newSeriesDefault = 100_000;
