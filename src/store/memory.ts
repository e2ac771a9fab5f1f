import { refuseTooMany } from '../core/answer-bounds.ts';
import type { Forecast } from '../core/forecast.ts';
import { placedAt } from '../core/host-clock.ts';
import { meanColumnIds, processColumn } from '../core/metric.ts';
import { isKnown, type MetricSample, type Sample } from '../core/sample.ts';
import type { Selector } from '../core/selector.ts';
import { familyOf, hostSeries, processSeries, type Series, seriesKey } from '../core/series.ts';
import { type Snapshot, type SnapshotHeader, usageAt } from '../core/snapshot.ts';
import type { StatisticsQuery } from '../core/statistics.ts';
import {
  type Appended,
  type ForecastQuery,
  type MeanQuery,
  type MeanRow,
  newNamesDefault,
  type PageQuery,
  type Reading,
  type Records,
  type Selected,
  type SelectQuery,
  type Store,
  type StoreOptions,
  type TimeWindow,
  type UsageFilter,
} from '../core/store.ts';
import { addTallies, type HourTally } from '../core/tally.ts';
import {
  type Above,
  byTimeHostName,
  isAbove,
  nameKey,
  type RowsWanted,
  type SnapshotKey,
  type UsageRow,
  wantedOf,
} from '../core/usage-row.ts';
import { toTable } from '../core/usage-table.ts';
import { groupBy } from '../platform/group-by.ts';
import { admitNames, admitSeries, NameBudget, seriesPerDay } from './name-budget.ts';
import { filterTest, fitting, inSteps, selectedOf, toldOf } from './series-filter.ts';
import { statisticsOfSamples } from './statistics.ts';

/** `memory:` keeps everything in this process and forgets it with it: for tests and for a quick look. */
export async function openMemoryStore(options: StoreOptions): Promise<Store> {
  return new MemoryStore(options);
}

/** A series of another source. */
interface Kept {
  series: Series;
  kind: MetricSample['kind'];
  owner: string;
  /** Values by time. */
  values: Map<number, MetricSample['value']>;
}

export class MemoryStore implements Store {
  readonly url = 'memory:';
  readonly expiresItself = false;
  /** By host, then by time. */
  readonly #byHost = new Map<string, Map<number, Snapshot>>();
  readonly #series = new Map<string, Kept>();
  #forecasts: Forecast[] = [];
  #tallies: HourTally[] = [];
  readonly #names = new Set<string>();
  readonly #options: StoreOptions;
  readonly #now: () => number;
  readonly #nameBudget: NameBudget<string>;
  readonly #seriesBudget: NameBudget<string>;

  constructor(options: StoreOptions) {
    const { newNamesPerDay = newNamesDefault, now = Date.now } = options;
    this.#options = options;
    this.#now = now;
    this.#nameBudget = new NameBudget(() => newNamesPerDay);
    this.#seriesBudget = new NameBudget(seriesPerDay(options));
  }

