import { type MeanColumnId, meanColumnIds, processColumn, snakeCase } from '../../core/metric.ts';
import type { MeanRow, TimeWindow } from '../../core/store.ts';
import type { Parts } from './parts.ts';
import { isRolled, type Piece, piecesOf } from './pieces.ts';
import type { Row } from './readers.ts';
import { figureSql } from './rollup-sql.ts';
import { scaleOf } from './schema.ts';
import { finite, num } from './sql-text.ts';
import { type IdFilter, where } from './usage-sql.ts';

/** Of each name, highest mean CPU first. */
export function meanSql(parts: Parts, window: TimeWindow, filter: IdFilter, top: number): string {
  const { hosts, partly } = filter;
  // A roll-up does not say which address its snapshots carried.
  const pieces = piecesOf(parts, window, partly ? { longestMs: 0 } : { hosts });
  const [only, another] = pieces as [Piece, Piece?];
  const means =
    another === undefined && hosts?.length === 1 && !partly
      ? meansOfOneHost(where(only.window, filter))
      : meansOverHosts(pieces.map((piece) => foldedSql(piece, filter)));
  return `${means} GROUP BY name ORDER BY cpu DESC NULLS LAST, name LIMIT ${num(top)}`;
}

const isPeak = (id: MeanColumnId) => processColumn(id).overTime === 'peak';

/** One host needs no second level: a quarter less of a short query. */
function meansOfOneHost(condition: string): string {
  const means = meanColumnIds.map((id) => {
    const column = snakeCase(id);
    return `${isPeak(id) ? 'max' : 'avg'}(usage.${column}) / ${scaleOf(id)} AS ${column}`;
  });
  return `
    SELECT name, ${means.join(', ')}, 1::DOUBLE AS hosts, count(*)::DOUBLE AS snapshots
    FROM usage WHERE ${condition}`;
}

/** Grouped by host first: counting distinct hosts over all rows would cost several times as much. */
function meansOverHosts(folded: readonly string[]): string {
  const means = meanColumnIds.map((id) => {
    const column = snakeCase(id);
    // Of instances there is a count in every row.
    const rows = id === 'count' ? 'snapshots' : `${column}_count`;
    const value = isPeak(id) ? `max(${column}_max)` : `sum(${column}_sum) / sum(${rows})`;
    return `${value} / ${scaleOf(id)} AS ${column}`;
  });
  const [only, another] = folded;
  return `
    SELECT name, ${means.join(', ')}, count(*)::DOUBLE AS hosts, sum(snapshots)::DOUBLE AS snapshots
    FROM (${another === undefined ? only : addedUp(folded)})`;
}

/** The figures of each name and host in a piece. */
function foldedSql(piece: Piece, filter: IdFilter): string {
  const columns = figuresOf((id, fold) => {
    if (!isRolled(piece)) return fold === 'count' ? `count(${snakeCase(id)})` : `${fold}(${snakeCase(id)})`;
    if (fold === 'max') return `max(${figureSql(id, 'most')})`;
    return `sum(${figureSql(id, fold === 'sum' ? 'sum' : 'known')})`;
  });
  const snapshots = isRolled(piece) ? 'sum(snapshots)' : 'count(*)';
  return `SELECT name, host, ${columns.join(', ')}, ${snapshots}::DOUBLE AS snapshots
    FROM ${piece.relation} WHERE ${where(piece.window, filter)} GROUP BY name, host`;
}

function addedUp(folded: readonly string[]): string {
  const columns = figuresOf((id, fold) => {
    const column = `${snakeCase(id)}_${fold}`;
    return `${fold === 'max' ? 'max' : 'sum'}(${column})`;
  });
  return `SELECT name, host, ${columns.join(', ')}, sum(snapshots) AS snapshots
    FROM (${folded.join(' UNION ALL ')}) GROUP BY name, host`;
}

function figuresOf(sql: (id: MeanColumnId, fold: 'max' | 'sum' | 'count') => string): string[] {
  return meanColumnIds.flatMap((id) => {
    const folds = isPeak(id) ? (['max'] as const) : id === 'count' ? (['sum'] as const) : (['sum', 'count'] as const);
    return folds.map((fold) => `${sql(id, fold)}::DOUBLE AS ${snakeCase(id)}_${fold}`);
  });
}

type NameOf = (id: number) => string;

export function toMean(row: Row, nameOf: NameOf): MeanRow {
  const mean: Record<string, unknown> = {
    name: nameOf(row.name as number),
    hosts: row.hosts as number,
    snapshots: row.snapshots as number,
  };
  for (const [id, column] of meanFields) mean[id] = finite(row[column]);
  return mean as MeanRow;
}

/** Made once: there are many rows. */
const meanFields = meanColumnIds.map((id) => [id, snakeCase(id)] as const);
