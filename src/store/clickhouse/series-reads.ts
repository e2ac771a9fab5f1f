import { exactValue } from '../../core/label-test.ts';
import { type HostMetric, isUsageMetric, snakeCase, type UsageMetric } from '../../core/metric.ts';
import type { Selector } from '../../core/selector.ts';
import { familyOf, hostSeries, processSeries, type Series, seriesKey } from '../../core/series.ts';
import type { Aggregate, Reading, Selected, SelectQuery, TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import { type SeriesParts, selectAsked } from '../asked-series.ts';
import type { StoredPoint } from '../samples.ts';
import { filterTest, fitting } from '../series-filter.ts';
import type { Row } from './connection.ts';
import { hourMs, rowsAlone } from './hour-plan.ts';
import { type Hours, type Piece, touched } from './hours.ts';
import { namesPerQuery, type Queries } from './queries.ts';
import { numberOf } from './rows.ts';
import { figureColumn, placeOf } from './schema.ts';
import type { SourceReads } from './source-reads.ts';
import { during, duringBins, isOneOf, literal, number, whole } from './sql-text.ts';

type StoredColumn = UsageMetric | HostMetric;

/** Series of hosts and their processes, as samples or in steps; those of other sources are asked for where they are. */
export class SeriesReads implements SeriesParts {
  readonly #queries: Queries;
  readonly #sources: SourceReads;
  readonly #hours: Hours;

  constructor(queries: Queries, sources: SourceReads, hours: Hours) {
    this.#queries = queries;
    this.#sources = sources;
    this.#hours = hours;
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
    const namesSql = (from: string, condition: string) =>
      `SELECT DISTINCT ${labels.join(', ')} FROM ${from} WHERE ${condition}${ofHost}`;
    const isInHours = table === 'process' && this.#hours.isPast(window);
    const sql = [
      namesSql(table, duringBins(window)),
      ...(isInHours ? [namesSql('process_hour', during(touched(window)))] : []),
    ].join(' UNION ALL ');
    return (await this.#queries.all(sql, reading, window)).map((row) => seriesOfRow(row, family.column));
  }

  async sweeps(hosts: readonly string[], window: TimeWindow, reading: Reading): Promise<Map<string, number[]>> {
    const sweeps = new Map<string, number[]>();
    for (const some of pieces(hosts)) {
      const sql = `SELECT DISTINCT host, time FROM snapshot WHERE ${duringBins(window)} AND ${isOneOf('host', some)} ORDER BY time`;
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
        for (const row of await this.#rowsOf(family.column, some, query, reading)) {
          const key = seriesKey(seriesOfRow(row, family.column));
          const found = points.get(key) ?? [];
          points.set(key, found);
          found.push({ time: Number(row.at), value: numberOf(row.value) });
        }
      }
    }
    return points;
  }

  async #rowsOf(column: StoredColumn, series: readonly Series[], query: SelectQuery, reading: Reading): Promise<Row[]> {
    const { stepMs } = query;
    if (stepMs === null || !isUsageMetric(column))
      return this.#queries.all(pointsSql(column, series, query), reading, query);
    const hosts = [...new Set(series.map(({ labels }) => labels.host ?? ''))];
    const plan = stepMs % hourMs === 0 ? await this.#hours.plan(query, hosts, reading) : rowsAlone(query);
    const asked = ['host', 'name', 'time', snakeCase(column)];
    const pieces = await this.#hours.pieces(plan, asked, isAny(series), reading);
    return this.#queries.all(stepsSql(column, pieces, stepMs, query.aggregate), reading, query);
  }

  async above(selector: Selector, level: number, window: TimeWindow, reading: Reading = {}): Promise<Series[]> {
    const family = familyOf(selector.metric);
    if (family.family === 'metric') return this.#sources.above(selector, level, window, reading);
    const { table, column, scale, labels } = placeOf(family.column);
    const sql = `SELECT DISTINCT ${labels.join(', ')} FROM ${table}
      WHERE ${duringBins(window)} AND ${column} > ${number(level * scale)} ${present(table)}`;
    const series = (await this.#queries.all(sql, reading, window)).map((row) => seriesOfRow(row, family.column));
    return [...(await fitting(filterTest({ matchers: selector.matchers }), series, reading.signal)).values()];
  }
}

function pointsSql(column: StoredColumn, series: readonly Series[], query: SelectQuery): string {
  const { table, column: name, scale, labels } = placeOf(column);
  const rows = `${table} FINAL WHERE ${duringBins(query)} AND ${isAny(series)} ${present(table)}`;
  const { stepMs, aggregate = 'mean' } = query;
  if (stepMs === null)
    return `SELECT ${labels.join(', ')}, time AS at, ${name} / ${scale} AS value FROM ${rows} ${known(table, name)} ORDER BY at`;
  return `SELECT ${labels.join(', ')}, ${stepSql(stepMs)} AS at, ${functions[aggregate]}(${name}) / ${scale} AS value
    FROM ${rows} GROUP BY ${labels.join(', ')}, at ORDER BY at`;
}

/** Steps of processes, of rows and of roll-ups. */
function stepsSql(
  column: UsageMetric,
  pieces: readonly Piece[],
  stepMs: number,
  aggregate: Aggregate = 'mean',
): string {
  const name = snakeCase(column);
  const folded = pieces.map(({ relation, isRolled }) => {
    const figures = isRolled
      ? `sum(${figureColumn(column, 'sum')}) AS added, sum(${figureColumn(column, 'known')}) AS known,
          min(${figureColumn(column, 'least')}) AS least, max(${figureColumn(column, 'most')}) AS most`
      : `ifNull(sum(toFloat64(${name})), 0) AS added, toInt64(count(${name})) AS known, min(${name}) AS least, max(${name}) AS most`;
    return `SELECT host, name, ${stepSql(stepMs)} AS at, ${figures} FROM ${relation} GROUP BY host, name, at`;
  });
  const mean = 'if(sum(known) = 0, NULL, sum(added) / sum(known))';
  const value = { mean, min: 'min(least)', max: 'max(most)' }[aggregate];
  return `SELECT host, name, at, ${value} / ${placeOf(column).scale} AS value
    FROM (${folded.join(' UNION ALL ')}) GROUP BY host, name, at ORDER BY at`;
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
