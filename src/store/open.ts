import { MonitorError } from '../core/error.ts';
import type { Store } from '../core/store.ts';
import type { OpenOptions } from './open-options.ts';

/** @throws MonitorError `unavailable` when it cannot be opened */
type Open = (options: OpenOptions) => Promise<Store>;

/**
 * What opens the store a URL names. Its driver is loaded, and no other: an InfluxDB user never loads DuckDB.
 * @throws MonitorError `invalid` for a URL that names no store
 */
export async function loadStore(url: string): Promise<Open> {
  const [scheme] = url.split(':', 1);
  switch (scheme) {
    case 'memory':
      return (await import('./memory.ts')).openMemoryStore;
    case 'duckdb': {
      const path = duckdbPath(url);
      const { openDuckdbStore } = await import('./duckdb/store.ts');
      return (options) => openDuckdbStore(path, options);
    }
    case 'influxdb':
    case 'influxdbs': {
      const { openInfluxdbStore } = await import('./influxdb/store.ts');
      return (options) => openInfluxdbStore(url, options, options.influx ?? {});
    }
    case 'clickhouse':
    case 'clickhouses': {
      const { openClickHouseStore } = await import('./clickhouse/store.ts');
      return (options) => openClickHouseStore(url, options, options.clickhouse ?? {});
    }
    default:
      throw new MonitorError(
        'invalid',
        `store url '${url}' names no store; use memory:, duckdb:/path/to/file.db, influxdb://host:8086/database, influxdbs://host/database, clickhouse://host:8123/database or clickhouses://host/database`,
      );
  }
}

/** @throws MonitorError `invalid` for a URL that names no store, `unavailable` when it cannot be opened */
export async function openStore(url: string, options: OpenOptions): Promise<Store> {
  return (await loadStore(url))(options);
}

function duckdbPath(url: string): string {
  const path = url.slice('duckdb:'.length).replace(/^\/\/(?=\/)/, '');
  if (path === '' || path === ':memory:') {
    throw new MonitorError('invalid', `store url '${url}' has no path; use duckdb:/var/lib/amberwatch/amberwatch.db`);
  }
  return path;
}
