import { MonitorError, messageOf } from '../../core/error.ts';
import type { Forecast } from '../../core/forecast.ts';
import { groupBy } from '../../core/group-by.ts';
import { maxAheadMs, placedAt } from '../../core/host-clock.ts';
import { type Snapshot, type SnapshotHeader, usageMetrics } from '../../core/snapshot.ts';
import type {
  Above,
  DetailedQuery,
  ForecastQuery,
  MeanQuery,
  MeanRow,
  Point,
  RunQuery,
  SeriesKey,
  SnapshotKey,
  Store,
  TimeWindow,
  UsageFilter,
} from '../../core/store.ts';
import { byTimeHostName, runStart, type UsageRow } from '../../core/store.ts';
import { binByTime } from '../bin-by-time.ts';
import { GroupCommit } from '../group-commit.ts';
import type { InfluxCredentials, OpenOptions } from '../open-options.ts';
import { bootstrap } from './bootstrap.ts';
import { InfluxConnection, isAway, PastRetention, parseAddress, type Row } from './connection.ts';
import { decodeName } from './name-codec.ts';
import { numberOf, toForecast, toForecastPoint, toHeader, toPoints, toUsage, triedPoint } from './points.ts';
import {
  addressStatements,
  detailedStatement,
  forecastsStatement,
  headerStatement,
  hostsStatement,
  lastPlacedStatement,
  meanStatements,
  type PointFilter,
  peaksStatement,
  pointsStatement,
  rightStatement,
  rowsStatement,
  stepMeansStatement,
  triedStatement,
} from './queries.ts';

/** A point as an object and then as a line, in memory. */
const pointBytes = 250;
/** Bytes in one request, some 5,000 points (what InfluxDB takes fastest), and bytes waiting, at most. */
const limits = { group: 5_000 * pointBytes, queue: 64 * 1024 ** 2 };
/** While InfluxDB is away it is looked for at most so often. */
const prepareEveryMs = 2_000;
/** Series asked for in one query. */
const seriesPerQuery = 50;

/**
 * InfluxDB 1.6 to 3.x. A repeated snapshot overwrites the same points, so a retry is stored once; a
 * different body for the same (host, time) would win over the first.
 * While InfluxDB is away everything is `unavailable`; when it comes it is set up then.
 * @throws MonitorError `invalid` for the url, `unavailable` when what it answers cannot be worked with
 */
export async function openInfluxdbStore(
  url: string,
  options: OpenOptions,
  credentials: InfluxCredentials,
): Promise<Store> {
  const address = parseAddress(url);
  const connection = new InfluxConnection(address, credentials);
  const prepare = () => bootstrap(connection, address.database, { ...options, ...credentials });
  const store = new InfluxdbStore(url, options.retentionMs, connection, prepare);
  await store.prepare().catch((error: unknown) => {
    if (!isAway(error)) throw error;
    options.warn(`${messageOf(error)}; the server starts without it, answers 503, and takes over when it is there`);
  });
  return store;
}

class InfluxdbStore implements Store {
  readonly url: string;
  readonly expiresItself = true;
  readonly #retentionMs: number;
  readonly #connection: InfluxConnection;
  readonly #commit: GroupCommit<Snapshot>;
  readonly #prepareOnce: () => Promise<void>;
  /** Null: to be tried. */
  #prepared: Promise<void> | null = null;
  /** Those that InfluxDB has refused for their age. */
  readonly #refused = new WeakSet<Snapshot>();

