import {
  type HostMetric,
  isUsageMetric,
  meanColumnIds,
  processColumn,
  processColumnIds,
  snakeCase,
  type UsageMetric,
} from '../../core/metric.ts';
import { isOfOtherSource, type Series, seriesKey, subjectOf } from '../../core/series.ts';
import type { Aggregate, ForecastQuery, TimeWindow, UsageFilter } from '../../core/store.ts';
import { tallyCounts } from '../../core/tally.ts';
import type { Above, SnapshotKey } from '../../core/usage-row.ts';
import { legacySeries } from '../legacy-series.ts';
import { literal } from './name-codec.ts';
import { metricField } from './points.ts';

/** InfluxQL of the store. Names reach it only through `literal`; times are written as whole milliseconds. */

/** More hosts than this in one clause are filtered out of the answer instead. */
const maxHostClause = 100;

/** InfluxDB counts nanoseconds in 64 bits: what lies beyond is not to be asked for. */
const latestMs = 9_223_372_036_853;

export function during(window: TimeWindow): string {
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

export function ofHosts({ hosts, partly = [], ip = '' }: PointFilter): string {
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

/** All headers of the window: those that are right about the time, and those from the future. */
export function headersStatements(window: TimeWindow): string[] {
  return ['snapshot', 'snapshot_from_future'].map(
    (name) => `SELECT * FROM "${name}" WHERE ${during(window)} GROUP BY "host"`,
  );
}

/** All samples of other sources in the window, of whomever and of whatever kind. */
export function rawSamplesStatement(window: TimeWindow): string {
  return `SELECT "value", "ended" FROM "metric" WHERE ${during(window)} GROUP BY "series", "owner", "kind"`;
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

const sums = meanColumnIds.flatMap((id) => {
  const field = snakeCase(id);
  if (processColumn(id).overTime === 'peak') return [`MAX("${field}") AS "of_${field}"`];
  return [`SUM("${field}") AS "of_${field}"`, `COUNT("${field}") AS "n_${field}"`];
});

/**
 * Two statements: what means are made of per name, of each column what the values come to, as `of_...`, and how many
 * there are, as `n_...`; and which names were on which hosts. Both per name and host would take three times as long.
 */
export function sumsStatements(window: TimeWindow, filter: PointFilter): string[] {
  const range = where(window, filter);
  return [
    `SELECT ${sums.join(', ')} FROM "process" WHERE ${range} GROUP BY "process"`,
    `SELECT COUNT("count") FROM "process" WHERE ${range} GROUP BY "process", "host"`,
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

/** The points of several series of one column; those without a value too, where they are of a process. */
export function pointsStatement(column: StoredColumn, series: readonly Series[], window: TimeWindow): string {
  const { field, measurement, tags } = placeOf(column);
  const always = measurement === 'process' ? ', "count"' : '';
  return `SELECT "${field}" AS value${always} FROM "${measurement}"
    WHERE ${during(window)} AND (${series.map(labelled).join(' OR ')}) GROUP BY ${tags}`;
}

/** What several series of one column come to over regular steps. */
export function stepsStatement(
  column: StoredColumn,
  series: readonly Series[],
  window: TimeWindow,
  stepMs: number,
  aggregate: Aggregate,
): string {
  const { field, measurement, tags } = placeOf(column);
  return `SELECT ${aggregate.toUpperCase()}("${field}") AS value FROM "${measurement}"
    WHERE ${during(window)} AND (${series.map(labelled).join(' OR ')}) GROUP BY time(${stepMs}ms), ${tags} FILL(none)`;
}

/** The points of a column over a level: of a short time they are fewer than there are series to group them by. */
export function overStatement(column: StoredColumn, level: number, window: TimeWindow): string {
  const { field, measurement, tags } = placeOf(column);
  return `SELECT "${field}" AS value, ${tags} FROM "${measurement}" WHERE ${during(window)} AND "${field}" > ${level}`;
}

/** The highest value of every series of a column. */
export function peaksStatement(column: StoredColumn, window: TimeWindow): string {
  const { field, measurement, tags } = placeOf(column);
  return `SELECT MAX("${field}") AS value FROM "${measurement}" WHERE ${during(window)} GROUP BY ${tags}`;
}

/** Hosts, and of columns of processes the names, with points in the window. */
export function presentStatement(column: StoredColumn, window: TimeWindow, host: string | undefined): string {
  const { measurement, always, tags } = placeOf(column);
  const ofHost = host === undefined ? '' : ` AND ${anyOf('host', [host])}`;
  return `SELECT COUNT("${always}") AS points FROM "${measurement}" WHERE ${during(window)}${ofHost} GROUP BY ${tags}`;
}

/** Series of other sources of one name with samples in the window, and their highest values. */
export function sourceSeriesStatement(metric: string, window: TimeWindow): string {
  return `SELECT MAX("value") AS value FROM "metric" WHERE ${during(window)} AND ${anyOf('name', [metric])} GROUP BY "series", "kind"`;
}

type Kind = 'gauge' | 'counter';

/** All samples of series of other sources of a kind. */
export function sourceSamplesStatement(keys: readonly string[], kind: Kind, window: TimeWindow): string {
  return `SELECT "value", "ended" FROM "metric" WHERE ${ofSources(keys, kind, window)} GROUP BY "series"`;
}

/** What gauges of other sources come to over regular steps. */
export function sourceStepsStatement(
  keys: readonly string[],
  window: TimeWindow,
  stepMs: number,
  aggregate: Aggregate,
): string {
  return `SELECT ${aggregate.toUpperCase()}("value") AS value FROM "metric"
    WHERE ${ofSources(keys, 'gauge', window)} GROUP BY time(${stepMs}ms), "series" FILL(none)`;
}

function ofSources(keys: readonly string[], kind: Kind, window: TimeWindow): string {
  return `${during(window)} AND "kind" = '${kind}' AND ${anyOf('series', keys)}`;
}

/** All series of other sources that are of somebody. */
export function seriesStatement(owner: string): string {
  return `SHOW TAG VALUES FROM "metric" WITH KEY = "series" WHERE ${anyOf('owner', [owner])}`;
}

export function newSeriesStatement(owner: string, window: TimeWindow): string {
  return `SELECT MAX("count") AS names FROM "new_series" WHERE ${during(window)} AND ${anyOf('owner', [owner])}`;
}

/** Three statements: the sums of each series, the lead times of all hours that have any, and the last hour of each. */
export function talliesStatements(query: ForecastQuery): string[] {
  const sums = tallyCounts.map((count) => `SUM("${count}") AS "${count}"`).join(', ');
  const about = ofSeries(query);
  const bySeries = 'GROUP BY "host", "process", "metric", "series"';
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
  return `SELECT * FROM "forecast" WHERE ${ofSeries(query)} ORDER BY time ASC`;
}

/** Of all series that may fit: what else a filter says has to be looked at in the answer. An absent tag reads as an empty one. */
function ofSeries({ series, metrics, matchers = [], ...window }: ForecastQuery): string {
  const host = matchers.find(({ label, operator }) => label === 'host' && operator === '=');
  const conditions = [
    during(window),
    series === undefined ? '' : isSeries(series),
    metrics === undefined ? '' : metrics.length === 0 ? `"metric" = ''` : anyOf('metric', metrics.flatMap(namesOf)),
    host === undefined ? '' : anyOf('host', [host.value]),
  ];
  return conditions.filter(Boolean).join(' AND ');
}

function isSeries(series: Series): string {
  const { metric, labels } = series;
  if (isOfOtherSource(metric)) return anyOf('series', [seriesKey(series)]);
  return `${anyOf('metric', namesOf(metric))} AND ${anyOf('host', [labels.host ?? ''])} AND ${anyOf('process', [labels.process ?? ''])}`;
}

/** Up to 0.3.0 a forecast was of what thresholds call the metric, and that was of the largest instance. */
function namesOf(metric: string): string[] {
  const before = subjectOf({ metric, labels: {} });
  const wasSo = seriesKey(legacySeries('', before.process, before.metric));
  const isSo = seriesKey({ metric, labels: before.process === null ? { host: '' } : { host: '', process: '' } });
  return wasSo === isSo && before.metric !== metric ? [metric, before.metric] : [metric];
}

/** A column of processes or of hosts. */
export type StoredColumn = UsageMetric | HostMetric;

function placeOf(column: StoredColumn): { field: string; measurement: string; always: string; tags: string } {
  if (isUsageMetric(column))
    return { field: snakeCase(column), measurement: 'process', always: 'count', tags: '"host", "process"' };
  return { field: metricField(column), measurement: 'snapshot', always: 'interval_ms', tags: '"host"' };
}

function labelled({ labels: { host = '', process } }: Series): string {
  const ofHost = anyOf('host', [host]);
  return process === undefined ? ofHost : `(${ofHost} AND ${anyOf('process', [process])})`;
}
