import { exactValue } from '../../core/label-test.ts';
import { isUsageMetric } from '../../core/metric.ts';
import type { Selector } from '../../core/selector.ts';
import { familyOf, hostSeries, processSeries, type Series, seriesKey } from '../../core/series.ts';
import type { Reading, Selected, SelectQuery, TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import { type SeriesParts, selectAsked } from '../asked-series.ts';
import type { StoredPoint } from '../samples.ts';
import { filterTest, fitting } from '../series-filter.ts';
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
export class SeriesReads implements SeriesParts {
  readonly #queries: Queries;
  readonly #sources: SourceReads;

  constructor(queries: Queries, sources: SourceReads) {
    this.#queries = queries;
    this.#sources = sources;
  }

  select(query: SelectQuery, reading: Reading = {}): Promise<Selected[]> {
    return selectAsked(this, this.#sources, query, reading);
  }

  async present(selector: Selector, window: TimeWindow, reading: Reading): Promise<Series[]> {
    const family = familyOf(selector.metric);
    if (family.family === 'metric') return [];
    const { column } = family;
    const statement = presentStatement(column, window, exactValue(selector.matchers, 'host'));
    const [rows = []] = await this.#queries.all([statement], reading, window);
    return rows.map((row) => seriesOfRow(row, column));
  }

  async sweeps(hosts: readonly string[], window: TimeWindow, reading: Reading): Promise<Map<string, number[]>> {
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

  async points(series: readonly Series[], query: SelectQuery, reading: Reading): Promise<Map<string, StoredPoint[]>> {
    const { stepMs, aggregate = 'mean' } = query;
    const statement = (column: StoredColumn, group: readonly Series[]) =>
      stepMs === null ? pointsStatement(column, group, query) : stepsStatement(column, group, query, stepMs, aggregate);
    const points = new Map<string, StoredPoint[]>();
    for (const { column, group } of groupsOfOneColumn(series)) {
      const [rows = []] = await this.#queries.all([statement(column, group)], reading, query);
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
