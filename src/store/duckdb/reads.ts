import { binByTime } from '../../core/bin-by-time.ts';
import { groupBy } from '../../core/group-by.ts';
import { type HostMetric, isUsageMetric, type UsageMetric } from '../../core/metric.ts';
import { runOf } from '../../core/run.ts';
import {
  type DetailedQuery,
  type ForecastQuery,
  type MeanQuery,
  mostNames,
  type Point,
  type Reading,
  type Reads,
  type RowsWanted,
  type RunQuery,
  refuseTooMany,
  type SeriesKey,
  type SnapshotKey,
  type TimeWindow,
  type UsageFilter,
  type UsageRow,
  type UsageTable,
} from '../../core/store.ts';
import type { Dictionary } from './dictionary.ts';
import type { NameTexts } from './name-texts.ts';
import {
  countSql,
  detailedSql,
  type ForecastIds,
  forecastsSql,
  hostsSql,
  hostsWithSql,
  type IdFilter,
  islandsSql,
  meanSql,
  type RunIds,
  type RunMetric,
  rowsSql,
  seriesAboveSql,
  stepMeansSql,
  talliesSql,
  toForecast,
  toHeader,
  toMean,
  toStretches,
  toTally,
  toUsage,
} from './queries.ts';
import type { Cost, Readers, Row } from './readers.ts';
import type { RowCounts } from './row-counts.ts';
import { TableBuilder } from './table-builder.ts';

/** A page is looked for in stretches of time that hold at most so many times its rows. */
const mostSurplus = 4;
/** Rows of one name or host are looked for in so many of all. */
const firstStretchRows = 200_000;

interface Parts {
  readers: Readers;
  hosts: Dictionary;
  names: NameTexts;
  counts: RowCounts;
}

/** What can be asked of the database. What a question costs is guessed from how many rows its window has. */
export class DuckdbReads implements Reads {
  readonly #readers: Readers;
  readonly #hosts: Dictionary;
  readonly #names: NameTexts;
  readonly #counts: RowCounts;

  constructor({ readers, hosts, names, counts }: Parts) {
    this.#readers = readers;
    this.#hosts = hosts;
    this.#names = names;
    this.#counts = counts;
  }

