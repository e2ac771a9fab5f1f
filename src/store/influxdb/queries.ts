import {
  type HostMetric,
  isUsageMetric,
  meanColumnIds,
  processColumn,
  processColumnIds,
  snakeCase,
  type UsageMetric,
} from '../../core/metric.ts';
import type { Above, ForecastQuery, SeriesKey, SnapshotKey, TimeWindow, UsageFilter } from '../../core/store.ts';
import { tallyCounts } from '../../core/tally.ts';
import { literal } from './name-codec.ts';
import { metricField } from './points.ts';

/** InfluxQL of the store. Names reach it only through `literal`; times are written as whole milliseconds. */

/** More hosts than this in one clause are filtered out of the answer instead. */
const maxHostClause = 100;

/** InfluxDB counts nanoseconds in 64 bits: what lies beyond is not to be asked for. */
const latestMs = 9_223_372_036_853;

function during(window: TimeWindow): string {
  const clamp = (time: number) => Math.min(latestMs, Math.max(0, Math.floor(time)));
  return `time > ${clamp(window.from)}ms AND time <= ${clamp(window.to)}ms`;
}

function anyOf(tag: string, names: readonly string[]): string {
  return `(${names.map((name) => `"${tag}" = ${literal(name)}`).join(' OR ')})`;
}

/** Which points a statement is about. */
export interface PointFilter extends UsageFilter {
  /** Besides all points of `hosts`, those of these hosts that carry the address `ip`. */
  partly?: readonly string[];
}

function where(window: TimeWindow, filter: PointFilter): string {
  const hosts = ofHosts(filter);
  const process = filter.process === undefined ? '' : ` AND ${anyOf('process', [filter.process])}`;
  return `${during(window)}${hosts}${process}`;
}

function ofHosts({ hosts, partly = [], ip = '' }: PointFilter): string {
  const whole = hosts && hosts.length > 0 ? [anyOf('host', hosts)] : [];
  const some = partly.length > 0 ? [`(${anyOf('host', partly)} AND "ip" = ${literal(ip)})`] : [];
  return whole.length + some.length === 0 ? '' : ` AND (${[...whole, ...some].join(' OR ')})`;
}

/** Two statements: how many snapshots of each host carried the address, and how many there are. Those from the future count too. */
export function addressStatements(window: TimeWindow, ip: string, hosts: readonly string[] | undefined): string[] {
  const range = where(window, hosts ? { hosts } : {});
  const count = 'SELECT COUNT("interval_ms") AS snapshots FROM "snapshot", "snapshot_from_future" WHERE';
  return [`${count} ${range} AND "ip" = ${literal(ip)} GROUP BY "host"`, `${count} ${range} GROUP BY "host"`];
}

/** Of every host whose clock was off, the last snapshot that is placed at or before `at`. */
export function lastPlacedStatement(window: TimeWindow, at: number): string {
  return `SELECT MAX("placed_ms") AS placed FROM "snapshot" WHERE ${during(window)} AND "placed_ms" <= ${Math.floor(at)} GROUP BY "host"`;
}

/** Of these hosts the newest snapshot by a clock that was right. */
export function rightStatement(window: TimeWindow, hosts: readonly string[]): string {
  return `SELECT * FROM "snapshot" WHERE ${during(window)} AND ${anyOf('host', hosts)} AND "is_right" = true GROUP BY "host" ORDER BY time DESC LIMIT 1`;
}

export function headerStatement({ host, time }: SnapshotKey): string {
  return `SELECT * FROM "snapshot" WHERE ${during({ from: time - 1, to: time })} AND ${anyOf('host', [host])} GROUP BY "host"`;
}

export const triedStatement = 'SELECT "count" FROM "tried" ORDER BY time DESC LIMIT 1';

const means = meanColumnIds.map((id) => {
  const field = snakeCase(id);
  return `${processColumn(id).overTime === 'peak' ? 'MAX' : 'MEAN'}("${field}") AS "mean_${field}"`;
});

/** Two statements: the means per name, as `mean_...`, and how many hosts each name was on. */
export function meanStatements(window: TimeWindow, filter: PointFilter): string[] {
  const range = where(window, filter);
  return [
    `SELECT ${means.join(', ')}, COUNT("count") AS snapshots FROM "process" WHERE ${range} GROUP BY "process"`,
    `SELECT COUNT("seen") AS hosts FROM (SELECT COUNT("count") AS seen FROM "process" WHERE ${range} GROUP BY "process", "host")
      WHERE ${during(window)} GROUP BY "process"`,
  ];
}

const usageSelect = `SELECT ${processColumnIds.map((id) => `"${snakeCase(id)}"`).join(', ')}, "host", "process" FROM "process"`;

/** Oldest first; the order within one instant is not defined. */
export function detailedStatement(window: TimeWindow, filter: PointFilter, limit: number): string {
  return `${usageSelect} WHERE ${where(window, filter)} ORDER BY time ASC${Number.isFinite(limit) ? ` LIMIT ${limit}` : ''}`;
}

/**
 * Snapshots that lie close together in time, and what was within so long before. Others of the same stretch come along
 * and have to be left out.
 */
