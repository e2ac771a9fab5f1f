import { MonitorError } from '../../core/error.ts';
import { exactValue, labelTest } from '../../core/label-test.ts';
import { isUsageMetric } from '../../core/metric.ts';
import type { Sample, Stretch, StretchQuery } from '../../core/sample.ts';
import type { Selector } from '../../core/selector.ts';
import { familyOf, type Series, seriesKey } from '../../core/series.ts';
import type { Reading, Selected, SelectQuery, TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import { type StoredPoint, withExits } from '../samples.ts';
import { fitting, selectedOf, toldOfAsked } from '../series-filter.ts';
import type { IdLookup } from './id-lookup.ts';
import { hourMs } from './layouts.ts';
import { usageColumns } from './lean-usage-sql.ts';
import { piecesOf } from './pieces.ts';
import type { Cost, Row, Sql } from './readers.ts';
import {
  mostPresent,
  presentSql,
  type SeriesIds,
  type StoredColumn,
  samplesSql,
  seriesAboveSql,
  sweepsSql,
} from './series-sql.ts';
import type { SourceReads } from './source-reads.ts';
import { sourceCost } from './source-reads.ts';
import { stepMeansSql } from './step-sql.ts';
import { islandsSql, type SteadyHour, type StretchIds, steadyHoursSql, toStretches } from './stretch-sql.ts';
import { where } from './usage-sql.ts';

/** Of a shorter window the rows themselves are read. */
const leastSteadyMs = 3 * hourMs;

/** Series as samples, in steps or as stretches, whatever they are of. */
export class SeriesReads {
  readonly #lookup: IdLookup;
  readonly #sources: SourceReads;

  constructor(lookup: IdLookup, sources: SourceReads) {
    this.#lookup = lookup;
    this.#sources = sources;
  }

  select(query: SelectQuery, reading: Reading = {}): Promise<Selected[]> {
    const cost = this.#lookup.cost(query, reading);
    return toldOfAsked(
      query,
      reading.signal,
      async ({ ours, others }) =>
        new Map([
          ...(await this.#sources.toldOf(others, query, reading)),
          ...(query.stepMs === null
            ? await this.#rawSamples(ours, query, cost)
            : await this.#steps(ours, query, query.stepMs, cost)),
        ]),
      (selector) => this.#named(selector, query, cost),
    );
  }

  /** The series in the window that a selector names. */
  async #named(selector: Selector, query: SelectQuery, cost: Cost): Promise<Series[]> {
    return selectedOf(selector, await this.#present(selector, query, cost), query, cost.signal);
  }

  /** Those of its name, and more of its host than it may want. */
  async #present(selector: Selector, window: TimeWindow, cost: Cost): Promise<Series[]> {
    const { metric, matchers } = selector;
    const family = familyOf(metric);
    if (family.family === 'metric') return this.#sources.present(selector, window, cost);
    const ofHost = labelTest({ matchers: matchers.filter(({ label }) => label === 'host') });
    const hosts = this.#lookup.hosts.ids().filter((id) => ofHost({ host: this.#lookup.hosts.text(id) }));
    if (hosts.length === 0) return [];
    const isUsage = family.family === 'process';
    const process = isUsage ? exactValue(matchers, 'process') : undefined;
    const name = process === undefined ? undefined : await this.#lookup.names.find(process, cost);
    if (process !== undefined && name === undefined) return [];
    const filter = { hosts, ...(name !== undefined && { name }) };
    const sql = () => presentSql(isUsage ? piecesOf(this.#lookup.parts, window, { hosts }) : null, window, filter);
    const rows = await this.#lookup.readers.query(sql, cost);
    if (rows.length > mostPresent) throw tooManyPresent();
    return this.#lookup.seriesOfHosts(rows, family.column, cost);
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
    for (const [column, group] of await this.#lookup.byColumn(series, cost)) {
      const sql = () => stepMeansSql(this.#lookup.parts, column, group, query, stepMs, query.aggregate);
      for (const row of await this.#lookup.readers.query(sql, this.#lookup.costOf(column, cost)))
        if (row.value !== null)
          pushTo(samples, keys[row.i as number], { time: row.step as number, value: row.value as number });
    }
    return samples;
  }

  /** By key. */
  async #rawSamples(series: readonly Series[], window: TimeWindow, cost: Cost): Promise<Map<string, Sample[]>> {
    const samples = new Map<string, Sample[]>();
    const keys = series.map(seriesKey);
    for (const [column, group] of await this.#lookup.byColumn(series, cost)) {
      const sql = () => samplesSql(this.#usage(group, window), column, group, window);
      for (const row of await this.#lookup.readers.query(sql, this.#lookup.costOf(column, cost)))
        pushTo(samples, keys[row.i as number], { time: row.time as number, value: row.value as number | null });
      if (!isUsageMetric(column)) continue;
      const hosts = [...new Set(group.map(({ host }) => host))];
      const rows = await this.#lookup.readers.query(sweepsSql(hosts, window), this.#lookup.costOf('system.cpu', cost));
      const sweeps = groupBy(rows, (row) => row.host as number);
      for (const { index, host } of group) {
        const key = keys[index] as string;
        const times = (sweeps.get(host) ?? []).map((row) => row.time as number);
        samples.set(key, withExits((samples.get(key) ?? []) as StoredPoint[], times));
      }
    }
    return samples;
  }

  #usage(series: readonly { host: number }[], window: TimeWindow): string {
    return this.#lookup.usage(
      window,
      series.map(({ host }) => host),
    );
  }

  async above(selector: Selector, level: number, window: TimeWindow, reading: Reading = {}): Promise<Series[]> {
    const family = familyOf(selector.metric);
    const series =
      family.family === 'metric'
        ? await this.#sources.above(selector.metric, level, window, reading)
        : await this.#hostsAbove(family.column, level, window, reading);
    if (selector.matchers.length === 0) return series;
    return [...(await fitting(labelFits(selector), series, reading.signal)).values()];
  }

  async #hostsAbove(column: StoredColumn, level: number, window: TimeWindow, reading: Reading): Promise<Series[]> {
    const cost = this.#lookup.costOf(column, this.#lookup.cost(window, reading));
    const sql = () => seriesAboveSql(piecesOf(this.#lookup.parts, window), column, level, window);
    const rows = await this.#lookup.readers.query(sql, cost);
    return this.#lookup.seriesOfHosts(rows, column, cost);
  }

  async stretches(queries: readonly StretchQuery[], window: TimeWindow, reading: Reading = {}): Promise<Stretch[][]> {
    const islands = new Map<number, Row[]>();
    const look = async (sql: Sql, cost: Cost) => {
      const rows = await this.#lookup.readers.query(sql, cost);
      for (const [index, ofOne] of groupBy(rows.reverse(), (row) => row.i as number)) islands.set(index, ofOne);
    };
    const cost = this.#lookup.cost(window, reading);
    for (const [column, group] of await this.#stretchIds(queries, cost)) {
      const steady = await this.#steadyHours(column, group, window, cost);
      const usage = () => this.#usageBut(steady, group, window);
      await look(() => islandsSql(usage(), column, group, window, steady), this.#lookup.costOf(column, cost));
    }
    const { kinds, group } = await this.#sources.stretchIds(queries, reading);
    if (group.length > 0) await look(islandsSql('usage', kinds, group, window), sourceCost(window, reading));
    return queries.map(({ gapMs }, index) => toStretches(islands.get(index) ?? [], gapMs));
  }

  /** Those that are steady for all of them: to read them row by row would take a second for every ten hours. */
  async #steadyHours(
    column: StoredColumn,
    group: readonly StretchIds[],
    window: TimeWindow,
    cost: Cost,
  ): Promise<SteadyHour[]> {
    const { parts, readers } = this.#lookup;
    if (!isUsageMetric(column) || window.to - window.from < leastSteadyMs || parts.all().length === 0) return [];
    const hosts = group.map(({ host }) => host);
    const sql = () => steadyHoursSql(parts.relation('hour', window, { hosts }), column, group, window);
    const rows = (await readers.query(sql, cost)) as unknown as SteadyHour[];
    const all = [...groupBy(rows, ({ hour }) => hour).values()].filter((ofHour) => ofHour.length === group.length);
    return all.flat().map((row) => ({ ...row, swept: (row.swept as number) > window.from ? row.swept : null }));
  }

  /** The rows of all other hours. */
  #usageBut(steady: readonly SteadyHour[], group: readonly StretchIds[], window: TimeWindow): string {
    if (steady.length === 0) return this.#usage(group, window);
    const hours = [...new Set(steady.map(({ hour }) => hour))].sort((a, b) => a - b);
    const starts = [window.from, ...hours.map((hour) => hour + hourMs - 1)];
    const ends = [...hours.map((hour) => hour - 1), window.to];
    const rest = starts.map((from, index) => ({ from, to: ends[index] as number })).filter(({ from, to }) => to > from);
    const relations = rest.map(
      (span) => `SELECT ${usageColumns} FROM ${this.#usage(group, span)} WHERE ${where(span, {})}`,
    );
    return `(${relations.join(' UNION ALL ')})`;
  }

  /** Of hosts and their processes, by column. */
  async #stretchIds(queries: readonly StretchQuery[], cost: Cost): Promise<Map<StoredColumn, StretchIds[]>> {
    const series = queries.map((query) => query.series);
    const byColumn = await this.#lookup.byColumn(series, cost);
    const withLevels = (ids: SeriesIds): StretchIds => ({ ...(queries[ids.index] as StretchQuery), ...ids });
    return new Map([...byColumn].map(([column, group]) => [column, group.map(withLevels)]));
  }
}

function labelFits(selector: Selector): (series: Series) => boolean {
  const fits = labelTest(selector);
  return ({ labels }) => fits(labels);
}

function pushTo(samples: Map<string, Sample[]>, key: string | undefined, sample: Sample): void {
  if (key === undefined) return;
  const known = samples.get(key);
  if (known) known.push(sample);
  else samples.set(key, [sample]);
}

function tooManyPresent(): MonitorError {
  return new MonitorError(
    'invalid',
    `there are more than ${mostPresent} processes of hosts in the window; name a host (host="web-01"), or ask for a shorter one`,
  );
}