  async hosts(at: number, reading: Reading = {}) {
    const rows = await this.#readers.query(hostsSql(at), reading);
    const headers = rows.map((row) => toHeader(row, this.#hosts));
    const byHost = new Map(headers.map((header) => [header.host, header]));
    return [...byHost.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  async rowsOf(snapshots: readonly SnapshotKey[], wanted: RowsWanted = {}, reading: Reading = {}): Promise<UsageRow[]> {
    const keys = snapshots.flatMap(({ host, time }) => {
      const id = this.#hosts.find(host);
      return id === undefined ? [] : [{ host: id, time }];
    });
    const rows: Row[] = [];
    // One after the other: all at once they would fill the lane.
    for (const bin of binByTime(keys))
      for (const row of await this.#readers.query(rowsSql(bin, wanted), reading)) rows.push(row);
    const nameOf = await this.#namesIn(rows, reading);
    return rows.map((row) => toUsage(row, this.#hosts, nameOf));
  }

  async mean(query: MeanQuery, reading: Reading = {}) {
    const cost = this.#cost(query, reading);
    const filter = await this.#ids(query, cost);
    if (!filter) return [];
    const rows = await this.#readers.query(meanSql(query, filter, query.top ?? mostNames + 1), cost);
    refuseTooMany(rows.length);
    const nameOf = await this.#namesIn(rows, cost);
    return rows.map((row) => toMean(row, nameOf));
  }

  async detailed(query: DetailedQuery, reading: Reading = {}): Promise<UsageTable> {
    const { limit, skip } = query;
    const isNarrow = query.hosts !== undefined || query.ip !== undefined || query.process !== undefined;
    const all = this.#counts.rowsIn(query);
    const cost = { ...reading, rows: isNarrow ? all : Math.min(all, mostSurplus * (limit + skip) * 10) };
    const filter = await this.#ids(query, cost);
    let table = new TableBuilder(0);
    // What was counted may have expired before it is read.
    for (let to = Number.NEGATIVE_INFINITY; filter && table.rows < limit && to < query.to; ) {
      const page = await this.#pageEnd(query, filter, skip + limit, cost);
      to = page.to;
      const most = Math.min(limit, Math.max(0, page.rows - skip));
      table = new TableBuilder(most);
      const sql = detailedSql({ from: query.from, to }, filter, most, skip);
      await this.#readers.chunks(sql, cost, (columns) => table.add(columns));
    }
    const nameOf = await this.#names.of(table.names(), cost);
    return table.build((id) => this.#hosts.text(id), nameOf);
  }

  /**
   * The end of a stretch from the window's beginning on that has so many rows, and not many more, and how many: of a
   * long window only so much has to be sorted.
   */
  async #pageEnd(
    { from, to }: TimeWindow,
    filter: IdFilter,
    rows: number,
    cost: Cost,
  ): Promise<{ to: number; rows: number }> {
    let [end, found] = [from, 0];
    let length = this.#counts.stretch({ from, to }, Math.max(rows, firstStretchRows));
    while (end < to) {
      const next = Math.min(to, end + length);
      const [row] = await this.#readers.query(countSql({ from: end, to: next }, filter), cost);
      const count = row?.rows as number;
      if (found + count > mostSurplus * rows && length > 1) length = Math.ceil(length / 4);
      else {
        found += count;
        end = next;
        if (found >= rows) return { to: end, rows: found };
        length *= count * 4 < rows ? 4 : 1;
      }
    }
    return { to, rows: found };
  }

  async runs(queries: readonly RunQuery[], window: TimeWindow, reading: Reading = {}) {
    const cost = this.#cost(window, reading);
    const idOf = await this.#seriesIds(
      queries.map(({ series }) => series),
      cost,
    );
    const known = queries.flatMap(({ series, ...levels }, index): (RunIds & { metric: RunMetric })[] => {
      const ids = idOf(series);
      return ids ? [{ ...levels, index, ...ids, metric: series.metric }] : [];
    });
    const islands = new Map<number, Row[]>();
    for (const [metric, group] of groupBy(known, (query) => query.metric)) {
      const rows = await this.#readers.query(islandsSql(metric, group, window), this.#costOf(metric, cost));
      for (const [index, ofOne] of groupBy(rows.reverse(), (row) => row.i as number)) islands.set(index, ofOne);
    }
    return queries.map((query, index) => runOf(toStretches(islands.get(index) ?? [], query.gapMs), query));
  }

  async stepMeans(series: readonly SeriesKey[], window: TimeWindow, stepMs: number, reading: Reading = {}) {
    const cost = this.#cost(window, reading);
    const idOf = await this.#seriesIds(series, cost);
    const points: Point[][] = series.map(() => []);
    const known = series.flatMap((key, index) => {
      const ids = idOf(key);
      return ids ? [{ ...ids, index, metric: key.metric as RunMetric }] : [];
    });
    for (const [metric, group] of groupBy(known, (ids) => ids.metric)) {
      const rows = await this.#readers.query(stepMeansSql(metric, group, window, stepMs), this.#costOf(metric, cost));
      for (const row of rows)
        if (row.value !== null) points[row.i as number]?.push({ time: row.step as number, value: row.value as number });
    }
    return points;
  }

  async seriesAbove(metric: RunMetric, level: number, window: TimeWindow, reading: Reading = {}): Promise<SeriesKey[]> {
    const cost = this.#costOf(metric, this.#cost(window, reading));
    const rows = await this.#readers.query(seriesAboveSql(metric, level, window), cost);
    const nameOf = await this.#namesIn(rows, cost);
    return rows.map((row) => {
      const host = this.#hosts.text(row.host as number);
      if (row.name === null) return { kind: 'system', host, metric: metric as HostMetric };
      return { kind: 'process', host, process: nameOf(row.name as number), metric: metric as UsageMetric };
    });
  }

  forecasts(query: ForecastQuery, reading: Reading = {}) {
    return this.#ofSubject(query, reading, forecastsSql, toForecast);
  }

  tallies(query: ForecastQuery, reading: Reading = {}) {
    return this.#ofSubject(query, reading, talliesSql, toTally);
  }

  async #ofSubject<T>(
    query: ForecastQuery,
    reading: Reading,
    sqlOf: (window: TimeWindow, ids: ForecastIds) => string,
    toItem: (row: Row, hosts: Dictionary, nameOf: (id: number) => string) => T,
  ): Promise<T[]> {
    const ids = await this.#subjectIds(query, reading);
    if (ids === null) return [];
    const rows = await this.#readers.query(sqlOf(query, ids), reading);
    const nameOf = await this.#namesIn(rows, reading);
    return rows.map((row) => toItem(row, this.#hosts, nameOf));
  }

  /** Null: none of these was ever stored. */
  async #subjectIds({ host, process, metric }: ForecastQuery, reading: Reading): Promise<ForecastIds | null> {
    const hostId = host === undefined ? undefined : this.#hosts.find(host);
    const name = process == null ? process : await this.#names.find(process, reading);
    if ((host !== undefined && hostId === undefined) || (process != null && name === undefined)) return null;
    return {
      ...(hostId !== undefined && { host: hostId }),
      ...(name !== undefined && { name }),
      ...(metric !== undefined && { metric }),
    };
  }

  #cost(window: TimeWindow, reading: Reading): Cost {
    return { ...reading, rows: this.#counts.rowsIn(window) };
  }

  /** Metrics of hosts have a row for each snapshot only. */
  #costOf(metric: RunMetric, cost: Cost): Cost {
    return isUsageMetric(metric) ? cost : { ...cost, rows: this.#counts.snapshotsIn(cost.rows ?? 0) };
  }

  #namesIn(rows: readonly { name?: unknown }[], reading: Reading): Promise<(id: number) => string> {
    const ids = new Set<number>();
    for (const { name } of rows) if (typeof name === 'number') ids.add(name);
    return this.#names.of(ids, reading);
  }

  /** What gives the ids of a series; null when its host or process was never stored. */
  async #seriesIds(
    all: readonly SeriesKey[],
    reading: Reading,
  ): Promise<(series: SeriesKey) => { host: number; name: number | null } | null> {
    const texts = all.flatMap((series) => (series.kind === 'process' ? [series.process] : []));
    const ids = await this.#names.findAll(texts, reading);
    return (series) => {
      const host = this.#hosts.find(series.host);
      const name = series.kind === 'process' ? ids.get(series.process) : null;
      return host === undefined || name === undefined ? null : { host, name };
    };
  }

  /** Names and the address as ids; null when what is asked for was never stored. */
  async #ids(filter: UsageFilter & TimeWindow, cost: Cost): Promise<IdFilter | null> {
    const hosts = filter.hosts?.map((host) => this.#hosts.find(host)).filter((id) => id !== undefined);
    const name = filter.process === undefined ? undefined : await this.#names.find(filter.process, cost);
    if (hosts?.length === 0 || (filter.process !== undefined && name === undefined)) return null;
    const ofHosts =
      filter.ip === undefined ? { ...(hosts && { hosts }) } : await this.#withIp(filter.ip, filter, hosts, cost);
    return ofHosts && { ...ofHosts, ...(name !== undefined && { name }) };
  }

  /** Nearly always a host has one address in the whole window, and then its id says all. */
  async #withIp(ip: string, window: TimeWindow, hosts: number[] | undefined, cost: Cost): Promise<IdFilter | null> {
    const rows = await this.#readers.query(hostsWithSql(window, ip, hosts), cost);
    if (rows.length === 0) return null;
    const idsOf = (whole: boolean) => rows.filter((row) => row.whole === whole).map((row) => row.host as number);
    const partly = idsOf(false);
    return { hosts: idsOf(true), ...(partly.length > 0 && { partly: { hosts: partly, ip } }) };
  }
}
