import { hostMetrics } from '../../core/snapshot.ts';

/** `system.load1` -> `system_load1`. */
export function metricColumn(metric: string): string {
  return metric.replace('.', '_');
}

/** Stored percentages are thousandths: integers cost DuckDB a third less CPU than floats to take in. */
export const percentScale = 1000;

/**
 * Host and process names are ids into dictionary tables, rows are in time order and have no key: a
 * DuckDB primary key costs seven times the space. (host, time) is kept unique by RecentTimes.
 */
export const tables = [
  'CREATE TABLE IF NOT EXISTS host (id INTEGER, name VARCHAR)',
  'CREATE TABLE IF NOT EXISTS name (id INTEGER, name VARCHAR)',
  `CREATE TABLE IF NOT EXISTS snapshot (
     host INTEGER, time BIGINT, ip VARCHAR, interval_ms INTEGER, boot_id VARCHAR, cores DOUBLE,
     memory_bytes DOUBLE, limited_by VARCHAR, ${hostMetrics.map((metric) => `${metricColumn(metric)} DOUBLE`).join(', ')})`,
  `CREATE TABLE IF NOT EXISTS usage (
     time BIGINT, host INTEGER, name INTEGER, cpu INTEGER, cpu_max INTEGER, memory INTEGER,
     memory_max INTEGER, rss_bytes BIGINT, count INTEGER, pid UINTEGER)`,
  // A newer version may know more metrics than the one that made the file.
  ...hostMetrics.map((metric) => `ALTER TABLE snapshot ADD COLUMN IF NOT EXISTS ${metricColumn(metric)} DOUBLE`),
];
