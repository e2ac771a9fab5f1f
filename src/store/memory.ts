import { type Forecast, type ForecastSubject, subjectKey } from '../core/forecast.ts';
import { groupBy } from '../core/group-by.ts';
import { placedAt } from '../core/host-clock.ts';
import { type HostMetric, isUsageMetric, meanColumnIds, processColumn, type UsageMetric } from '../core/metric.ts';
import { runOf, type Sample, stretchesOf } from '../core/run.ts';
import { type Snapshot, type SnapshotHeader, usageAt } from '../core/snapshot.ts';
import {
  type Above,
  byTimeHostName,
  type DetailedQuery,
  isAbove,
  type MeanQuery,
  type MeanRow,
  meansByStep,
  nameKey,
  newNamesDefault,
  type Point,
  type RowsWanted,
  refuseTooMany,
  type SeriesKey,
  type SnapshotKey,
  type Store,
  type StoreOptions,
  type TimeWindow,
  toTable,
  type UsageFilter,
  type UsageRow,
  wantedOf,
} from '../core/store.ts';
import { addTallies, type HourTally } from '../core/tally.ts';
import { admitNames, NameBudget } from './name-budget.ts';

/** `memory:` keeps everything in this process and forgets it with it: for tests and for a quick look. */
export function openMemoryStore(options: StoreOptions): Store {
  /** By host, then by time. */
  const byHost = new Map<string, Map<number, Snapshot>>();

  function* within(window: TimeWindow, filter: UsageFilter = {}): Iterable<Snapshot> {
    for (const [host, snapshots] of byHost) {
      if (filter.hosts && !filter.hosts.includes(host)) continue;
      for (const snapshot of snapshots.values()) {
        if (filter.ip !== undefined && snapshot.ip !== filter.ip) continue;
        if (snapshot.time > window.from && snapshot.time <= window.to) yield snapshot;
      }
    }
  }

  function* rows(window: TimeWindow, filter: UsageFilter): Iterable<UsageRow> {
    for (const snapshot of within(window, filter)) yield* rowsIn(snapshot, filter.process);
  }

  let kept: Forecast[] = [];
  let tallies: HourTally[] = [];
  const { newNamesPerDay = newNamesDefault, now = Date.now, warn } = options;
  const budget = new NameBudget<string>(newNamesPerDay);
  const known = new Set<string>();

  /** The names that were above within so long before, by host and name. */
  function namesAbove(keys: readonly SnapshotKey[], above: Above, withinMs: number): Set<string> {
    const over = keys.flatMap(({ host, time }) =>
      [...rows({ from: time - withinMs, to: time }, { hosts: [host] })].filter((row) => isAbove(row, above)),
    );
    return new Set(over.map(nameKey));
  }

  function samplesOf(series: SeriesKey, window: TimeWindow): Sample[] {
    const samples = [...within(window, { hosts: [series.host] })].map((snapshot): Sample => {
      const { time, metrics, processes } = snapshot;
      if (series.kind === 'system') return { time, value: metrics[series.metric] ?? null };
      return {
        time,
        value: processes.name.includes(series.process) ? (usageValue(snapshot, series) ?? null) : 'exited',
      };
    });
    return samples.sort((a, b) => a.time - b.time);
  }

  function pointsOf(series: SeriesKey, window: TimeWindow): Point[] {
    return samplesOf(series, window).filter((sample): sample is Point => typeof sample.value === 'number');
  }

  return {
    url: 'memory:',
    expiresItself: false,
    async write(snapshots) {
      for (const snapshot of snapshots) {
        const stored = byHost.get(snapshot.host) ?? new Map<number, Snapshot>();
        byHost.set(snapshot.host, stored);
        if (stored.has(snapshot.time)) continue;
        admitNames(snapshot, known, budget, now(), warn);
        stored.set(snapshot.time, structuredClone(snapshot));
      }
      return [];
    },
    async hosts(at) {
      const newest: SnapshotHeader[] = [];
      for (const snapshots of byHost.values()) {
        const seen = [...snapshots.values()].filter((snapshot) => placedAt(snapshot) <= at && !snapshot.isFromFuture);
        const last = seen.reduce<Snapshot | null>(
          (best, one) => (best && placedAt(best) >= placedAt(one) ? best : one),
          null,
        );
        if (last) newest.push(headerOf(last));
      }
      return newest.sort((a, b) => (a.host < b.host ? -1 : 1));
    },
    async rowsOf(keys: readonly SnapshotKey[], wanted: RowsWanted = {}) {
      const snapshots = keys.map((key) => byHost.get(key.host)?.get(key.time)).filter((found) => found !== undefined);
      const { above, withinMs } = wanted;
      const wasAbove = above && withinMs !== undefined ? namesAbove(keys, above, withinMs) : new Set<string>();
      return wantedOf(
        snapshots.flatMap((snapshot) => [...rowsIn(snapshot)]),
        wanted,
        (row) => wasAbove.has(nameKey(row)),
      );
    },
    async mean(query: MeanQuery) {
      const means = [...groupBy(rows(query, query), (row) => row.name)].map(([name, group]) => meanOf(name, group));
      if (query.top === undefined) refuseTooMany(means.length);
      return means.sort((a, b) => (b.cpu ?? -1) - (a.cpu ?? -1)).slice(0, query.top);
    },
    async detailed(query: DetailedQuery) {
      return toTable([...rows(query, query)].sort(byTimeHostName).slice(query.skip, query.skip + query.limit));
    },
    async runs(queries, window) {
      return queries.map((query) => runOf(stretchesOf(samplesOf(query.series, window), query), query));
    },
    async stepMeans(series, window, stepMs) {
      return series.map((key) => meansByStep(pointsOf(key, window), stepMs));
    },
    async seriesAbove(metric, level, window) {
      const keys = [...within(window)].flatMap((snapshot) => keysOf(snapshot, metric));
      const distinct = new Map(keys.map((key) => [JSON.stringify(key), key]));
      return [...distinct.values()].filter((key) => pointsOf(key, window).some(({ value }) => value > level));
    },
    async keepForecasts(forecasts) {
      kept.push(...structuredClone(forecasts));
    },
    async forecasts({ from, to, ...subject }) {
      const found = kept.filter(
        (forecast) => forecast.time > from && forecast.time <= to && isAbout(forecast, subject),
      );
      return found.sort((a, b) => a.time - b.time);
    },
    async keepTallies({ from, to }, kept) {
      tallies = tallies.filter(({ time }) => time <= from || time > to).concat(structuredClone([...kept]));
    },
    async tallies({ from, to, ...subject }) {
      const found = tallies.filter((hour) => hour.time > from && hour.time <= to && isAbout(hour, subject));
      return [...groupBy(found, subjectKey).values()].map((hours) => {
        const last = hours.toSorted((a, b) => a.time - b.time).at(-1) as HourTally;
        return { ...last, tally: addTallies(hours.map(({ tally }) => tally)) };
      });
    },
    async expire(at) {
      const oldest = at - options.retentionMs;
      kept = kept.filter((forecast) => forecast.time >= oldest);
      tallies = tallies.filter((hour) => hour.time >= oldest);
      for (const [host, snapshots] of byHost) {
        for (const time of snapshots.keys()) if (time < oldest) snapshots.delete(time);
        if (snapshots.size === 0) byHost.delete(host);
      }
    },
    async ping() {},
    async close() {},
  };
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

function usageValue(snapshot: Snapshot, series: { process: string; metric: UsageMetric }) {
  const index = snapshot.processes.name.indexOf(series.process);
  return index < 0 ? null : snapshot.processes[series.metric][index];
}

function keysOf(snapshot: Snapshot, metric: UsageMetric | HostMetric): SeriesKey[] {
  const { host } = snapshot;
  if (!isUsageMetric(metric)) return [{ kind: 'system', host, metric }];
  return snapshot.processes.name.map((process) => ({ kind: 'process', host, process, metric }));
}

function isAbout(item: ForecastSubject, { host, process, metric }: Partial<ForecastSubject>): boolean {
  const isSame = <T>(wanted: T | undefined, value: T) => wanted === undefined || wanted === value;
  return isSame(host, item.host) && isSame(process, item.process) && isSame(metric, item.metric);
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
