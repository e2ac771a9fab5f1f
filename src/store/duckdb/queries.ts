import { mostNamed } from '../../core/answer-bounds.ts';
import type { Forecast } from '../../core/forecast.ts';
import {
  type HostMetric,
  hostColumn,
  hostMetrics,
  isUsageMetric,
  type MeanColumnId,
  meanColumnIds,
  type ProcessColumnId,
  processColumn,
  processColumnIds,
  snakeCase,
  type UsageMetric,
  usageMetrics,
} from '../../core/metric.ts';
import type { Stretch, StretchQuery } from '../../core/sample.ts';
import { type Series, seriesKey } from '../../core/series.ts';
import type { SnapshotHeader } from '../../core/snapshot.ts';
import type { Aggregate, MeanRow, SeriesFilter, TimeWindow } from '../../core/store.ts';
import { emptyTally, type HourTally, tallyCounts } from '../../core/tally.ts';
import type { RowsWanted, UsageRow } from '../../core/usage-row.ts';
import { counterReachMs } from '../series-filter.ts';
import type { Dictionary } from './dictionary.ts';
import { namesValue } from './name-texts.ts';
import type { Bound, Row } from './readers.ts';
import { metricSql, scaleOf, sqlType } from './schema.ts';

/**
 * SQL of the DuckDB store, and its rows as the store's types. Only numbers are ever put into the text, names are
 * looked up in the dictionaries first, and addresses and metrics are quoted.
 */

