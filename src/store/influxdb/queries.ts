import type { Above, RunQuery, SeriesKey, SnapshotKey, TimeWindow, UsageFilter } from '../../core/store.ts';
import { literal } from './name-codec.ts';
import { metricField, usageFields } from './points.ts';

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

function where(window: TimeWindow, filter: UsageFilter): string {
  const hosts = filter.hosts ? ` AND ${anyOf('host', filter.hosts)}` : '';
  const process = filter.process === undefined ? '' : ` AND ${anyOf('process', [filter.process])}`;
  return `${during(window)}${hosts}${process}`;
}

/** Two statements: the means per name, and how many hosts each name was on. */
export function meanStatements(window: TimeWindow, filter: UsageFilter): string[] {
  const range = where(window, filter);
  return [
    `SELECT MEAN("cpu") AS cpu, MEAN("memory") AS memory, MAX("cpu_max") AS cpu_max, MAX("memory_max") AS memory_max,
      MEAN("count") AS instances, COUNT("count") AS snapshots FROM "process" WHERE ${range} GROUP BY "process"`,
    `SELECT COUNT("seen") AS hosts FROM (SELECT COUNT("count") AS seen FROM "process" WHERE ${range} GROUP BY "process", "host")
      WHERE ${during(window)} GROUP BY "process"`,
  ];
}

const usageSelect = `SELECT "count", ${Object.values(usageFields)
  .map((field) => `"${field}"`)
  .join(', ')}, "host", "process" FROM "process"`;

/** Oldest first; the order within one instant is not defined. */
export function detailedStatement(window: TimeWindow, filter: UsageFilter, limit: number): string {
  return `${usageSelect} WHERE ${where(window, filter)} ORDER BY time ASC${Number.isFinite(limit) ? ` LIMIT ${limit}` : ''}`;
}

/** Snapshots that lie close together in time. Others of the same stretch come along and have to be left out. */
export function rowsStatement(keys: readonly SnapshotKey[], above: Above | undefined): string {
  const times = keys.map((key) => key.time);
  const hosts = [...new Set(keys.map((key) => key.host))];
  const window = { from: Math.min(...times) - 1, to: Math.max(...times) };
  const over = Object.entries(above ?? {}).map(
    ([metric, value]) => `"${usageFields[metric as keyof Above]}" > ${value}`,
  );
  const filter = hosts.length > maxHostClause ? {} : { hosts };
  return `${usageSelect} WHERE ${where(window, filter)}${above ? ` AND (${over.join(' OR ')})` : ''}`;
}

export function hostsStatement(window: TimeWindow): string {
  return `SELECT * FROM "snapshot" WHERE ${during(window)} GROUP BY "host" ORDER BY time DESC LIMIT 1`;
}

/** The points of several series of one metric. */
export function pointsStatement(queries: readonly RunQuery[], window: TimeWindow): string {
  const { kind, metric } = (queries[0] as RunQuery).series;
  const [measurement, tags] = kind === 'process' ? ['process', '"host", "process"'] : ['snapshot', '"host"'];
  const subjects = queries.map(({ series }) => `(${subjectOf(series)})`).join(' OR ');
  return `SELECT "${kind === 'process' ? usageFields[metric as keyof Above] : metricField(metric)}" AS value FROM "${measurement}"
    WHERE ${during(window)} AND (${subjects}) GROUP BY ${tags}`;
}

function subjectOf(series: SeriesKey): string {
  const host = anyOf('host', [series.host]);
  return series.kind === 'process' ? `${host} AND ${anyOf('process', [series.process])}` : host;
}
