import { exactValue } from '../../core/label-test.ts';
import { isUsageMetric } from '../../core/metric.ts';
import { isKnown, type Sample } from '../../core/sample.ts';
import type { Selector } from '../../core/selector.ts';
import { familyOf, hostSeries, processSeries, type Series, seriesKey } from '../../core/series.ts';
import type { Reading, Selected, SelectQuery, TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import { type StoredPoint, withExits } from '../samples.ts';
import { bySource, filterTest, fitting, selectedOf } from '../series-filter.ts';
import type { Row } from './connection.ts';
import { decodeName } from './name-codec.ts';
import { numberOf } from './points.ts';
import { type Queries, seriesPerQuery } from './queries.ts';
import type { SourceReads } from './source-reads.ts';
import {
  overStatement,
  peaksStatement,
  pointsStatement,
  presentStatement,
  type StoredColumn,
  stepsStatement,
  sweepsStatement,
} from './statements.ts';

/** Points over a level are asked for one by one in a window of up to so long. */
const shortMs = 2 * 3_600_000;

/** Series of hosts and their processes, as samples or in steps; those of other sources are asked for where they are. */
export class SeriesReads {
  readonly #queries: Queries;
  readonly #sources: SourceReads;

  constructor(queries: Queries, sources: SourceReads) {
    this.#queries = queries;
    this.#sources = sources;
  }

  async select(query: SelectQuery, reading: Reading = {}): Promise<Selected[]> {
    const { series } = query;
    const wanted = 'metric' in series ? await this.#named(series, query, reading) : series;
    const { ours, others } = bySource(wanted);
    const samples = new Map([
      ...(await this.#sources.samples(others, query, reading)),
      ...(await this.#samples(ours, query, reading)),
    ]);
    return wanted.map((each) => ({ series: each, samples: samples.get(seriesKey(each)) ?? [] }));
  }

  /** The series in the window that a selector names. */
  async #named(selector: Selector, query: SelectQuery, reading: Reading): Promise<Series[]> {
    const present = await this.#present(selector, query, reading);
    return selectedOf(selector, present, query, reading.signal);
  }

  /** Those of its name, and more than it may want. */
  async #present(selector: Selector, window: TimeWindow, reading: Reading): Promise<Series[]> {
    const family = familyOf(selector.metric);
    if (family.family === 'metric') return this.#sources.present(selector.metric, window, reading);
    const { column } = family;
    const statement = presentStatement(column, window, exactValue(selector.matchers, 'host'));
    const [rows = []] = await this.#queries.all([statement], reading, window);
    return rows.map((row) => seriesOfRow(row, column));
  }

  /** Of hosts and processes, by key; raw ones of a process with when it was not in a snapshot. */
  async #samples(series: readonly Series[], query: SelectQuery, reading: Reading): Promise<Map<string, Sample[]>> {
    const { stepMs, aggregate = 'mean' } = query;
    const statement = (column: StoredColumn, group: readonly Series[]) =>
      stepMs === null ? pointsStatement(column, group, query) : stepsStatement(column, group, query, stepMs, aggregate);
    const points = await this.#points(series, statement, query, reading);
    if (stepMs !== null) return new Map([...points].map(([key, found]) => [key, found.filter(isKnown)]));
    const processes = series.filter(({ labels }) => labels.process !== undefined);
    const hosts = new Set(processes.map(({ labels }) => labels.host ?? ''));
    const sweeps = await this.#sweeps([...hosts], query, reading);
    const withSweeps = new Map<string, Sample[]>(points);
    for (const each of processes) {
      const key = seriesKey(each);
      withSweeps.set(key, withExits(points.get(key) ?? [], sweeps.get(each.labels.host ?? '') ?? []));
    }
    return withSweeps;
  }

  /** When each host has sent a snapshot, oldest first. */
  async #sweeps(hosts: readonly string[], window: TimeWindow, reading: Reading): Promise<Map<string, number[]>> {
    const sweeps = new Map<string, number[]>();
    for (let from = 0; from < hosts.length; from += seriesPerQuery) {
      const statement = sweepsStatement(hosts.slice(from, from + seriesPerQuery), window);
      const [rows = []] = await this.#queries.all([statement], reading, window);
      for (const [host, group] of groupBy(rows, (row) => decodeName(String(row.host))))
        sweeps.set(
          host,
          group.map((row) => Number(row.time)).sort((a, b) => a - b),
        );
    }
    return sweeps;
  }

  /** `statement` asks for `value` of several series of one column. By key; a value may be unknown. */
  async #points(
    series: readonly Series[],
    statement: (column: StoredColumn, group: readonly Series[]) => string,
    window: TimeWindow,
    reading: Reading,
  ): Promise<Map<string, StoredPoint[]>> {
    const points = new Map<string, StoredPoint[]>();
    for (const { column, group } of groupsOfOneColumn(series)) {
      const [rows = []] = await this.#queries.all([statement(column, group)], reading, window);
      for (const row of rows) {
        const key = seriesKey(seriesOfRow(row, column));
        const found = points.get(key) ?? [];
        points.set(key, found);
        found.push({ time: Number(row.time), value: numberOf(row.value) });
      }
    }
    return points;
  }

  async above(selector: Selector, level: number, window: TimeWindow, reading: Reading = {}): Promise<Series[]> {
    const family = familyOf(selector.metric);
    const fits = filterTest({ matchers: selector.matchers });
    if (family.family === 'metric') return this.#sources.above(selector, level, window, reading);
    const isShort = window.to - window.from <= shortMs;
    const statement = isShort ? overStatement(family.column, level, window) : peaksStatement(family.column, window);
    const [rows = []] = await this.#queries.all([statement], reading, window);
    const series = rows.filter((row) => Number(row.value) > level).map((row) => seriesOfRow(row, family.column));
    return [...(await fitting(fits, series, reading.signal)).values()];
  }
}

function* groupsOfOneColumn(series: readonly Series[]): Iterable<{ column: StoredColumn; group: Series[] }> {
  for (const [metric, group] of groupBy(series, (each) => each.metric)) {
    const family = familyOf(metric);
    if (family.family === 'metric') continue;
    for (let from = 0; from < group.length; from += seriesPerQuery)
      yield { column: family.column, group: group.slice(from, from + seriesPerQuery) };
  }
}

function seriesOfRow(row: Row, column: StoredColumn): Series {
  const host = decodeName(String(row.host));
  return isUsageMetric(column)
    ? processSeries(column, host, decodeName(String(row.process)))
    : hostSeries(column, host);
}
