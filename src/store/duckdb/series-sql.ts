import { type HostMetric, isUsageMetric, snakeCase, type UsageMetric } from '../../core/metric.ts';
import type { Aggregate, TimeWindow } from '../../core/store.ts';
import { isRolled, type Piece } from './pieces.ts';
import { figureSql } from './rollup-sql.ts';
import { metricSql, scaleOf } from './schema.ts';
import { level, num } from './sql-text.ts';
import { type IdFilter, where } from './usage-sql.ts';

/** A column of processes or of hosts. */
export type StoredColumn = UsageMetric | HostMetric;

/** A series with its names looked up. All series of one query are of the same metric. */
export interface SeriesIds {
  index: number;
  host: number;
  name: number | null;
}

export const foldSql: Record<Aggregate, string> = { mean: 'avg', min: 'min', max: 'max' };

/** Every sample of these series, oldest first; of a process, no row where it was not in the snapshot. */
export function samplesSql(
  usage: string,
  metric: StoredColumn,
  series: readonly SeriesIds[],
  window: TimeWindow,
): string {
  const isUsage = isUsageMetric(metric);
  const value = isUsage ? `${snakeCase(metric)} / ${scaleOf(metric)}` : metricSql(metric);
  return `SELECT i, p.time::DOUBLE AS time, ${value} AS value ${fromSeries(isUsage ? usage : 'snapshot', series, window)} ORDER BY p.time`;
}

/** When these hosts have sent snapshots, oldest first. */
export function sweepsSql(hosts: readonly number[], window: TimeWindow): string {
  return `SELECT host, time::DOUBLE AS time FROM snapshot WHERE ${where(window, { hosts })} ORDER BY time`;
}

/** Rows of `p` that belong to these series, of a relation with processes or of `snapshot`; `i` says to which. */
export function fromSeries(relation: string, series: readonly SeriesIds[], window: TimeWindow): string {
  const isUsage = relation !== 'snapshot';
  const distinct = (ids: readonly (number | null)[]) => [...new Set(ids)].join(', ');
  const names = isUsage ? ` AND p.name IN (${distinct(series.map(({ name }) => name))})` : '';
  return `FROM ${withPlaces(relation, series, isUsage)}
    WHERE p.time > ${num(window.from)} AND p.time <= ${num(window.to)}
      AND p.host IN (${distinct(series.map(({ host }) => host))})${names}`;
}

/** Of one series the ids say all: what a join looks for besides them is a quarter of the time of twelve files. */
function withPlaces(relation: string, series: readonly SeriesIds[], isUsage: boolean): string {
  const [only, another] = series as [SeriesIds, SeriesIds?];
  if (another === undefined) return `(SELECT ${only.index} AS i, * FROM ${relation}) p`;
  const wanted = series.map(({ index, host, name }) => `(${index}, ${host}, ${name ?? 'NULL'})`).join(', ');
  return `${relation} p JOIN (VALUES ${wanted}) wanted(i, host, name)
      ON p.host = wanted.host ${isUsage ? 'AND p.name = wanted.name' : ''}`;
}

/** The hosts, and of columns of processes the names, that have rows in the window. */
export function presentSql(pieces: readonly Piece[] | null, window: TimeWindow, filter: IdFilter): string {
  const found = pieces?.map(
    (piece) => `SELECT host, name FROM ${piece.relation} WHERE ${where(piece.window, filter)}`,
  ) ?? [`SELECT host, NULL::INTEGER AS name FROM snapshot WHERE ${where(window, filter)}`];
  return `SELECT DISTINCT host, name FROM (${found.join(' UNION ALL ')}) LIMIT ${mostPresent + 1}`;
}

/** More processes of hosts are not looked at for a selector. */
export const mostPresent = 100_000;

/** Those of the column with a value over the limit. */
export function seriesAboveSql(
  pieces: readonly Piece[],
  metric: StoredColumn,
  limit: number,
  window: TimeWindow,
): string {
  const found = isUsageMetric(metric)
    ? pieces.map((piece) => {
        const most = isRolled(piece) ? figureSql(metric, 'most') : snakeCase(metric);
        return `SELECT host, name FROM ${piece.relation} WHERE ${where(piece.window, {})} AND ${most} > ${level(metric, limit)}`;
      })
    : [`SELECT host, NULL AS name FROM snapshot WHERE ${where(window, {})} AND ${metricSql(metric)} > ${num(limit)}`];
  return `SELECT DISTINCT host, name FROM (${found.join(' UNION ALL ')})`;
}
