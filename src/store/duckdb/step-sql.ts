import { isUsageMetric, snakeCase, type UsageMetric } from '../../core/metric.ts';
import type { Aggregate, TimeWindow } from '../../core/store.ts';
import type { Parts } from './parts.ts';
import { isRolled, longestOf, type Piece, piecesOf } from './pieces.ts';
import { binSql, figureSql } from './rollup-sql.ts';
import { metricSql, scaleOf } from './schema.ts';
import { foldSql, fromSeries, type SeriesIds, type StoredColumn } from './series-sql.ts';

/** Series over regular steps, oldest first. */
export function stepMeansSql(
  parts: Parts,
  metric: StoredColumn,
  series: readonly SeriesIds[],
  window: TimeWindow,
  stepMs: number,
  aggregate: Aggregate = 'mean',
): string {
  if (!isUsageMetric(metric))
    return `
    SELECT i, ${binSql(stepMs, 'p.time')}::DOUBLE AS step, ${foldSql[aggregate]}(${metricSql(metric)}) AS value
    ${fromSeries('snapshot', series, window)} GROUP BY ALL ORDER BY i, step`;
  const hosts = series.map(({ host }) => host);
  const folded = piecesOf(parts, window, { hosts, longestMs: longestOf(stepMs) }).map((piece) =>
    foldedSql(metric, piece, series, stepMs),
  );
  const value = { mean: 'sum(sum) / sum(known)', min: 'min(least)', max: 'max(most)' }[aggregate];
  return `
    SELECT i, step, ${value} / ${scaleOf(metric)} AS value
    FROM (${folded.join(' UNION ALL ')}) GROUP BY i, step ORDER BY i, step`;
}

/** The figures of each step in a piece. */
function foldedSql(metric: UsageMetric, piece: Piece, series: readonly SeriesIds[], stepMs: number) {
  const column = snakeCase(metric);
  const figure = (name: 'sum' | 'known' | 'least' | 'most') => (isRolled(piece) ? figureSql(metric, name) : column);
  return `SELECT i, ${binSql(stepMs, 'p.time')}::DOUBLE AS step, sum(${figure('sum')})::DOUBLE AS sum,
      ${isRolled(piece) ? `sum(${figure('known')})` : `count(${column})`}::DOUBLE AS known,
      min(${figure('least')})::DOUBLE AS least, max(${figure('most')})::DOUBLE AS most
    ${fromSeries(piece.relation, series, piece.window)} GROUP BY ALL`;
}
