import { MonitorError } from '../core/error.ts';
import type { Store } from '../core/store.ts';
import type { OpenOptions } from './open-options.ts';

/**
 * Opens the store a URL names. The driver is loaded only then: an InfluxDB user never loads DuckDB.
 * @throws MonitorError `invalid` for a URL that names no store, `unavailable` when it cannot be opened.
 */
export async function openStore(url: string, options: OpenOptions): Promise<Store> {
  const [scheme] = url.split(':', 1);
  switch (scheme) {
    case 'memory':
      return (await import('./memory.ts')).openMemoryStore(options);
    case 'duckdb':
      return (await import('./duckdb/store.ts')).openDuckdbStore(duckdbPath(url), options);
    case 'influxdb':
    case 'influxdbs':
      return (await import('./influxdb/store.ts')).openInfluxdbStore(url, options, options.influx ?? {});
    default:
      throw new MonitorError(
        'invalid',
        `store url '${url}' names no store; use memory:, duckdb:/path/to/file.db, influxdb://host:8086/database or influxdbs://host/database`,
      );
  }
}

function duckdbPath(url: string): string {
  const path = url.slice('duckdb:'.length).replace(/^\/\/(?=\/)/, '');
  if (path === '' || path === ':memory:') {
    throw new MonitorError('invalid', `store url '${url}' has no path; use duckdb:/var/lib/amberwatch/amberwatch.db`);
  }
  return path;
}