  async append({ snapshots = [], samples = [], forecasts = [], accuracy }: Records): Promise<Appended> {
    for (const snapshot of snapshots) this.#addSnapshot(snapshot);
    const beyondBudget = samples.filter((sample) => !this.#addSample(sample));
    this.#forecasts.push(...structuredClone([...forecasts]));
    if (accuracy !== undefined) {
      const { from, to } = accuracy.hours;
      const others = this.#tallies.filter(({ time }) => time <= from || time > to);
      this.#tallies = others.concat(structuredClone([...accuracy.tallies]));
    }
    return { refused: [], beyondBudget };
  }

  async latest(at: number) {
    const newest: SnapshotHeader[] = [];
    for (const snapshots of this.#byHost.values()) {
      const seen = [...snapshots.values()].filter((snapshot) => placedAt(snapshot) <= at && !snapshot.isFromFuture);
      const last = seen.reduce<Snapshot | null>(
        (best, one) => (best && placedAt(best) >= placedAt(one) ? best : one),
        null,
      );
      if (last) newest.push(headerOf(last));
    }
    return newest.sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  async headers(window: TimeWindow) {
    return [...this.#within(window)].map(headerOf);
  }

  async samples({ from, to }: TimeWindow) {
    return [...this.#series.values()].flatMap(({ series, kind, owner, values }) =>
      [...values]
        .filter(([time]) => time > from && time <= to)
        .map(([time, value]): MetricSample => ({ series, kind, owner, time, value })),
    );
  }

  async rows(keys: readonly SnapshotKey[], wanted: RowsWanted = {}) {
    const snapshots = keys
      .map((key) => this.#byHost.get(key.host)?.get(key.time))
      .filter((found) => found !== undefined);
    const { above, withinMs } = wanted;
    const wasAbove = above && withinMs !== undefined ? this.#namesAbove(keys, above, withinMs) : new Set<string>();
    return wantedOf(
      snapshots.flatMap((snapshot) => [...rowsIn(snapshot)]),
      wanted,
      (row) => wasAbove.has(nameKey(row)),
    );
  }

  async means(query: MeanQuery) {
    const means = [...groupBy(this.#rows(query, query), (row) => row.name)].map(([name, group]) => meanOf(name, group));
    if (query.top === undefined) refuseTooMany(means.length);
    return means.sort((a, b) => (b.cpu ?? -1) - (a.cpu ?? -1)).slice(0, query.top);
  }

  /** It has nothing but rows. */
  async resolution() {
    return 'raw' as const;
  }

  async page(query: PageQuery) {
    return toTable([...this.#rows(query, query)].sort(byTimeHostName).slice(query.skip, query.skip + query.limit));
  }

  async select(query: SelectQuery, { signal }: Reading = {}): Promise<Selected[]> {
    const { series: wanted } = query;
    const series =
      'metric' in wanted ? await selectedOf(wanted, this.#seriesIn(query, wanted.metric), query, signal) : wanted;
    return series.map((each) => ({ series: each, samples: inSteps(this.#samples(each, query), query) }));
  }

  statistics(query: StatisticsQuery, reading: Reading = {}) {
    return statisticsOfSamples((wanted, bounds) => this.select(wanted, bounds), query, reading);
  }

  async above(selector: Selector, level: number, window: TimeWindow, { signal }: Reading = {}) {
    const { metric, matchers } = selector;
    const named = await fitting(filterTest({ metrics: [metric], matchers }), this.#seriesIn(window, metric), signal);
    return [...named.values()].filter((series) =>
      this.#samples(series, window).some((sample) => isKnown(sample) && sample.value > level),
    );
  }

  async forecasts({ from, to, ...filter }: ForecastQuery) {
    const fits = filterTest(filter);
    const found = this.#forecasts.filter(({ time, series }) => time > from && time <= to && fits(series));
    return found.sort((a, b) => a.time - b.time);
  }

  async tallies({ from, to, ...filter }: ForecastQuery) {
    const fits = filterTest(filter);
    const found = this.#tallies.filter(({ time, series }) => time > from && time <= to && fits(series));
    return [...groupBy(found, ({ series }) => seriesKey(series)).values()].map((hours) => {
      const last = hours.toSorted((a, b) => a.time - b.time).at(-1) as HourTally;
      return { ...last, tally: addTallies(hours.map(({ tally }) => tally)) };
    });
  }

  async expire(at: number): Promise<void> {
    const oldest = at - this.#options.retentionMs;
    this.#forecasts = this.#forecasts.filter((forecast) => forecast.time >= oldest);
    this.#tallies = this.#tallies.filter((hour) => hour.time >= oldest);
    for (const [host, snapshots] of this.#byHost) {
      for (const time of snapshots.keys()) if (time < oldest) snapshots.delete(time);
      if (snapshots.size === 0) this.#byHost.delete(host);
    }
    for (const [key, { values }] of this.#series) {
      for (const time of values.keys()) if (time < oldest) values.delete(time);
      if (values.size === 0) this.#series.delete(key);
    }
  }

  /** It is all in memory. */
  async compact(): Promise<void> {}

  async disk(): Promise<null> {
    return null;
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {}

  #addSnapshot(snapshot: Snapshot): void {
    const stored = this.#byHost.get(snapshot.host) ?? new Map<number, Snapshot>();
    this.#byHost.set(snapshot.host, stored);
    if (stored.has(snapshot.time)) return;
    admitNames(snapshot, this.#names, this.#nameBudget, this.#now(), this.#options.warn);
    stored.set(snapshot.time, structuredClone(snapshot));
  }

  /** @returns whether its series is within the budget */
  #addSample({ series, kind, time, value, owner }: MetricSample): boolean {
    const key = seriesKey(series);
    let kept = this.#series.get(key);
    if (kept === undefined) {
      if (!admitSeries(owner, this.#seriesBudget, this.#now(), this.#options.warn)) return false;
      kept = { series, kind, owner, values: new Map() };
      this.#series.set(key, kept);
    }
    if (!kept.values.has(time)) kept.values.set(time, value);
    return true;
  }

  *#within(window: TimeWindow, filter: UsageFilter = {}): Iterable<Snapshot> {
    for (const [host, snapshots] of this.#byHost) {
      if (filter.hosts && !filter.hosts.includes(host)) continue;
      for (const snapshot of snapshots.values()) {
        if (filter.ip !== undefined && snapshot.ip !== filter.ip) continue;
        if (snapshot.time > window.from && snapshot.time <= window.to) yield snapshot;
      }
    }
  }

  *#rows(window: TimeWindow, filter: UsageFilter): Iterable<UsageRow> {
    for (const snapshot of this.#within(window, filter)) yield* rowsIn(snapshot, filter.process);
  }

  /** The names that were above within so long before, by host and name. */
  #namesAbove(keys: readonly SnapshotKey[], above: Above, withinMs: number): Set<string> {
    const over = keys.flatMap(({ host, time }) =>
      [...this.#rows({ from: time - withinMs, to: time }, { hosts: [host] })].filter((row) => isAbove(row, above)),
    );
    return new Set(over.map(nameKey));
  }

  /** The series of a name that have samples in the window, some of them often. */
  *#seriesIn(window: TimeWindow, metric: string): Iterable<Series> {
    const family = familyOf(metric);
    if (family.family === 'metric') {
      for (const { series, values } of this.#series.values())
        if (series.metric === metric && [...values.keys()].some((time) => time > window.from && time <= window.to))
          yield series;
      return;
    }
    for (const snapshot of this.#within(window)) {
      if (family.family === 'host') yield hostSeries(family.column, snapshot.host);
      else for (const name of snapshot.processes.name) yield processSeries(family.column, snapshot.host, name);
    }
  }

  #samples(series: Series, window: TimeWindow): Sample[] {
    const family = familyOf(series.metric);
    if (family.family === 'metric') return this.#ofOtherSource(series, window);
    const { host = '', process = '' } = series.labels;
    const samples = [...this.#within(window, { hosts: [host] })].map(({ time, metrics, processes }): Sample => {
      if (family.family === 'host') return { time, value: metrics[family.column] ?? null };
      const index = processes.name.indexOf(process);
      return { time, value: index < 0 ? 'exited' : (processes[family.column][index] ?? null) };
    });
    return samples.sort((a, b) => a.time - b.time);
  }

  #ofOtherSource(series: Series, { from, to }: TimeWindow): Sample[] {
    const kept = this.#series.get(seriesKey(series));
    if (kept === undefined) return [];
    const points = [...kept.values].map(([time, value]) => ({ time, value })).filter(({ time }) => time <= to);
    return toldOf(
      kept.kind,
      points.sort((a, b) => a.time - b.time),
      from,
    );
  }
}

function headerOf({ processes: _, ...header }: Snapshot): SnapshotHeader {
  return { ...header, metrics: { ...header.metrics } };
}

function* rowsIn(snapshot: Snapshot, process?: string): Iterable<UsageRow> {
  const { host, time, processes } = snapshot;
  for (const [index, name] of processes.name.entries()) {
    if (process === undefined || name === process) yield { host, time, ...usageAt(processes, index) };
  }
}

function meanOf(name: string, rows: readonly UsageRow[]): MeanRow {
  const means = meanColumnIds.map((id) => {
    const known = rows.map((row) => row[id]).filter((value) => value !== null);
    if (known.length === 0) return [id, null];
    const isPeak = processColumn(id).overTime === 'peak';
    return [id, isPeak ? Math.max(...known) : known.reduce((sum, value) => sum + value, 0) / known.length];
  });
  const hosts = new Set(rows.map((row) => row.host)).size;
  return { ...Object.fromEntries(means), name, hosts, snapshots: rows.length };
}
