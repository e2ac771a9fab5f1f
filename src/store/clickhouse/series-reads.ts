import { exactValue } from '../../core/label-test.ts';
import { type HostMetric, isUsageMetric, type UsageMetric } from '../../core/metric.ts';
import type { Selector } from '../../core/selector.ts';
import { familyOf, hostSeries, processSeries, type Series, seriesKey } from '../../core/series.ts';
import type { Aggregate, Reading, Selected, SelectQuery, TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import { type SeriesParts, selectAsked } from '../asked-series.ts';
import type { StoredPoint } from '../samples.ts';
import { filterTest, fitting } from '../series-filter.ts';
import type { Row } from './connection.ts';
import { namesPerQuery, type Queries } from './queries.ts';
import { numberOf } from './rows.ts';
import { placeOf } from './schema.ts';
import type { SourceReads } from './source-reads.ts';
import { during, isOneOf, literal, number, whole } from './sql-text.ts';

type StoredColumn = UsageMetric | HostMetric;

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

  async present({ metric, matchers }: Selector, window: TimeWindow, reading: Reading): Promise<Series[]> {
    const family = familyOf(metric);
    if (family.family === 'metric') return [];
    const { table, labels } = placeOf(family.column);
    const host = exactValue(matchers, 'host');
    const ofHost = host === undefined ? '' : ` AND host = ${literal(host)}`;
    const sql = `SELECT DISTINCT ${labels.join(', ')} FROM ${table} WHERE ${during(window)}${ofHost}`;
    return (await this.#queries.all(sql, reading, window)).map((row) => seriesOfRow(row, family.column));
  }

  async sweeps(hosts: readonly string[], window: TimeWindow, reading: Reading): Promise<Map<string, number[]>> {
    const sweeps = new Map<string, number[]>();
    for (const some of pieces(hosts)) {
      const sql = `SELECT DISTINCT host, time FROM snapshot WHERE ${during(window)} AND ${isOneOf('host', some)} ORDER BY time`;
      const rows = await this.#queries.all(sql, reading, window);
      for (const [host, group] of groupBy(rows, (row) => String(row.host)))
        sweeps.set(
          host,
          group.map(({ time }) => Number(time)),
        );
    }
    return sweeps;
  }

  async points(series: readonly Series[], query: SelectQuery, reading: Reading): Promise<Map<string, StoredPoint[]>> {
    const points = new Map<string, StoredPoint[]>();
    for (const [metric, group] of groupBy(series, (each) => each.metric)) {
      const family = familyOf(metric);
      if (family.family === 'metric') continue;
      for (const some of pieces(group)) {
        const rows = await this.#queries.all(pointsSql(family.column, some, query), reading, query);
        for (const row of rows) {
          const key = seriesKey(seriesOfRow(row, family.column));
          const found = points.get(key) ?? [];
          points.set(key, found);
          found.push({ time: Number(row.at), value: numberOf(row.value) });
        }
      }
    }
    return points;
  }

  async above(selector: Selector, level: number, window: TimeWindow, reading: Reading = {}): Promise<Series[]> {
    const family = familyOf(selector.metric);
    if (family.family === 'metric') return this.#sources.above(selector, level, window, reading);
    const { table, column, scale, labels } = placeOf(family.column);
    const sql = `SELECT DISTINCT ${labels.join(', ')} FROM ${table}
      WHERE ${during(window)} AND ${column} > ${number(level * scale)} ${present(table)}`;
    const series = (await this.#queries.all(sql, reading, window)).map((row) => seriesOfRow(row, family.column));
    return [...(await fitting(filterTest({ matchers: selector.matchers }), series, reading.signal)).values()];
  }
}

function pointsSql(column: StoredColumn, series: readonly Series[], query: SelectQuery): string {
  const { table, column: name, scale, labels } = placeOf(column);
  const rows = `${table} FINAL WHERE ${during(query)} AND ${isAny(series)} ${present(table)}`;
  const { stepMs, aggregate = 'mean' } = query;
  if (stepMs === null)
    return `SELECT ${labels.join(', ')}, time AS at, ${name} / ${scale} AS value FROM ${rows} ${known(table, name)} ORDER BY at`;
  return `SELECT ${labels.join(', ')}, ${stepSql(stepMs)} AS at, ${functions[aggregate]}(${name}) / ${scale} AS value
    FROM ${rows} GROUP BY ${labels.join(', ')}, at ORDER BY at`;
}

const functions: Record<Aggregate, string> = { mean: 'avg', min: 'min', max: 'max' };

/** The beginning of the step that a time is in. */
function stepSql(stepMs: number): string {
  return `intDiv(time, ${whole(stepMs)}) * ${whole(stepMs)}`;
}

/** What is said by a clock that is far ahead is no host's. */
function present(table: string): string {
  return table === 'snapshot' ? 'AND is_from_future = 0' : '';
}

/** A process that is there without a value is told; a host's is left out. */
function known(table: string, column: string): string {
  return table === 'snapshot' ? `AND ${column} IS NOT NULL` : '';
}

function isAny(series: readonly Series[]): string {
  const pair = ({ labels: { host = '', process = '' } }: Series) => `(${literal(host)}, ${literal(process)})`;
  const isOfProcess = series[0]?.labels.process !== undefined;
  if (isOfProcess) return `(host, name) IN (${series.map(pair).join(', ')})`;
  return isOneOf(
    'host',
    series.map(({ labels }) => labels.host ?? ''),
  );
}

function* pieces<T>(items: readonly T[]): Iterable<readonly T[]> {
  for (let from = 0; from < items.length; from += namesPerQuery) yield items.slice(from, from + namesPerQuery);
}

function seriesOfRow({ host, name }: Row, column: StoredColumn): Series {
  return isUsageMetric(column) ? processSeries(column, String(host), String(name)) : hostSeries(column, String(host));
}
