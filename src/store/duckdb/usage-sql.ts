import {
  type MeanColumnId,
  meanColumnIds,
  processColumn,
  processColumnIds,
  snakeCase,
  usageMetrics,
} from '../../core/metric.ts';
import type { MeanRow, TimeWindow } from '../../core/store.ts';
import type { RowsWanted, UsageRow } from '../../core/usage-row.ts';
import type { Dictionary } from './dictionary.ts';
import type { Row } from './readers.ts';
import { scaleOf, sqlType } from './schema.ts';
import { finite, level, num, quoted } from './sql-text.ts';

export interface IdFilter {
  hosts?: readonly number[];
  /** Besides all of `hosts`, these hosts' snapshots that carried this address. */
  partly?: { hosts: readonly number[]; ip: string };
  name?: number;
}

export function where(window: TimeWindow, filter: IdFilter): string {
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
