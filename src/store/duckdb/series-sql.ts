import { type HostMetric, isUsageMetric, snakeCase, type UsageMetric } from '../../core/metric.ts';
import type { Aggregate, TimeWindow } from '../../core/store.ts';
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

export function stepMeansSql(
  metric: StoredColumn,
  series: readonly SeriesIds[],
  window: TimeWindow,
  stepMs: number,
  aggregate: Aggregate = 'mean',
): string {
  const isUsage = isUsageMetric(metric);
  const fold = foldSql[aggregate];
  const value = isUsage ? `${fold}(${snakeCase(metric)}) / ${scaleOf(metric)}` : `${fold}(${metricSql(metric)})`;
  return `
    SELECT i, (p.time // ${num(stepMs)} * ${num(stepMs)})::DOUBLE AS step, ${value} AS value ${fromSeries(isUsage, series, window)}
    GROUP BY i, step ORDER BY i, step`;
}

/** Every sample of these series, oldest first; of a process, no row where it was not in the snapshot. */
export function samplesSql(metric: StoredColumn, series: readonly SeriesIds[], window: TimeWindow): string {
  const isUsage = isUsageMetric(metric);
  const value = isUsage ? `${snakeCase(metric)} / ${scaleOf(metric)}` : metricSql(metric);
  return `SELECT i, p.time::DOUBLE AS time, ${value} AS value ${fromSeries(isUsage, series, window)} ORDER BY p.time`;
}

/** When these hosts have sent snapshots, oldest first. */
export function sweepsSql(hosts: readonly number[], window: TimeWindow): string {
  return `SELECT host, time::DOUBLE AS time FROM snapshot WHERE ${where(window, { hosts })} ORDER BY time`;
}

/** Rows of `p` that belong to these series. */
function fromSeries(isUsage: boolean, series: readonly SeriesIds[], window: TimeWindow): string {
  const wanted = series.map(({ index, host, name }) => `(${index}, ${host}, ${name ?? 'NULL'})`).join(', ');
  const names = isUsage ? ` AND p.name IN (${[...new Set(series.map(({ name }) => name))].join(', ')})` : '';
  return `FROM ${isUsage ? 'usage' : 'snapshot'} p JOIN (VALUES ${wanted}) wanted(i, host, name)
      ON p.host = wanted.host ${isUsage ? 'AND p.name = wanted.name' : ''}
    WHERE p.time > ${num(window.from)} AND p.time <= ${num(window.to)}
      AND p.host IN (${[...new Set(series.map(({ host }) => host))].join(', ')})${names}`;
}

/** The hosts, and of columns of processes the names, that have rows in the window. */
export function presentSql(isUsage: boolean, window: TimeWindow, filter: IdFilter): string {
  return `SELECT DISTINCT host, ${isUsage ? 'name' : 'NULL::INTEGER AS name'} FROM ${isUsage ? 'usage' : 'snapshot'}
    WHERE ${where(window, filter)} LIMIT ${mostPresent + 1}`;
}

/** More processes of hosts are not looked at for a selector. */
export const mostPresent = 100_000;

export function seriesAboveSql(metric: StoredColumn, limit: number, window: TimeWindow): string {
  const isUsage = isUsageMetric(metric);
  const over = isUsage ? `${snakeCase(metric)} > ${level(metric, limit)}` : `${metricSql(metric)} > ${num(limit)}`;
  return `SELECT DISTINCT host, ${isUsage ? 'name' : 'NULL AS name'} FROM ${isUsage ? 'usage' : 'snapshot'}
    WHERE time > ${num(window.from)} AND time <= ${num(window.to)} AND ${over}`;
}
