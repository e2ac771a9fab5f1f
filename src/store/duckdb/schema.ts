import { type HostMetric, hostMetrics } from '../../core/snapshot.ts';
import { tallyCounts } from '../../core/tally.ts';

/**
 * Of the tables below. A file says which it has, one of before there were versions by not saying it. Whoever changes
 * a table raises this, and says in `migrations` how a file comes from the version before.
 */
export const schemaVersion = 3;

/** Stored percentages are thousandths: integers cost DuckDB a third less CPU than floats to take in. */
export const percentScale = 1000;

const usageTable = `CREATE TABLE IF NOT EXISTS usage (
     time BIGINT, host INTEGER, name INTEGER, cpu INTEGER, cpu_max INTEGER, memory INTEGER,
     memory_max INTEGER, rss_bytes BIGINT, count INTEGER, pid UINTEGER)`;
const forecastTable = `CREATE TABLE IF NOT EXISTS forecast (
     time BIGINT, host INTEGER, name INTEGER, metric VARCHAR, value DOUBLE, threshold DOUBLE, probability DOUBLE,
     amber_since BIGINT, notify_since BIGINT, muted BOOLEAN, eta DOUBLE, eta_low DOUBLE, eta_high DOUBLE, reason VARCHAR)`;
const hostTable = 'CREATE TABLE IF NOT EXISTS host (id INTEGER, text VARCHAR)';
/** How right the forecasts of an hour were; `leads` are milliseconds, with blanks between. */
const tallyTable = `CREATE TABLE IF NOT EXISTS tally (
     time BIGINT, host INTEGER, name INTEGER, metric VARCHAR, muted BOOLEAN,
     ${tallyCounts.map((count) => `"${count}" DOUBLE`).join(', ')}, leads VARCHAR)`;

/**
 * Host and process names are ids into dictionary tables, rows are in time order and have no key: a DuckDB primary key
 * costs seven times the space. (host, time) is kept unique by RecentTimes. A name knows which host brought it along,
 * and on which day. `snapshot` is kept narrow, since a commit costs by the column: `header` is what rarely changes of
 * a host, as JSON, which repeats and so costs next to nothing; `metrics` is a JSON array of the host metrics in the
 * order of core/snapshot.ts, to which new ones are added at the end; `placed` is `placedAt` of core/host-clock.ts;
 * `received` is when one that is marked as from the future came, and null for all others.
 */
export const tables = [
  hostTable,
  'CREATE TABLE IF NOT EXISTS name (id INTEGER, text VARCHAR, host INTEGER, day INTEGER)',
  `CREATE TABLE IF NOT EXISTS snapshot (
     host INTEGER, time BIGINT, ip VARCHAR, header VARCHAR, metrics VARCHAR, placed BIGINT, received BIGINT)`,
  usageTable,
  forecastTable,
  tallyTable,
];
export const tableNames = ['host', 'name', 'snapshot', 'usage', 'forecast', 'tally'];

/** As they were up to version 2: what is readable of a damaged file of then is copied into these, and then migrated. */
export const tablesBefore = [
  hostTable,
  'CREATE TABLE IF NOT EXISTS name (id INTEGER, text VARCHAR)',
  'CREATE TABLE IF NOT EXISTS about (id INTEGER, text VARCHAR)',
  'CREATE TABLE IF NOT EXISTS snapshot (host INTEGER, time BIGINT, about INTEGER, metrics VARCHAR, placed BIGINT)',
  usageTable,
  forecastTable,
];
export const tableNamesBefore = ['host', 'name', 'about', 'snapshot', 'usage', 'forecast'];

/** One row: the version, and how often a write was tried. */
export const versionTable = 'CREATE TABLE IF NOT EXISTS version (version INTEGER, tried BIGINT)';

/** Of snapshots that came without it: from 0.1.0, or out of a damaged file. */
export const placeUnplaced = () =>
  `UPDATE snapshot SET placed = time - coalesce(${metricSql('collector.clockSkewSeconds')}, 0)::BIGINT * 1000 WHERE placed IS NULL`;

/** From each version to the next; all that are needed run in one transaction. */
export const migrations: Readonly<Record<number, readonly string[]>> = {
  1: ['ALTER TABLE snapshot ADD COLUMN IF NOT EXISTS placed BIGINT', placeUnplaced()],
  // A text for each combination of what a host says of itself was one that anybody could fill the memory with.
  2: [
    `CREATE TABLE snapshot_3 AS SELECT snapshot.host, snapshot.time, json_extract_string(about.text, '$.ip') AS ip,
       about.text AS header, metrics, placed,
       CASE WHEN json_extract_string(about.text, '$.isFromFuture') = 'true' THEN snapshot.time END AS received
     FROM snapshot LEFT JOIN about ON about.id = snapshot.about`,
    'DROP TABLE snapshot',
    'ALTER TABLE snapshot_3 RENAME TO snapshot',
    'DROP TABLE about',
    'ALTER TABLE name ADD COLUMN host INTEGER',
    'ALTER TABLE name ADD COLUMN day INTEGER',
    tallyTable,
  ],
};

/** The SQL of one host metric; DuckDB reads the JSON array as a list, which counts from 1. */
export function metricSql(metric: HostMetric): string {
  return `(metrics::DOUBLE[])[${hostMetrics.indexOf(metric) + 1}]`;
}
