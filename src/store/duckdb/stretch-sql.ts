import { isUsageMetric, snakeCase } from '../../core/metric.ts';
import type { Stretch, StretchQuery } from '../../core/sample.ts';
import type { TimeWindow } from '../../core/store.ts';
import type { Row } from './readers.ts';
import { metricSql } from './schema.ts';
import type { StoredColumn } from './series-sql.ts';
import { type SourceIds, toldWithEndsSql } from './source-sql.ts';
import { level, num } from './sql-text.ts';

/** A query for stretches with its names looked up. All queries of one call are about the same column. */
export interface StretchIds extends Omit<StretchQuery, 'series'> {
  index: number;
  host: number;
  name: number | null;
}

/** Earlier than any snapshot. */
const never = -9e15;
/** Of a series that goes over and under its level all the time only the newest stretches are looked at. */
const mostIslands = 100_000;

/**
 * Samples that follow each other on one side of `clear`, newest first: `first_over` is the first of them over `red`,
 * `previous` when the process was in a snapshot before them, `swept` when the host had sent one.
 */
export function islandsSql(
  usage: string,
  metric: StoredColumn | SourceIds,
  queries: readonly StretchIds[],
  window: TimeWindow,
): string {
  const ofSource = typeof metric === 'object';
  const process = !ofSource && isUsageMetric(metric);
  const column = ofSource ? 'value' : process ? snakeCase(metric) : metricSql(metric);
  const levelOf = (value: number) => (process ? level(metric, value) : num(value));
  const wanted = queries.map((query) => wantedSql(query, levelOf));
  const hosts = [...new Set(queries.map((query) => query.host))].join(', ');
  const names = [...new Set(queries.map((query) => query.name))].join(', ');
  const during = (table: string) =>
    `${table}.time > ${num(window.from)} AND ${table}.time <= ${num(window.to)} AND ${table}.host IN (${hosts})`;
  return `
    WITH wanted(i, host, name, red, clear, gap, until) AS (VALUES ${wanted.join(', ')}),
    sweep AS (SELECT host, time, lag(time) OVER (PARTITION BY host ORDER BY time) AS swept FROM snapshot WHERE ${during('snapshot')}),
    sample AS (
      SELECT i, gap, p.time, ${process || ofSource ? 'swept' : 'NULL::BIGINT AS swept'}, ${column} > red AS is_over,
        CASE WHEN ${column} > clear THEN 1 WHEN ${column} IS NOT NULL THEN 0 ELSE -1 END AS level,
        lag(p.time) OVER series AS previous, lag(level) OVER series AS previous_level
      FROM ${sourceSql(usage, metric, window)}
      WHERE ${during('p')} AND p.time <= wanted.until ${process ? `AND p.name IN (${names})` : ''}
      WINDOW series AS (PARTITION BY i ORDER BY p.time)),
    island AS (
      SELECT *, count(*) FILTER (level <> previous_level OR time - previous > gap OR swept > previous)
        OVER (PARTITION BY i ORDER BY time) AS number FROM sample)
    SELECT i, level, min(time)::DOUBLE AS since, max(time)::DOUBLE AS until, (min(time) FILTER (is_over))::DOUBLE AS first_over,
      arg_min(coalesce(previous, ${never}), time)::DOUBLE AS previous,
      arg_min(coalesce(swept, ${never}), time)::DOUBLE AS swept
    FROM island GROUP BY i, number, level ORDER BY since DESC LIMIT ${mostIslands}`;
}

function wantedSql(query: StretchIds, levelOf: (value: number) => string): string {
  const { index, host, name, red, clear, gapMs, until } = query;
  return `(${index}, ${host}, ${name ?? 'NULL'}, ${levelOf(red)}::DOUBLE, ${levelOf(clear)}::DOUBLE, ${num(gapMs)}::DOUBLE, ${num(until)})`;
}

/** Rows `p` of the series that are wanted; of other sources the id of a series stands in the place of a host's. */
function sourceSql(usage: string, metric: StoredColumn | SourceIds, window: TimeWindow): string {
  if (typeof metric === 'object') {
    // As a process is swept that was not in a snapshot, a series is that has ended.
    const ends = 'max(CASE WHEN value IS NULL THEN time END) OVER (PARTITION BY series ORDER BY time) AS swept';
    return `(SELECT * FROM (SELECT series AS host, time, value, ${ends} FROM ${toldWithEndsSql(metric, window)})
        WHERE value IS NOT NULL) p JOIN wanted ON p.host = wanted.host`;
  }
  if (!isUsageMetric(metric)) return 'snapshot p JOIN wanted ON p.host = wanted.host';
  return `${usage} p JOIN wanted ON p.host = wanted.host AND p.name = wanted.name
        LEFT JOIN sweep ON sweep.host = p.host AND sweep.time = p.time`;
}

/** The stretches of one series, as alarms/run.ts' stretchesOf makes them, from its islands, oldest first. */
export function toStretches(islands: readonly Row[], gapMs: number): Stretch[] {
  const stretches: Stretch[] = [];
  let hasExited = false;
  for (const island of islands) {
    const { since, until, level, first_over: firstOver, previous, swept } = island as unknown as Island;
    hasExited ||= swept > previous;
    if (level === -1) continue;
    const last = stretches.at(-1);
    const isGap = hasExited ? swept > never && since - swept > gapMs : last !== undefined && since - last.to > gapMs;
    const hole = isGap ? 'gap' : hasExited ? 'exit' : null;
    hasExited = false;
    if (level === 0 && last?.level === 'low' && hole === null) last.to = until;
    else if (level === 0) stretches.push({ from: since, to: until, level: 'low', hole });
    else {
      if (firstOver !== since) stretches.push({ from: since, to: firstOver ?? until, level: 'between', hole });
      if (firstOver !== null)
        stretches.push({ from: firstOver, to: until, level: 'over', hole: firstOver === since ? hole : null });
    }
  }
  return stretches;
}

interface Island {
  since: number;
  until: number;
  /** 1 over `clear`, 0 not, -1 not known. */
  level: number;
  first_over: number | null;
  previous: number;
  swept: number;
}
