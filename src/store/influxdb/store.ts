import type { Forecast } from '../../core/forecast.ts';
import { groupBy } from '../../core/group-by.ts';
import { type Snapshot, usageMetrics } from '../../core/snapshot.ts';
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
} from '../../core/store.ts';
import { byTimeHostName, runStart, type UsageRow } from '../../core/store.ts';
import { binByTime } from '../bin-by-time.ts';
import { GroupCommit } from '../group-commit.ts';
import type { InfluxCredentials, OpenOptions } from '../open-options.ts';
import { bootstrap } from './bootstrap.ts';
import { InfluxConnection, parseAddress, type Row } from './connection.ts';
import { decodeName } from './name-codec.ts';
import { numberOf, toForecast, toForecastPoint, toHeader, toPoints, toUsage } from './points.ts';
import {
  detailedStatement,
  forecastsStatement,
  hostsStatement,
  meanStatements,
  peaksStatement,
  pointsStatement,
  rowsStatement,
  stepMeansStatement,
} from './queries.ts';

/** A point as an object and then as a line, in memory. */
const pointBytes = 250;
/** Bytes in one request, some 5,000 points (what InfluxDB takes fastest), and bytes waiting, at most. */
const limits = { group: 5_000 * pointBytes, queue: 64 * 1024 ** 2 };
/** Series asked for in one query. */
const seriesPerQuery = 50;

/**
 * InfluxDB 1.6 to 3.x. A repeated snapshot overwrites the same points, so a retry is stored once; a
 * different body for the same (host, time) would win over the first.
 * @throws MonitorError `invalid` for the url, `unavailable` when the server or its database is out of reach
 */
export async function openInfluxdbStore(
  url: string,
  options: OpenOptions,
  credentials: InfluxCredentials,
): Promise<Store> {
  const address = parseAddress(url);
  const connection = new InfluxConnection(address, credentials);
  const version = await connection.version();
  await bootstrap(version, connection, address.database, { ...options, org: credentials.org });
  return new InfluxdbStore(url, options.retentionMs, connection);
}

class InfluxdbStore implements Store {
  readonly url: string;
  readonly #retentionMs: number;
  readonly #connection: InfluxConnection;
  readonly #commit: GroupCommit<Snapshot>;

  constructor(url: string, retentionMs: number, connection: InfluxConnection) {
    this.url = url;
    this.#retentionMs = retentionMs;
    this.#connection = connection;
    this.#commit = new GroupCommit(
      (group) => connection.write(group.flatMap(toPoints)),
      (snapshot) => (snapshot.processes.name.length + 1) * pointBytes,
      limits,
    );
  }

  async write(snapshots: readonly Snapshot[]): Promise<void> {
    await this.#commit.addAll(snapshots);
  }

  async hosts(at: number) {
    const rows = await this.#query(hostsStatement({ from: at - this.#retentionMs, to: at }));
    return rows.map(toHeader).sort((a, b) => (a.host < b.host ? -1 : 1));
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
    if (query.hosts?.length === 0) return [];
    const [means = [], hosts = []] = await this.#connection.query(meanStatements(query, query));
    const hostCounts = new Map(hosts.map((row) => [row.process, Number(row.hosts)]));
    const rows = means.map((row) => toMean(row, hostCounts.get(row.process as string) ?? 0));
    return rows.sort((a, b) => (b.cpu ?? -1) - (a.cpu ?? -1)).slice(0, query.top);
  }

  async detailed(query: DetailedQuery) {
    if (query.hosts?.length === 0) return [];
    const end = query.skip + query.limit;
    const rows = (await this.#query(detailedStatement(query, query, end))).map(toUsage);
    return (await this.#completeLastInstant(rows, query, end)).sort(byTimeHostName).slice(query.skip, end);
  }

  /** InfluxDB gives the rows of one instant in any order: for pages that join up, the one cut off is read whole. */
  async #completeLastInstant(rows: UsageRow[], query: DetailedQuery, end: number): Promise<UsageRow[]> {
    const last = rows.at(-1)?.time;
    if (last === undefined || rows.length < end) return rows;
    const whole = await this.#query(detailedStatement({ from: last - 1, to: last }, query, Infinity));
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
    if (forecasts.length > 0) await this.#connection.write(forecasts.map(toForecastPoint));
  }

  async forecasts(query: ForecastQuery) {
    return (await this.#query(forecastsStatement(query))).map(toForecast);
  }

  /** InfluxDB does so by itself. */
  async expire(): Promise<void> {}

  async ping(): Promise<void> {
    await this.#connection.version();
  }

  async close(): Promise<void> {
    await this.#commit.exclusive(async () => undefined);
  }

  async #query(statement: string): Promise<Row[]> {
    const [rows = []] = await this.#connection.query([statement]);
    return rows;
  }
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
