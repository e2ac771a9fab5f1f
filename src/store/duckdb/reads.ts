import { VARCHAR } from '@duckdb/node-api';
import { mostNamed, mostNames, refuseTooMany } from '../../core/answer-bounds.ts';
import { binByTime } from '../../core/bin-by-time.ts';
import { MonitorError } from '../../core/error.ts';
import { exactValue, labelTest } from '../../core/label-test.ts';
import { isUsageMetric } from '../../core/metric.ts';
import type { Sample, Stretch, StretchQuery } from '../../core/sample.ts';
import { parseSeries, type Selector } from '../../core/selector.ts';
import { familyOf, hostSeries, processSeries, type Series, seriesKey } from '../../core/series.ts';
import type {
  ForecastQuery,
  MeanQuery,
  PageQuery,
  Reading,
  Reads,
  Selected,
  SelectQuery,
  TimeWindow,
  UsageFilter,
} from '../../core/store.ts';
import type { RowsWanted, SnapshotKey, UsageRow } from '../../core/usage-row.ts';
import type { UsageTable } from '../../core/usage-table.ts';
import { groupBy } from '../../platform/group-by.ts';
import { type StoredPoint, withExits } from '../samples.ts';
import { bySource, filterTest, fitting, selectedOf } from '../series-filter.ts';
import type { Dictionary } from './dictionary.ts';
import type { NameTexts } from './name-texts.ts';
import {
  countSql,
  detailedSql,
  forecastsSql,
  hostsSql,
  hostsWithSql,
  type IdFilter,
  islandsSql,
  meanSql,
  mostPresent,
  presentSql,
  rowsSql,
  type SeriesIds,
  type StoredColumn,
  type StretchIds,
  samplesSql,
  seriesAboveSql,
  seriesBound,
  sourceAboveSql,
  sourceSamplesSql,
  sourceSeriesSql,
  sourceStepsSql,
  stepMeansSql,
  sweepsSql,
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
/** A longer window is a heavy question of other sources' samples. */
const heavyMs = 6 * 3_600_000;
/** Rows of one name or host are looked for in so many of all. */
const firstStretchRows = 200_000;

interface Parts {
  readers: Readers;
  hosts: Dictionary;
  names: NameTexts;
  series: NameTexts;
  counts: RowCounts;
}

/** What can be asked of the database. What a question costs is guessed from how many rows its window has. */
export class DuckdbReads implements Reads {
  readonly #readers: Readers;
  readonly #hosts: Dictionary;
  readonly #names: NameTexts;
  readonly #series: NameTexts;
  readonly #counts: RowCounts;

  constructor({ readers, hosts, names, series, counts }: Parts) {
    this.#series = series;
    this.#readers = readers;
    this.#hosts = hosts;
    this.#names = names;
    this.#counts = counts;
  }

  async latest(at: number, reading: Reading = {}) {
    const rows = await this.#readers.query(hostsSql(at), reading);
    const headers = rows.map((row) => toHeader(row, this.#hosts));
    const byHost = new Map(headers.map((header) => [header.host, header]));
    return [...byHost.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  async rows(snapshots: readonly SnapshotKey[], wanted: RowsWanted = {}, reading: Reading = {}): Promise<UsageRow[]> {
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

  async means(query: MeanQuery, reading: Reading = {}) {
    const cost = this.#cost(query, reading);
    const filter = await this.#ids(query, cost);
    if (!filter) return [];
    const rows = await this.#readers.query(meanSql(query, filter, query.top ?? mostNames + 1), cost);
    refuseTooMany(rows.length);
    const nameOf = await this.#namesIn(rows, cost);
    return rows.map((row) => toMean(row, nameOf));
  }

  async page(query: PageQuery, reading: Reading = {}): Promise<UsageTable> {
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

  async stretches(queries: readonly StretchQuery[], window: TimeWindow, reading: Reading = {}): Promise<Stretch[][]> {
    const cost = this.#cost(window, reading);
    const idOf = await this.#seriesIds(
      queries.map(({ series }) => series),
      cost,
    );
    const known = queries.flatMap(({ series, ...levels }, index): (StretchIds & { column: StoredColumn })[] => {
      const ids = idOf(series);
      return ids ? [{ ...levels, index, ...ids }] : [];
    });
    const islands = new Map<number, Row[]>();
    const look = async (sql: string, each: Cost) => {
      const rows = await this.#readers.query(sql, each);
      for (const [index, ofOne] of groupBy(rows.reverse(), (row) => row.i as number)) islands.set(index, ofOne);
    };
    for (const [column, group] of groupBy(known, (query) => query.column))
      await look(islandsSql(column, group, window), this.#costOf(column, cost));
    const { ids, kinds } = await this.#sources(
      queries.map(({ series }) => series),
      reading,
    );
    const ofSources = queries.flatMap(({ series, ...levels }, index): StretchIds[] => {
      const id = ids.get(seriesKey(series));
      return id === undefined ? [] : [{ ...levels, index, host: id, name: null }];
    });
    if (ofSources.length > 0) await look(islandsSql(kinds, ofSources, window), sourceCost(window, reading));
    return queries.map(({ gapMs }, index) => toStretches(islands.get(index) ?? [], gapMs));
  }

  async select(query: SelectQuery, reading: Reading = {}): Promise<Selected[]> {
    const cost = this.#cost(query, reading);
    const { series } = query;
    const wanted = 'metric' in series ? await this.#named(series, query, cost) : series;
    const { ours, others } = bySource(wanted);
    const samples = new Map([
      ...(await this.#samplesOfSources(others, query, reading)),
      ...(query.stepMs === null
        ? await this.#rawSamples(ours, query, cost)
        : await this.#steps(ours, query, query.stepMs, cost)),
    ]);
    return wanted.map((each) => ({ series: each, samples: samples.get(seriesKey(each)) ?? [] }));
  }

  /** The series in the window that a selector names. */
  async #named(selector: Selector, query: SelectQuery, cost: Cost): Promise<Series[]> {
    return selectedOf(selector, await this.#present(selector, query, cost), query, cost.signal);
  }

  /** Those of its name, and more of its host than it may want. */
  async #present({ metric, matchers }: Selector, window: TimeWindow, cost: Cost): Promise<Series[]> {
    const family = familyOf(metric);
    if (family.family === 'metric') {
      const host = exactValue(matchers, 'host');
      const bound = host === undefined ? undefined : { value: host, type: VARCHAR };
      const sql = sourceSeriesSql(metric, window, host !== undefined);
      const rows = await this.#readers.query(sql, sourceCost(window, cost), bound);
      if (rows.length > mostNamed)
        throw new MonitorError(
          'invalid',
          `there are more than ${mostNamed} series of ${metric} in the window; name their host (host="web-01"), or ask for a shorter one`,
        );
      return this.#seriesOf(rows, cost);
    }
    const ofHost = labelTest({ matchers: matchers.filter(({ label }) => label === 'host') });
    const hosts = this.#hosts.ids().filter((id) => ofHost({ host: this.#hosts.text(id) }));
    if (hosts.length === 0) return [];
    const isUsage = family.family === 'process';
    const process = isUsage ? exactValue(matchers, 'process') : undefined;
    const name = process === undefined ? undefined : await this.#names.find(process, cost);
    if (process !== undefined && name === undefined) return [];
    const sql = presentSql(isUsage, window, { hosts, ...(name !== undefined && { name }) });
    const rows = await this.#readers.query(sql, cost);
    if (rows.length > mostPresent)
      throw new MonitorError(
        'invalid',
        `there are more than ${mostPresent} processes of hosts in the window; name a host (host="web-01"), or ask for a shorter one`,
      );
    const nameOf = await this.#namesIn(rows, cost);
    return rows.map((row) => {
      const host = this.#hosts.text(row.host as number);
      return family.family === 'process'
        ? processSeries(family.column, host, nameOf(row.name as number))
        : hostSeries(family.column, host);
    });
  }

  /** Of rows with ids of the dictionary; what cannot be read there is left out. */
  async #seriesOf(rows: readonly Row[], reading: Reading): Promise<Series[]> {
    const ids = rows.map(({ id }) => id as number);
    const textOf = await this.#series.of(ids, reading);
    return ids.map((id) => parseSeries(textOf(id))).filter((series) => series !== null);
  }

  /** By key. */
  async #steps(
    series: readonly Series[],
    query: SelectQuery,
    stepMs: number,
    cost: Cost,
  ): Promise<Map<string, Sample[]>> {
    const samples = new Map<string, Sample[]>();
    const keys = series.map(seriesKey);
    for (const [column, group] of await this.#byColumn(series, cost)) {
      const sql = stepMeansSql(column, group, query, stepMs, query.aggregate);
      for (const row of await this.#readers.query(sql, this.#costOf(column, cost)))
        if (row.value !== null)
          pushTo(samples, keys[row.i as number], { time: row.step as number, value: row.value as number });
    }
    return samples;
  }

  /** By key. */
  async #rawSamples(series: readonly Series[], window: TimeWindow, cost: Cost): Promise<Map<string, Sample[]>> {
    const samples = new Map<string, Sample[]>();
    const keys = series.map(seriesKey);
    for (const [column, group] of await this.#byColumn(series, cost)) {
      for (const row of await this.#readers.query(samplesSql(column, group, window), this.#costOf(column, cost)))
        pushTo(samples, keys[row.i as number], { time: row.time as number, value: row.value as number | null });
      if (!isUsageMetric(column)) continue;
      const hosts = [...new Set(group.map(({ host }) => host))];
      const rows = await this.#readers.query(sweepsSql(hosts, window), this.#costOf('system.cpu', cost));
      const sweeps = groupBy(rows, (row) => row.host as number);
      for (const { index, host } of group) {
        const key = keys[index] as string;
        const times = (sweeps.get(host) ?? []).map((row) => row.time as number);
        samples.set(key, withExits((samples.get(key) ?? []) as StoredPoint[], times));
      }
    }
    return samples;
  }

  /** Of other sources, by key. */
  async #samplesOfSources(
    series: readonly Series[],
    query: SelectQuery,
    reading: Reading,
  ): Promise<Map<string, Sample[]>> {
    const { ids, kinds } = await this.#sources(series, reading);
    if (ids.size === 0) return new Map();
    const { stepMs, aggregate } = query;
    const sql = stepMs === null ? sourceSamplesSql(kinds, query) : sourceStepsSql(kinds, query, stepMs, aggregate);
    const rows = await this.#readers.query(sql, sourceCost(query, reading));
    const bySeries = groupBy(rows, (row) => row.series as number);
    const samples = (id: number) =>
      (bySeries.get(id) ?? []).map((row): Sample => ({ time: row.time as number, value: row.value as number }));
    return new Map([...ids].map(([key, id]) => [key, samples(id)]));
  }

  /** Of those that are of other sources and stored: the ids by key, and all ids by kind. */
  async #sources(
    series: readonly Series[],
    reading: Reading,
  ): Promise<{ ids: Map<string, number>; kinds: { gauge: number[]; counter: number[] } }> {
    const keys = bySource(series).others.map(seriesKey);
    const ids = keys.length === 0 ? new Map<string, number>() : await this.#series.findAll(keys, reading);
    const kinds = { gauge: [] as number[], counter: [] as number[] };
    if (ids.size === 0) return { ids, kinds };
    const sql = `SELECT id, kind FROM series WHERE id IN (${[...ids.values()].join(', ')})`;
    for (const { id, kind } of await this.#readers.query(sql, reading))
      kinds[kind === 'counter' ? 'counter' : 'gauge'].push(id as number);
    return { ids, kinds };
  }

  async above(selector: Selector, level: number, window: TimeWindow, reading: Reading = {}): Promise<Series[]> {
    const family = familyOf(selector.metric);
    const found = async () => {
      if (family.family === 'metric') {
        const sql = sourceAboveSql(selector.metric, level, window);
        return this.#seriesOf(await this.#readers.query(sql, sourceCost(window, reading)), reading);
      }
      const cost = this.#costOf(family.column, this.#cost(window, reading));
      const rows = await this.#readers.query(seriesAboveSql(family.column, level, window), cost);
      const nameOf = await this.#namesIn(rows, cost);
      return rows.map((row) => {
        const host = this.#hosts.text(row.host as number);
        return family.family === 'host'
          ? hostSeries(family.column, host)
          : processSeries(family.column, host, nameOf(row.name as number));
      });
    };
    const series = await found();
    if (selector.matchers.length === 0) return series;
    return [...(await fitting(labelFits(selector), series, reading.signal)).values()];
  }

  forecasts(query: ForecastQuery, reading: Reading = {}) {
    return this.#ofSeries(query, reading, forecastsSql, toForecast);
  }

  tallies(query: ForecastQuery, reading: Reading = {}) {
    return this.#ofSeries(query, reading, talliesSql, toTally);
  }

  async #ofSeries<T>(
    query: ForecastQuery,
    reading: Reading,
    sqlOf: (window: TimeWindow, filter: ForecastQuery) => string,
    toItem: (row: Row, series: Series) => T,
  ): Promise<T[]> {
    const rows = await this.#readers.query(sqlOf(query, query), reading, seriesBound(query));
    const ids = new Set(rows.map((row) => row.series as number));
    const textOf = await this.#series.of(ids, reading);
    const fits = filterTest(query);
    const known = new Map([...ids].map((id) => [id, parseSeries(textOf(id))]));
    const all = [...known.values()].filter((series) => series !== null);
    const fitted = new Set((await fitting(fits, all, reading.signal)).values());
    const wanted = new Map([...known].filter(([, series]) => series !== null && fitted.has(series)));
    return rows.flatMap((row) => {
      const series = wanted.get(row.series as number);
      return series == null ? [] : [toItem(row, series)];
    });
  }

  #cost(window: TimeWindow, reading: Reading): Cost {
    return { ...reading, rows: this.#counts.rowsIn(window) };
  }

  /** Metrics of hosts have a row for each snapshot only. */
  #costOf(metric: StoredColumn, cost: Cost): Cost {
    return isUsageMetric(metric) ? cost : { ...cost, rows: this.#counts.snapshotsIn(cost.rows ?? 0) };
  }

  #namesIn(rows: readonly { name?: unknown }[], reading: Reading): Promise<(id: number) => string> {
    const ids = new Set<number>();
    for (const { name } of rows) if (typeof name === 'number') ids.add(name);
    return this.#names.of(ids, reading);
  }

  /** What gives the ids of a series of ours; null when its host or process was never stored, or it is of another source. */
  async #seriesIds(
    all: readonly Series[],
    reading: Reading,
  ): Promise<(series: Series) => { host: number; name: number | null; column: StoredColumn } | null> {
    const texts = all.flatMap(({ labels }) => labels.process ?? []);
    const ids = await this.#names.findAll(texts, reading);
    return ({ metric, labels }) => {
      const family = familyOf(metric);
      if (family.family === 'metric') return null;
      const host = this.#hosts.find(labels.host ?? '');
      const name = family.family === 'process' ? ids.get(labels.process ?? '') : null;
      return host === undefined || name === undefined ? null : { host, name, column: family.column };
    };
  }

  async #byColumn(series: readonly Series[], reading: Reading): Promise<Map<StoredColumn, SeriesIds[]>> {
    const idOf = await this.#seriesIds(series, reading);
    const known = series.flatMap((each, index) => {
      const ids = idOf(each);
      return ids ? [{ ...ids, index }] : [];
    });
    return groupBy(known, ({ column }) => column);
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

function labelFits(selector: Selector): (series: Series) => boolean {
  const fits = labelTest(selector);
  return ({ labels }) => fits(labels);
}

/** About what samples of other sources cost: nobody counts them. */
function sourceCost({ from, to }: TimeWindow, reading: Reading): Cost {
  return { ...reading, ...(to - from > heavyMs && { rows: Number.MAX_SAFE_INTEGER }) };
}

function pushTo(samples: Map<string, Sample[]>, key: string | undefined, sample: Sample): void {
  if (key === undefined) return;
  const known = samples.get(key);
  if (known) known.push(sample);
  else samples.set(key, [sample]);
}