export function rowsStatement(keys: readonly SnapshotKey[], above: Above | undefined, withinMs = 1): string {
  const times = keys.map((key) => key.time);
  const hosts = [...new Set(keys.map((key) => key.host))];
  const window = { from: Math.min(...times) - withinMs, to: Math.max(...times) };
  const over = Object.entries(above ?? {}).map(([metric, value]) => `"${snakeCase(metric)}" > ${value}`);
  const filter = hosts.length > maxHostClause ? {} : { hosts };
  return `${usageSelect} WHERE ${where(window, filter)}${above ? ` AND (${over.join(' OR ')})` : ''}`;
}

export function hostsStatement(window: TimeWindow): string {
  return `SELECT * FROM "snapshot" WHERE ${during(window)} GROUP BY "host" ORDER BY time DESC LIMIT 1`;
}

/** All that is stored of these names of hosts in the window. */
export function namesRowsStatement(names: readonly { host: string; process: string }[], window: TimeWindow): string {
  const about = names.map(({ host, process }) => `(${anyOf('host', [host])} AND ${anyOf('process', [process])})`);
  return `${usageSelect} WHERE ${during(window)} AND (${about.join(' OR ')})`;
}

/** When these hosts have sent snapshots, also those from the future. */
export function sweepsStatement(hosts: readonly string[], window: TimeWindow): string {
  return `SELECT "interval_ms" FROM "snapshot", "snapshot_from_future" WHERE ${during(window)} AND ${anyOf('host', hosts)} GROUP BY "host"`;
}

/** The points of several series of one metric; those without a value too, where they are of a process. */
export function pointsStatement(series: readonly SeriesKey[], window: TimeWindow): string {
  const { field, measurement, tags } = columnOf((series[0] as SeriesKey).metric);
  const always = measurement === 'process' ? ', "count"' : '';
  return `SELECT "${field}" AS value${always} FROM "${measurement}"
    WHERE ${during(window)} AND (${series.map(subjectOf).join(' OR ')}) GROUP BY ${tags}`;
}

/** The means of several series of one metric over regular steps. */
export function stepMeansStatement(series: readonly SeriesKey[], window: TimeWindow, stepMs: number): string {
  const { field, measurement, tags } = columnOf((series[0] as SeriesKey).metric);
  return `SELECT MEAN("${field}") AS value FROM "${measurement}"
    WHERE ${during(window)} AND (${series.map(subjectOf).join(' OR ')}) GROUP BY time(${stepMs}ms), ${tags} FILL(none)`;
}

/** The points of a metric over a level: of a short time they are fewer than there are series to group them by. */
export function overStatement(metric: UsageMetric | HostMetric, level: number, window: TimeWindow): string {
  const { field, measurement, tags } = columnOf(metric);
  return `SELECT "${field}" AS value, ${tags} FROM "${measurement}" WHERE ${during(window)} AND "${field}" > ${level}`;
}

/** The highest value of every series of a metric. */
export function peaksStatement(metric: UsageMetric | HostMetric, window: TimeWindow): string {
  const { field, measurement, tags } = columnOf(metric);
  return `SELECT MAX("${field}") AS value FROM "${measurement}" WHERE ${during(window)} GROUP BY ${tags}`;
}

/** Three statements: the sums of each series, the lead times of all hours that have any, and the last hour of each. */
export function talliesStatements(query: ForecastQuery): string[] {
  const sums = tallyCounts.map((count) => `SUM("${count}") AS "${count}"`).join(', ');
  const about = ofSubject(query);
  const bySeries = 'GROUP BY "host", "process", "metric"';
  return [
    `SELECT ${sums} FROM "accuracy" WHERE ${about} ${bySeries}`,
    `SELECT "leads" FROM "accuracy" WHERE ${about} AND "leads" != '' ${bySeries}`,
    `SELECT LAST("muted") AS muted FROM "accuracy" WHERE ${about} ${bySeries}`,
  ];
}

/** All process names that a host has. */
export function namesStatement(host: string): string {
  return `SHOW TAG VALUES FROM "process" WITH KEY = "process" WHERE ${anyOf('host', [host])}`;
}

export function newNamesStatement(host: string, window: TimeWindow): string {
  return `SELECT MAX("count") AS names FROM "new_names" WHERE ${during(window)} AND ${anyOf('host', [host])}`;
}

export function forecastsStatement(query: ForecastQuery): string {
  return `SELECT * FROM "forecast" WHERE ${ofSubject(query)} ORDER BY time ASC`;
}

function ofSubject({ host, process, metric, ...window }: ForecastQuery): string {
  const conditions = [
    during(window),
    host === undefined ? '' : anyOf('host', [host]),
    // An absent tag reads as an empty one.
    process === undefined ? '' : process === null ? `"process" = ''` : anyOf('process', [process]),
    metric === undefined ? '' : anyOf('metric', [metric]),
  ];
  return conditions.filter(Boolean).join(' AND ');
}

function columnOf(metric: UsageMetric | HostMetric): { field: string; measurement: string; tags: string } {
  if (isUsageMetric(metric)) return { field: snakeCase(metric), measurement: 'process', tags: '"host", "process"' };
  return { field: metricField(metric), measurement: 'snapshot', tags: '"host"' };
}

function subjectOf(series: SeriesKey): string {
  const host = anyOf('host', [series.host]);
  return series.kind === 'process' ? `(${host} AND ${anyOf('process', [series.process])})` : host;
}