  constructor(url: string, retentionMs: number, connection: InfluxConnection, prepare: () => Promise<void>) {
    this.#prepareOnce = prepare;
    this.url = url;
    this.#retentionMs = retentionMs;
    this.#connection = connection;
    this.#commit = new GroupCommit(
      (group) => this.#write(group),
      (snapshot) => (snapshot.processes.name.length + 1) * pointBytes,
      limits,
    );
  }

  /** Finds out what InfluxDB this is and sets it up, unless that has been done. Whoever comes meanwhile waits for the same. */
  prepare(): Promise<void> {
    if (this.#prepared === null) {
      const trying = this.#prepareOnce();
      this.#prepared = trying;
      // A while later somebody else may try again.
      trying.catch(() => setTimeout(() => (this.#prepared = null), prepareEveryMs).unref());
    }
    return this.#prepared;
  }

  async write(snapshots: readonly Snapshot[]): Promise<Snapshot[]> {
    await this.#commit.addAll(snapshots);
    return snapshots.filter((snapshot) => this.#refused.has(snapshot));
  }

  /** Where it cannot be told which of a group are too old, the group is written once more, each alone. */
  async #write(group: readonly Snapshot[]): Promise<void> {
    await this.prepare();
    try {
      await this.#connection.write(group.flatMap(toPoints));
    } catch (error) {
      const refused = error instanceof PastRetention ? refusedOf(group, error.points) : null;
      if (refused === null) throw error;
      for (const snapshot of refused) this.#refused.add(snapshot);
    }
  }

  async hosts(at: number) {
    const from = at - this.#retentionMs;
    const byTime = (await this.#query(hostsStatement({ from, to: at }))).map(toHeader);
    const newest = new Map(byTime.filter((header) => placedAt(header) <= at).map((header) => [header.host, header]));
    const candidates = [
      ...(await this.#rightOnes(byTime, { from, to: at })),
      ...(await this.#placedElsewhere({ from, to: at + maxAheadMs }, at, newest)),
    ];
    for (const header of candidates)
      if (placedAt(header) > placedOf(newest.get(header.host))) newest.set(header.host, header);
    return [...newest.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  /** Of hosts whose newest was taken by a clock that is off, the newest of when it was right. */
  async #rightOnes(byTime: readonly SnapshotHeader[], window: TimeWindow): Promise<SnapshotHeader[]> {
    const hosts = byTime.filter((header) => placedAt(header) !== header.time).map(({ host }) => host);
    return hosts.length === 0 ? [] : (await this.#query(rightStatement(window, hosts))).map(toHeader);
  }

  /** Of hosts whose clocks are off, the last at or before `at` by the server's time where that is not in `newest`. */
  async #placedElsewhere(
    window: TimeWindow,
    at: number,
    newest: ReadonlyMap<string, SnapshotHeader>,
  ): Promise<SnapshotHeader[]> {
    const rows = await this.#query(lastPlacedStatement(window, at));
    const keys = rows
      .map((row) => ({ host: decodeName(String(row.host)), time: Number(row.time), placed: Number(row.placed) }))
      .filter(({ host, placed }) => placed > placedOf(newest.get(host)));
    if (keys.length === 0) return [];
    const found = await this.#connection.query(keys.map(headerStatement));
    return found.flat().map(toHeader);
  }

  async rowsOf(snapshots: readonly SnapshotKey[], above?: Above) {
    if (above && Object.keys(above).length === 0) return [];
    const wanted = new Set(snapshots.map(keyOf));
    const bins = await Promise.all(binByTime(snapshots).map((bin) => this.#query(rowsStatement(bin, above))));
    return bins
      .flat()
      .map(toUsage)
      .filter((row) => wanted.has(keyOf(row)));
  }

  async mean(query: MeanQuery) {
    const filter = await this.#filterOf(query);
    if (filter === null) return [];
    const [means = [], hosts = []] = await this.#connection.query(meanStatements(query, filter));
    const hostCounts = new Map(hosts.map((row) => [row.process, Number(row.hosts)]));
    const rows = means.map((row) => toMean(row, hostCounts.get(row.process as string) ?? 0));
    return rows.sort((a, b) => (b.cpu ?? -1) - (a.cpu ?? -1)).slice(0, query.top);
  }

  async detailed(query: DetailedQuery) {
    const filter = await this.#filterOf(query);
    if (filter === null) return [];
    const end = query.skip + query.limit;
    const rows = (await this.#query(detailedStatement(query, filter, end))).map(toUsage);
    return (await this.#completeLastInstant(rows, filter, end)).sort(byTimeHostName).slice(query.skip, end);
  }

  /** InfluxDB gives the rows of one instant in any order: for pages that join up, the one cut off is read whole. */
  async #completeLastInstant(rows: UsageRow[], filter: PointFilter, end: number): Promise<UsageRow[]> {
    const last = rows.at(-1)?.time;
    if (last === undefined || rows.length < end) return rows;
    const whole = await this.#query(detailedStatement({ from: last - 1, to: last }, filter, Infinity));
    return [...rows.filter((row) => row.time < last), ...whole.map(toUsage)];
  }

  async runs(queries: readonly RunQuery[], window: TimeWindow) {
    const points = await this.#points(
      queries.map((query) => query.series),
      (series) => pointsStatement(series, window),
    );
    return queries.map((query) => runStart(points.get(seriesId(query.series)) ?? [], query));
  }

  async stepMeans(series: readonly SeriesKey[], window: TimeWindow, stepMs: number) {
    const points = await this.#points(series, (group) => stepMeansStatement(group, window, stepMs));
    return series.map((key) => points.get(seriesId(key)) ?? []);
  }

  /** `statement` asks for `value` of several series of one metric. By series id. */
  async #points(
    series: readonly SeriesKey[],
    statement: (group: readonly SeriesKey[]) => string,
  ): Promise<Map<string, Point[]>> {
    const points = new Map<string, Point[]>();
    for (const group of groupsOfOneMetric(series)) {
      const { kind, metric } = group[0] as SeriesKey;
      for (const row of await this.#query(statement(group))) {
        const value = numberOf(row.value);
        const id = seriesId(keyOfRow(row, kind, metric));
        const found = points.get(id) ?? [];
        points.set(id, found);
        if (value !== null) found.push({ time: Number(row.time), value });
      }
    }
    return points;
  }

  async seriesAbove(metric: SeriesKey['metric'], level: number, window: TimeWindow) {
    const kind = (usageMetrics as readonly string[]).includes(metric) ? 'process' : 'system';
    const rows = await this.#query(peaksStatement(metric, window));
    return rows.filter((row) => Number(row.value) > level).map((row) => keyOfRow(row, kind, metric));
  }

  async keepForecasts(forecasts: readonly Forecast[]): Promise<void> {
    await this.prepare();
    if (forecasts.length > 0) await this.#connection.write(forecasts.map(toForecastPoint)).catch(ignorePastRetention);
  }

  async forecasts(query: ForecastQuery) {
    return (await this.#query(forecastsStatement(query))).map(toForecast);
  }

  /** InfluxDB does so by itself. */
  async expire(): Promise<void> {}

  /** Writes a point and asks for it: a token may have been revoked, or the database dropped. */
  async ping(): Promise<void> {
    await this.prepare();
    await this.#connection.write([triedPoint()]);
    if ((await this.#query(triedStatement)).length === 0)
      throw new MonitorError('unavailable', 'InfluxDB does not give back what was just written');
  }

  async close(): Promise<void> {
    await this.#commit.exclusive(async () => undefined);
  }

  /**
   * Which points a query is about; null: none. Nearly always a host has one address in the whole window, and then
   * its name says all, also of points of before they carried the address.
   */
  async #filterOf({ ip, hosts, process, ...window }: UsageFilter & TimeWindow): Promise<PointFilter | null> {
    const rest = process === undefined ? {} : { process };
    if (hosts?.length === 0) return null;
    await this.prepare();
    if (ip === undefined) return { ...rest, ...(hosts && { hosts }) };
    const [having = [], all = []] = await this.#connection.query(addressStatements(window, ip, hosts));
    const [carried, total] = [snapshotCounts(having), snapshotCounts(all)];
    const partly = new Set(
      [...carried].filter(([name, count]) => count < (total.get(name) ?? 0)).map(([name]) => name),
    );
    const names = [...carried.keys()];
    if (names.length === 0) return null;
    return {
      ...rest,
      ip,
      hosts: names.filter((name) => !partly.has(name)).map(decodeName),
      partly: names.filter((name) => partly.has(name)).map(decodeName),
    };
  }

  async #query(statement: string): Promise<Row[]> {
    await this.prepare();
    const [rows = []] = await this.#connection.query([statement]);
    return rows;
  }
}

/** The oldest that make up so many points: a retention cuts by time. Null: they do not. */
function refusedOf(group: readonly Snapshot[], points: number | null): Snapshot[] | null {
  if (group.length === 1) return [...group];
  const byTime = group.toSorted((a, b) => a.time - b.time);
  let [count, sum] = [0, 0];
  for (; count < byTime.length && sum < (points ?? 0); count++) sum += (byTime[count]?.processes.name.length ?? 0) + 1;
  const isCut = count > 0 && sum === points && byTime[count]?.time !== byTime[count - 1]?.time;
  return isCut ? byTime.slice(0, count) : null;
}

function placedOf(header: SnapshotHeader | undefined): number {
  return header === undefined ? Number.NEGATIVE_INFINITY : placedAt(header);
}

/** Of each host; its series stand in more than one measurement. */
function snapshotCounts(rows: readonly Row[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { host, snapshots } of rows) counts.set(String(host), (counts.get(String(host)) ?? 0) + Number(snapshots));
  return counts;
}

function ignorePastRetention(error: unknown): void {
  if (!(error instanceof PastRetention)) throw error;
}

function toMean(row: Row, hosts: number): MeanRow {
  return {
    name: decodeName(String(row.process)),
    cpu: numberOf(row.cpu),
    memory: numberOf(row.memory),
    cpuMax: numberOf(row.cpu_max),
    memoryMax: numberOf(row.memory_max),
    count: Number(row.instances),
    hosts,
    snapshots: Number(row.snapshots),
  };
}

function keyOfRow(row: Row, kind: SeriesKey['kind'], metric: SeriesKey['metric']): SeriesKey {
  const host = decodeName(String(row.host));
  return (
    kind === 'process' ? { kind, host, process: decodeName(String(row.process)), metric } : { kind, host, metric }
  ) as SeriesKey;
}

function* groupsOfOneMetric(series: readonly SeriesKey[]): Iterable<SeriesKey[]> {
  for (const group of groupBy(series, (key) => key.metric).values()) {
    for (let from = 0; from < group.length; from += seriesPerQuery) yield group.slice(from, from + seriesPerQuery);
  }
}

function keyOf({ host, time }: SnapshotKey): string {
  return JSON.stringify([host, time]);
}

function seriesId(series: SeriesKey): string {
  return JSON.stringify([series.kind, series.host, series.kind === 'process' ? series.process : null, series.metric]);
}
