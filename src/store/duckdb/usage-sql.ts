import { processColumnIds, snakeCase, usageMetrics } from '../../core/metric.ts';
import type { PageQuery, TimeWindow } from '../../core/store.ts';
import type { RowsWanted, UsageRow } from '../../core/usage-row.ts';
import type { Dictionary } from './dictionary.ts';
import type { Row } from './readers.ts';
import { scaleOf, sqlType } from './schema.ts';
import { level, num, quoted } from './sql-text.ts';

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

/** Made once: there are many rows. */
const usageFields = processColumnIds.map((id) => [id, snakeCase(id), scaleOf(id)] as const);

/** What is wider than a number the driver gives as a bigint. */
const usageColumns = processColumnIds.map((id) =>
  sqlType(id) === 'BIGINT' ? `${snakeCase(id)}::DOUBLE AS ${snakeCase(id)}` : snakeCase(id),
);
const usageSelect = `SELECT usage.time::DOUBLE AS time, usage.host, usage.name, ${usageColumns.join(', ')}`;

/** @param usage the rows of processes, as a relation */
export function countSql(usage: string, window: TimeWindow, filter: IdFilter): string {
  return `SELECT count(*)::DOUBLE AS rows FROM ${usage} usage WHERE ${where(window, filter)}`;
}

/** In the order that TableBuilder knows. */
export function detailedSql(usage: string, window: TimeWindow, filter: IdFilter, limit: number, skip: number): string {
  return `
    SELECT page.* FROM (${usageSelect} FROM ${usage} usage WHERE ${where(window, filter)}) page
    JOIN host ON host.id = page.host JOIN name ON name.id = page.name
    ORDER BY page.time, host.text, name.text LIMIT ${num(limit)} OFFSET ${num(skip)}`;
}

/** The same as a file, in the units of the API. */
export function parquetSql(
  usage: string,
  { limit, skip, ...window }: PageQuery,
  filter: IdFilter,
  path: string,
): string {
  const columns = processColumnIds.map((id) => {
    const column = `usage.${snakeCase(id)}`;
    return `${scaleOf(id) === 1 ? column : `${column} / ${scaleOf(id)}::DOUBLE`} AS "${id}"`;
  });
  const none = filter.hosts?.length === 0 && !filter.partly;
  return `COPY (
    SELECT host.text AS host, name.text AS process, make_timestamp(usage.time * 1000) AS time, ${columns.join(', ')}
    FROM (SELECT * FROM ${usage} usage WHERE ${none ? 'false' : where(window, filter)}) usage
    JOIN host ON host.id = usage.host JOIN name ON name.id = usage.name
    ORDER BY usage.time, host.text, name.text LIMIT ${num(limit)} OFFSET ${num(skip)}
  ) TO ${quoted(path)} (FORMAT parquet, COMPRESSION zstd)`;
}

/** The time that `rowsSql` looks at. */
export function windowOfKeys(keys: readonly { time: number }[], withinMs = 1): TimeWindow {
  const times = keys.map(({ time }) => time);
  return { from: Math.min(...times) - withinMs, to: Math.max(...times) };
}

/** Snapshots whose times lie close together; the row groups of all others are never touched. */
export function rowsSql(
  usage: string,
  keys: readonly { host: number; time: number }[],
  { above, withinMs, top }: RowsWanted,
): string {
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
      : `OR (usage.host, usage.name) IN (SELECT (host, name) FROM ${usage} usage
        WHERE time > ${num(first - withinMs)} AND time <= ${num(last)} AND (${isOver}))`;
  const rank = (column: string) =>
    `row_number() OVER (PARTITION BY usage.host, usage.time ORDER BY ${column} DESC NULLS LAST) <= ${num(top ?? 0)}`;
  return `
    ${usageSelect} FROM ${usage} usage JOIN (VALUES ${list}) wanted(host, time)
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
