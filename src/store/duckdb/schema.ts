import { type HostMetric, hostMetrics } from '../../core/snapshot.ts';

/**
 * Of the tables below. A file says which it has, one of before there were versions by not saying it. Whoever changes
 * a table raises this, and says in `migrations` how a file comes from the version before.
 */
export const schemaVersion = 2;

/** Stored percentages are thousandths: integers cost DuckDB a third less CPU than floats to take in. */
export const percentScale = 1000;

/** Dictionary tables: an id for each distinct text. `about` holds what rarely changes of a host, as JSON. */
export const dictionaryNames = ['host', 'name', 'about'] as const;
export type DictionaryName = (typeof dictionaryNames)[number];

/**
 * Texts are ids into dictionary tables, rows are in time order and have no key: a DuckDB primary key
 * costs seven times the space. (host, time) is kept unique by RecentTimes. `snapshot` is kept narrow,
 * since a commit costs by the column: `metrics` is a JSON array of the host metrics in the order of
 * core/snapshot.ts, to which new ones are added at the end; `placed` is `placedAt` of core/host-clock.ts.
 */
export const tables = [
  ...dictionaryNames.map((name) => `CREATE TABLE IF NOT EXISTS ${name} (id INTEGER, text VARCHAR)`),
  'CREATE TABLE IF NOT EXISTS snapshot (host INTEGER, time BIGINT, about INTEGER, metrics VARCHAR, placed BIGINT)',
  `CREATE TABLE IF NOT EXISTS usage (
     time BIGINT, host INTEGER, name INTEGER, cpu INTEGER, cpu_max INTEGER, memory INTEGER,
     memory_max INTEGER, rss_bytes BIGINT, count INTEGER, pid UINTEGER)`,
  `CREATE TABLE IF NOT EXISTS forecast (
     time BIGINT, host INTEGER, name INTEGER, metric VARCHAR, value DOUBLE, threshold DOUBLE, probability DOUBLE,
     amber_since BIGINT, notify_since BIGINT, muted BOOLEAN, eta DOUBLE, eta_low DOUBLE, eta_high DOUBLE, reason VARCHAR)`,
];

export const tableNames = [...dictionaryNames, 'snapshot', 'usage', 'forecast'];

/** One row: the version, and how often a write was tried. */
export const versionTable = 'CREATE TABLE IF NOT EXISTS version (version INTEGER, tried BIGINT)';

/** Of snapshots that came without it: from 0.1.0, or out of a damaged file. */
export const placeUnplaced = () =>
  `UPDATE snapshot SET placed = time - coalesce(${metricSql('collector.clockSkewSeconds')}, 0)::BIGINT * 1000 WHERE placed IS NULL`;

/** From each version to the next; all that are needed run in one transaction. */
export const migrations: Readonly<Record<number, readonly string[]>> = {
  1: ['ALTER TABLE snapshot ADD COLUMN IF NOT EXISTS placed BIGINT', placeUnplaced()],
};

/** The SQL of one host metric; DuckDB reads the JSON array as a list, which counts from 1. */
export function metricSql(metric: HostMetric): string {
  return `(metrics::DOUBLE[])[${hostMetrics.indexOf(metric) + 1}]`;
}