/** A number as SQL text; times beyond what a BIGINT holds are clamped. */
function num(value: number): string {
  return String(Math.max(-9e15, Math.min(9e15, value)));
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A level of a column, as it is stored. */
function level(id: ProcessColumnId, value: number): string {
  // 64.1 * 1000 is a little less than 64100.
  return num(Math.round(value * scaleOf(id)));
}

export interface IdFilter {
  hosts?: readonly number[];
  /** Besides all of `hosts`, these hosts' snapshots that carried this address. */
  partly?: { hosts: readonly number[]; ip: string };
  name?: number;
}

function where(window: TimeWindow, filter: IdFilter): string {
  const during = `time > ${num(window.from)} AND time <= ${num(window.to)}`;
  const name = filter.name === undefined ? '' : ` AND name = ${filter.name}`;
  return `${during}${ofHosts(filter, during)}${name}`;
}

function ofHosts({ hosts, partly }: IdFilter, during: string): string {
  const whole = hosts ? `host IN (${hosts.join(', ')})` : '';
  if (partly === undefined) return whole && ` AND ${whole}`;
  const some = `host IN (${partly.hosts.join(', ')}) AND (host, time) IN
    (SELECT (host, time) FROM snapshot WHERE ip = ${quoted(partly.ip)} AND ${during})`;
  return ` AND (${hosts?.length ? `${whole} OR ` : ''}(${some}))`;
}

/** The hosts with a snapshot in the window that carried the address, and whether all of theirs did. */
export function hostsWithSql(window: TimeWindow, ip: string, hosts: readonly number[] | undefined): string {
  const has = `ip IS NOT DISTINCT FROM ${quoted(ip)}`;
  return `SELECT host, bool_and(${has}) AS whole FROM snapshot WHERE ${where(window, hosts ? { hosts } : {})}
    GROUP BY host HAVING bool_or(${has})`;
}

export function meanSql(window: TimeWindow, filter: IdFilter, top: number): string {
  const means =
    filter.hosts?.length === 1 && !filter.partly
      ? meansOfOneHost(where(window, filter))
      : meansOverHosts(where(window, filter));
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
function meansOverHosts(condition: string): string {
  const means = meanColumnIds.map((id) => {
    const column = snakeCase(id);
    // Of instances there is a count in every row.
    const rows = id === 'count' ? 'snapshots' : `${column}_count`;
    const value = isPeak(id) ? `max(${column}_max)` : `sum(${column}_sum) / sum(${rows})`;
    return `${value} / ${scaleOf(id)} AS ${column}`;
  });
  const parts = meanColumnIds.map((id) => {
    const column = snakeCase(id);
    if (isPeak(id)) return `max(${column})::DOUBLE AS ${column}_max`;
    const sum = `sum(${column})::DOUBLE AS ${column}_sum`;
    return id === 'count' ? sum : `${sum}, count(${column})::DOUBLE AS ${column}_count`;
  });
  return `
    SELECT name, ${means.join(', ')}, count(*)::DOUBLE AS hosts, sum(snapshots)::DOUBLE AS snapshots
    FROM (
      SELECT name, host, ${parts.join(', ')}, count(*)::DOUBLE AS snapshots
      FROM usage WHERE ${condition} GROUP BY name, host)`;
}

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
const usageFields = processColumnIds.map((id) => [id, snakeCase(id), scaleOf(id)] as const);

/** What is wider than a number the driver gives as a bigint. */
const usageColumns = processColumnIds.map((id) =>
  sqlType(id) === 'BIGINT' ? `${snakeCase(id)}::DOUBLE AS ${snakeCase(id)}` : snakeCase(id),
);
const usageSelect = `SELECT usage.time::DOUBLE AS time, usage.host, usage.name, ${usageColumns.join(', ')} FROM usage`;

export function countSql(window: TimeWindow, filter: IdFilter): string {
  return `SELECT count(*)::DOUBLE AS rows FROM usage WHERE ${where(window, filter)}`;
}

/** In the order that TableBuilder knows. */
export function detailedSql(window: TimeWindow, filter: IdFilter, limit: number, skip: number): string {
  return `
    SELECT page.* FROM (${usageSelect} WHERE ${where(window, filter)}) page
    JOIN host ON host.id = page.host JOIN name ON name.id = page.name
    ORDER BY page.time, host.text, name.text LIMIT ${num(limit)} OFFSET ${num(skip)}`;
}

/** Snapshots whose times lie close together; the row groups of all others are never touched. */
export function rowsSql(keys: readonly { host: number; time: number }[], { above, withinMs, top }: RowsWanted): string {
  const times = keys.map((key) => key.time);
  const list = keys.map((key) => `(${key.host}, ${num(key.time)})`).join(', ');
  const over = usageMetrics.flatMap((id) => {
    const value = above?.[id];
    return value === undefined ? [] : `${snakeCase(id)} > ${level(id, value)}`;
  });
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const isOver = over.join(' OR ') || 'false';
  const wasOver =
    withinMs === undefined
      ? ''
      : `OR (usage.host, usage.name) IN (SELECT (host, name) FROM usage
        WHERE time > ${num(first - withinMs)} AND time <= ${num(last)} AND (${isOver}))`;
  const rank = (column: string) =>
    `row_number() OVER (PARTITION BY usage.host, usage.time ORDER BY ${column} DESC NULLS LAST) <= ${num(top ?? 0)}`;
  return `
    ${usageSelect} JOIN (VALUES ${list}) wanted(host, time)
      ON usage.host = wanted.host AND usage.time = wanted.time
    WHERE usage.time >= ${num(first)} AND usage.time <= ${num(last)} ${above ? `AND (${isOver} ${wasOver})` : ''}
    ${top === undefined ? '' : `QUALIFY ${rank('cpu')} OR ${rank('memory')}`}`;
}

type NameOf = (id: number) => string;

export function toUsage(row: Row, hosts: Dictionary, nameOf: NameOf): UsageRow {
  const usage: Record<string, unknown> = {
    host: hosts.text(row.host as number),
    time: row.time as number,
    name: nameOf(row.name as number),
  };
  for (const [id, column, scale] of usageFields) {
    const value = row[column];
    usage[id] = typeof value === 'number' ? value / scale : null;
  }
  return usage as UsageRow;
}

/** More than one of a host where a clock was set back so that two have one place. */
export function hostsSql(at: number): string {
  return `
    SELECT snapshot.host, snapshot.time::DOUBLE AS time, ip, header, metrics FROM snapshot
    JOIN (SELECT host, max(placed) AS placed FROM snapshot
      WHERE placed <= ${num(at)} AND received IS NULL GROUP BY host) newest
      ON snapshot.host = newest.host AND snapshot.placed = newest.placed
    WHERE received IS NULL`;
}

/** What of a header is kept as one text. */
export type KeptHeader = Pick<SnapshotHeader, 'intervalMs' | 'bootId' | 'cores' | 'memoryBytes' | 'limitedBy'>;

export function toHeader(row: Row, hosts: Dictionary): SnapshotHeader {
  const values = JSON.parse(row.metrics as string) as (number | null)[];
  const metrics = hostMetrics.map((metric) => [metric, values[hostColumn(metric).place] ?? null] as const);
  const { intervalMs, bootId, cores, memoryBytes, limitedBy } = JSON.parse(row.header as string) as KeptHeader;
  return {
    host: hosts.text(row.host as number),
    time: row.time as number,
    ip: row.ip as string | null,
    intervalMs,
    bootId,
    cores,
    memoryBytes,
    limitedBy,
    metrics: Object.fromEntries(metrics.filter(([, value]) => value !== null)),
  };
}

/** A column of processes or of hosts. */
export type StoredColumn = UsageMetric | HostMetric;

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
  metric: StoredColumn | SourceIds,
  queries: readonly StretchIds[],
  window: TimeWindow,
): string {
  const ofSource = typeof metric === 'object';
  const process = !ofSource && isUsageMetric(metric);
  const column = ofSource ? 'value' : process ? snakeCase(metric) : metricSql(metric);
  const levelOf = (value: number) => (process ? level(metric, value) : num(value));
  const wanted = queries.map(
    (query) =>
      `(${query.index}, ${query.host}, ${query.name ?? 'NULL'}, ${levelOf(query.red)}::DOUBLE, ${levelOf(query.clear)}::DOUBLE, ${num(query.gapMs)}::DOUBLE, ${num(query.until)})`,
  );
  const hosts = [...new Set(queries.map((query) => query.host))].join(', ');
  const names = [...new Set(queries.map((query) => query.name))].join(', ');
  const during = (table: string) =>
    `${table}.time > ${num(window.from)} AND ${table}.time <= ${num(window.to)} AND ${table}.host IN (${hosts})`;
  const source = process
    ? `usage p JOIN wanted ON p.host = wanted.host AND p.name = wanted.name
        LEFT JOIN sweep ON sweep.host = p.host AND sweep.time = p.time`
    : ofSource
      ? // Whose id is in the place of a host's.
        `(SELECT series AS host, time, value FROM ${toldSql(metric, window)}) p JOIN wanted ON p.host = wanted.host`
      : 'snapshot p JOIN wanted ON p.host = wanted.host';
  return `
    WITH wanted(i, host, name, red, clear, gap, until) AS (VALUES ${wanted.join(', ')}),
    sweep AS (SELECT host, time, lag(time) OVER (PARTITION BY host ORDER BY time) AS swept FROM snapshot WHERE ${during('snapshot')}),
    sample AS (
      SELECT i, gap, p.time, ${process ? 'swept' : 'NULL::BIGINT AS swept'}, ${column} > red AS is_over,
        CASE WHEN ${column} > clear THEN 1 WHEN ${column} IS NOT NULL THEN 0 ELSE -1 END AS level,
        lag(p.time) OVER series AS previous, lag(level) OVER series AS previous_level
      FROM ${source}
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

/** A series with its names looked up. All series of one query are of the same metric. */
export interface SeriesIds {
  index: number;
  host: number;
  name: number | null;
}

const foldSql: Record<Aggregate, string> = { mean: 'avg', min: 'min', max: 'max' };

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

/** Ids of series of other sources by kind. */
export interface SourceIds {
  gauge: readonly number[] | string;
  counter: readonly number[] | string;
}

/**
 * What is told of samples of other sources, as rows of series, time and value: gauges as they are, counters by their
 * rates, as `ratesOf` of core/step-values.ts. Ids may be a query for them.
 */
function toldSql({ gauge, counter }: SourceIds, { from, to }: TimeWindow): string {
  const during = (begin: number) => `time > ${num(begin)} AND time <= ${num(to)}`;
  const list = (ids: readonly number[] | string) => (typeof ids === 'string' ? ids : ids.join(', ') || 'NULL');
  return `(
    SELECT series, time, value FROM sample WHERE ${during(from)} AND series IN (${list(gauge)})
    UNION ALL SELECT series, time, rate FROM (
      SELECT series, time, CASE WHEN value < lag(value) OVER w THEN value ELSE value - lag(value) OVER w END
          * 1000 / (time - lag(time) OVER w) AS rate
      FROM sample WHERE ${during(from - counterReachMs)} AND series IN (${list(counter)})
      WINDOW w AS (PARTITION BY series ORDER BY time))
    WHERE rate IS NOT NULL AND time > ${num(from)})`;
}

export function sourceSamplesSql(ids: SourceIds, window: TimeWindow): string {
  return `SELECT series, time::DOUBLE AS time, value FROM ${toldSql(ids, window)} ORDER BY time`;
}

export function sourceStepsSql(
  ids: SourceIds,
  window: TimeWindow,
  stepMs: number,
  aggregate: Aggregate = 'mean',
): string {
  return `SELECT series, (time // ${num(stepMs)} * ${num(stepMs)})::DOUBLE AS time, ${foldSql[aggregate]}(value) AS value
    FROM ${toldSql(ids, window)} GROUP BY ALL ORDER BY time`;
}

/** Ids of all series of a name, of a kind. */
function idsOfMetric(metric: string, kind: 'gauge' | 'counter'): string {
  return `SELECT id FROM series WHERE metric = ${quoted(metric)} AND kind = '${kind}'`;
}

/** Series of other sources of one name with a value over a level, those longest there first. */
export function sourceAboveSql(metric: string, level: number, window: TimeWindow): string {
  const ids = { gauge: idsOfMetric(metric, 'gauge'), counter: idsOfMetric(metric, 'counter') };
  return `SELECT DISTINCT series AS id FROM ${toldSql(ids, window)} WHERE value > ${num(level)}
    ORDER BY id LIMIT ${mostNamed}`;
}

/** Series of other sources of one name with samples in the window, one more than are looked at; `$1` is their host. */
export function sourceSeriesSql(metric: string, window: TimeWindow, ofHost: boolean): string {
  return `SELECT DISTINCT series AS id FROM sample
    WHERE time > ${num(window.from)} AND time <= ${num(window.to)} AND series IN
      (SELECT id FROM series WHERE metric = ${quoted(metric)}${ofHost ? ' AND host = $1' : ''})
    ORDER BY id LIMIT ${mostNamed + 1}`;
}

export function seriesAboveSql(metric: StoredColumn, limit: number, window: TimeWindow): string {
  const isUsage = isUsageMetric(metric);
  const over = isUsage ? `${snakeCase(metric)} > ${level(metric, limit)}` : `${metricSql(metric)} > ${num(limit)}`;
  return `SELECT DISTINCT host, ${isUsage ? 'name' : 'NULL AS name'} FROM ${isUsage ? 'usage' : 'snapshot'}
    WHERE time > ${num(window.from)} AND time <= ${num(window.to)} AND ${over}`;
}

/**
 * Of all series that may fit: `$1` is a list of the key and the host that are wanted, as far as they are. What else a
 * filter says has to be looked at in the answer.
 */
function ofSeries(window: TimeWindow, filter: SeriesFilter): string {
  const { series, metrics } = filter;
  const host = hostOf(filter);
  const conditions = [
    series === undefined ? '' : 'text = $1[1]',
    metrics === undefined ? '' : `metric IN (${metrics.map(quoted).join(', ') || 'NULL'})`,
    host === undefined ? '' : host === '' ? 'host IS NULL' : 'host = $1[2]',
  ].filter(Boolean);
  const during = `time > ${num(window.from)} AND time <= ${num(window.to)}`;
  return conditions.length === 0
    ? during
    : `${during} AND series IN (SELECT id FROM series WHERE ${conditions.join(' AND ')})`;
}

/** Of several matchers one: the others are looked at in the answer. */
function hostOf({ matchers = [] }: SeriesFilter): string | undefined {
  return matchers.find(({ label, operator }) => label === 'host' && operator === '=')?.value;
}

/** `$1` of `ofSeries`; undefined: it is not in the text. */
export function seriesBound(filter: SeriesFilter): Bound | undefined {
  const { series } = filter;
  const host = hostOf(filter);
  if (series === undefined && !host) return undefined;
  return namesValue([series === undefined ? '' : seriesKey(series), host ?? '']);
}

export function talliesSql(window: TimeWindow, filter: SeriesFilter): string {
  return `SELECT max(time)::DOUBLE AS time, series, arg_max(muted, time) AS muted,
      ${tallyCounts.map((count) => `sum("${count}") AS "${count}"`).join(', ')}, string_agg(leads, ' ') AS leads
    FROM tally WHERE ${ofSeries(window, filter)} GROUP BY series`;
}

export function toTally(row: Row, series: Series): HourTally {
  const tally = emptyTally();
  for (const count of tallyCounts) tally[count] = row[count] as number;
  if (row.leads !== null) tally.leadsMs = (row.leads as string).split(' ').map(Number);
  return { series, time: row.time as number, isMuted: Boolean(row.muted), tally };
}

export function forecastsSql(window: TimeWindow, filter: SeriesFilter): string {
  return `SELECT time::DOUBLE AS time, series, value, threshold, probability, muted, eta, eta_low, eta_high, reason,
      amber_since::DOUBLE AS amber_since, notify_since::DOUBLE AS notify_since
    FROM forecast WHERE ${ofSeries(window, filter)} ORDER BY time`;
}

export function toForecast(row: Row, series: Series): Forecast {
  const [low, high] = [finite(row.eta_low), finite(row.eta_high)];
  return {
    time: row.time as number,
    series,
    value: row.value as number,
    threshold: row.threshold as number,
    probability: finite(row.probability),
    amberSince: finite(row.amber_since),
    notifySince: finite(row.notify_since),
    isMuted: Boolean(row.muted),
    etaSeconds: finite(row.eta),
    intervalSeconds: low === null || high === null ? null : [low, high],
    reason: row.reason as string,
  };
}

function finite(value: Row[string] | undefined): number | null {
  return typeof value === 'number' ? value : null;
}
