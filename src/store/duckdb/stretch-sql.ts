import { isUsageMetric, snakeCase, type UsageMetric } from '../../core/metric.ts';
import type { Stretch, StretchQuery } from '../../core/sample.ts';
import type { TimeWindow } from '../../core/store.ts';
import { hourMs } from './layouts.ts';
import type { Row } from './readers.ts';
import { binSql, figureSql } from './rollup-sql.ts';
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
  steady: readonly SteadyHour[] = [],
): string {
  const ofSource = typeof metric === 'object';
  const process = !ofSource && isUsageMetric(metric);
  const column = ofSource ? 'value' : process ? snakeCase(metric) : metricSql(metric);
  const levelOf = (value: number) => (process ? level(metric, value) : num(value));
  const wanted = queries.map((query) => wantedSql(query, levelOf));
  const { hosts, names } = idsOf(queries);
  const during = (table: string) =>
    `${table}.time > ${num(window.from)} AND ${table}.time <= ${num(window.to)} AND ${table}.host IN (${hosts})`;
  return `
    WITH wanted(i, host, name, red, clear, gap, until) AS (VALUES ${wanted.join(', ')}),
    sweep AS (SELECT host, time, lag(time) OVER (PARTITION BY host ORDER BY time) AS swept FROM snapshot WHERE ${during('snapshot')}),
    told AS (
      SELECT i, gap, p.time, ${process || ofSource ? 'swept' : 'NULL::BIGINT AS swept'}, ${column} > red AS is_over,
        CASE WHEN ${column} > clear THEN 1 WHEN ${column} IS NOT NULL THEN 0 ELSE -1 END AS level, false AS is_end
      FROM ${sourceSql(usage, metric, window)}
      WHERE ${during('p')} AND p.time <= wanted.until ${process ? `AND p.name IN (${names})` : ''}${steadySql(steady)}),
    sample AS (
      SELECT i, gap, time, swept, is_over, level, CASE WHEN is_end THEN time ELSE lag(time) OVER series END AS previous,
        lag(level) OVER series AS previous_level
      FROM told WINDOW series AS (PARTITION BY i ORDER BY time)),
    island AS (
      SELECT *, count(*) FILTER (level <> previous_level OR time - previous > gap OR swept > previous)
        OVER (PARTITION BY i ORDER BY time) AS number FROM sample)
    SELECT i, level, min(time)::DOUBLE AS since, max(time)::DOUBLE AS until, (min(time) FILTER (is_over))::DOUBLE AS first_over,
      arg_min(coalesce(previous, ${never}), time)::DOUBLE AS previous,
      arg_min(coalesce(swept, ${never}), time)::DOUBLE AS swept
    FROM island GROUP BY i, number, level ORDER BY since DESC LIMIT ${mostIslands}`;
}

/** Each once, as lists of SQL. */
function idsOf(queries: readonly StretchIds[]): { hosts: string; names: string } {
  const listed = (ids: readonly (number | null)[]) => [...new Set(ids)].join(', ');
  return { hosts: listed(queries.map(({ host }) => host)), names: listed(queries.map(({ name }) => name)) };
}

/** An hour in which a series was on one side of its levels in every snapshot of its host, without a hole. */
export interface SteadyHour {
  i: number;
  gap: number;
  /** The beginning of the hour, and its first and last snapshot. */
  hour: number;
  first: number;
  last: number;
  /** The snapshot before the first; null: there is none in the window. */
  swept: number | null;
  isOver: boolean;
  level: 0 | 1;
}

/** Its first and its last sample stand for all of them. */
function steadySql(steady: readonly SteadyHour[]): string {
  if (steady.length === 0) return '';
  const rows = steady.flatMap(({ i, gap, first, last, swept, isOver, level }) => [
    `(${i}, ${gap}::DOUBLE, ${first}::BIGINT, ${swept ?? 'NULL'}::BIGINT, ${isOver}, ${level}, false)`,
    ...(last > first ? [`(${i}, ${gap}::DOUBLE, ${last}::BIGINT, NULL::BIGINT, ${isOver}, ${level}, true)`] : []),
  ]);
  return ` UNION ALL VALUES ${rows.join(', ')}`;
}

/**
 * The hours in the window that were steady, of each query. By their roll-ups: as many values as the host has sent
 * snapshots, all of them on one side.
 * @param hours roll-ups of an hour, as a relation
 */
export function steadyHoursSql(
  hours: string,
  metric: UsageMetric,
  queries: readonly StretchIds[],
  window: TimeWindow,
): string {
  const wanted = queries.map((query) => wantedSql(query, (value) => level(metric, value)));
  const { hosts, names } = idsOf(queries);
  const until = Math.min(window.to, ...queries.map((query) => query.until));
  const [first, last] = [
    Math.ceil((window.from + 1) / hourMs) * hourMs,
    Math.floor((until + 1) / hourMs) * hourMs - hourMs,
  ];
  const figure = (name: 'known' | 'least' | 'most') => figureSql(metric, name);
  return `
    WITH wanted(i, host, name, red, clear, gap, until) AS (VALUES ${wanted.join(', ')}),
    sweep AS (SELECT host, time, lag(time) OVER (PARTITION BY host ORDER BY time) AS swept FROM snapshot
      WHERE time > ${num(window.from)} AND time < ${num(last + hourMs)} AND host IN (${hosts})),
    beat AS (SELECT host, ${binSql(hourMs, 'time')} AS hour, count(*) AS sweeps, min(time) AS first, max(time) AS last,
        arg_min(coalesce(swept, ${never}), time) AS swept, max(CASE WHEN swept >= ${binSql(hourMs, 'time')} THEN time - swept END) AS widest
      FROM sweep GROUP BY ALL),
    rolled AS (SELECT host, name, time AS hour, sum(snapshots) AS snapshots, sum(${figure('known')}) AS known,
        min(${figure('least')}) AS least, max(${figure('most')}) AS most
      FROM ${hours} WHERE time >= ${num(first)} AND time <= ${num(last)} AND host IN (${hosts}) AND name IN (${names})
      GROUP BY ALL)
    SELECT i, gap, hour::DOUBLE AS hour, first::DOUBLE AS first, last::DOUBLE AS last, swept::DOUBLE AS swept,
      least > red AS "isOver", (least > clear)::INTEGER AS level
    FROM rolled JOIN wanted USING (host, name) JOIN beat USING (host, hour)
    WHERE known = snapshots AND snapshots = sweeps AND coalesce(widest, 0) <= gap
      AND (least > red OR (least > clear AND most <= red) OR most <= clear)`;
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
