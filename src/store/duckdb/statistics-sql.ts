import { isUsageMetric, snakeCase, type UsageMetric } from '../../core/metric.ts';
import { percentileNames, percentileShares } from '../../core/statistics.ts';
import type { TimeWindow } from '../../core/store.ts';
import { bucketSql, bucketValue, figureSql, placeOfSketch } from './rollup-sql.ts';
import { metricSql, scaleOf } from './schema.ts';
import type { StoredColumn } from './series-sql.ts';
import { num } from './sql-text.ts';
import { where } from './usage-sql.ts';

/** Which rows are meant, by ids: of these names, or of all but these. */
export interface StatisticsFilter {
  hosts: readonly number[];
  names?: readonly number[];
  exceptNames?: readonly number[];
}

/** What groups have in common. */
export type GroupColumn = 'host' | 'name';

/** Where the values of a column are: rows, or of processes also what was made of them, roll-ups or buckets. */
export interface ValuePiece {
  relation: string;
  window: TimeWindow;
  isRolled: boolean;
}

function valueSql(column: StoredColumn): string {
  return isUsageMetric(column) ? snakeCase(column) : metricSql(column);
}

/** In the unit of the API. */
function unitSql(column: StoredColumn): string {
  return isUsageMetric(column) ? `${snakeCase(column)}::DOUBLE / ${scaleOf(column)}` : metricSql(column);
}

function conditionOf(window: TimeWindow, { hosts, names, exceptNames = [] }: StatisticsFilter): string {
  const ofNames = names === undefined ? '' : ` AND name IN (${names.join(', ')})`;
  const butNames = exceptNames.length === 0 ? '' : ` AND name NOT IN (${exceptNames.join(', ')})`;
  return `${where(window, { hosts })}${ofNames}${butNames}`;
}

function grouping(by: readonly GroupColumn[]): { columns: string; clause: string } {
  return {
    columns: by.map((column) => `${column}, `).join(''),
    clause: by.length > 0 ? `GROUP BY ${by.join(', ')}` : '',
  };
}

/** The moments of each group in each piece, as stored; `squares` is the sum of squared differences from the mean. */
export function momentsSql(
  column: StoredColumn,
  pieces: readonly ValuePiece[],
  filter: StatisticsFilter,
  by: readonly GroupColumn[],
): string {
  const { columns, clause } = grouping(by);
  return pieces
    .map(({ relation, window, isRolled }) => {
      const figures = isRolled ? rolledMoments(column as UsageMetric) : rowMoments(column);
      return `SELECT ${columns}${figures} FROM ${relation} WHERE ${conditionOf(window, filter)} ${clause} HAVING count > 0`;
    })
    .join(' UNION ALL ');
}

function rowMoments(column: StoredColumn): string {
  const value = unitSql(column);
  return `count(${value})::DOUBLE AS count, min(${value}) AS min, max(${value}) AS max, avg(${value}) AS mean,
    var_pop(${value}) * count(${value}) AS squares`;
}

function rolledMoments(column: UsageMetric): string {
  const figure = (name: Parameters<typeof figureSql>[1]) => figureSql(column, name);
  const scale = scaleOf(column);
  const [known, sum] = [`sum(${figure('known')})::DOUBLE`, `sum(${figure('sum')})::DOUBLE`];
  return `${known} AS count, min(${figure('least')})::DOUBLE / ${scale} AS min, max(${figure('most')})::DOUBLE / ${scale} AS max,
    ${sum} / ${known} / ${scale} AS mean, (sum(${figure('squares')}) - ${sum} * ${sum} / ${known}) / (${scale}::DOUBLE * ${scale}) AS squares`;
}

/** Percentiles of the rows themselves, and of how many. */
export function exactSql(
  column: StoredColumn,
  relation: string,
  window: TimeWindow,
  filter: StatisticsFilter,
  by: readonly GroupColumn[],
): string {
  const { columns, clause } = grouping(by);
  const value = unitSql(column);
  const shares = percentileNames.map((name) => percentileShares[name]).join(', ');
  const told = percentileNames.map((name, index) => `told[${index + 1}] AS ${name}`).join(', ');
  return `SELECT ${columns}count, ${told} FROM (
    SELECT ${columns}count(${value})::DOUBLE AS count, quantile_cont(${value}, [${shares}]) AS told FROM ${relation}
    WHERE ${conditionOf(window, filter)} AND ${valueSql(column)} IS NOT NULL ${clause})`;
}

/**
 * Percentiles by buckets, told by their middles, and of how many values; rows are put into buckets now. Rank as DDSketch has it: the value below which
 * share * (count - 1) others lie.
 */
export function sketchedSql(
  column: UsageMetric,
  pieces: readonly ValuePiece[],
  filter: StatisticsFilter,
  by: readonly GroupColumn[],
): string {
  const { columns } = grouping(by);
  const value = snakeCase(column);
  const counted = pieces.map(({ relation, window, isRolled }) =>
    isRolled
      ? `SELECT ${columns}bucket, sum(count)::DOUBLE AS count FROM ${relation}
         WHERE ${conditionOf(window, filter)} AND quantity = ${placeOfSketch(column)} GROUP BY ALL`
      : `SELECT ${columns}${bucketSql(value)} AS bucket, count(*)::DOUBLE AS count FROM ${relation}
         WHERE ${conditionOf(window, filter)} AND ${value} IS NOT NULL GROUP BY ALL`,
  );
  const groups = by.join(', ');
  const partition = by.length > 0 ? `PARTITION BY ${groups}` : '';
  const told = percentileNames.map(
    (name) =>
      `${bucketValue(`min(bucket) FILTER (upto > ${num(percentileShares[name])} * (count - 1))`)} / ${scaleOf(column)} AS ${name}`,
  );
  return `SELECT ${columns}any_value(count) AS count, ${told.join(', ')} FROM (
      SELECT ${columns}bucket, sum(count) OVER (${partition} ORDER BY bucket) AS upto, sum(count) OVER (${partition}) AS count
      FROM (SELECT ${columns}bucket, sum(count) AS count FROM (${counted.join(' UNION ALL ')}) GROUP BY ALL))
    ${by.length > 0 ? `GROUP BY ${groups}` : ''}`;
}
