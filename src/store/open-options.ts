import type { StoreOptions } from '../core/store.ts';

export interface InfluxCredentials {
  token?: string;
  username?: string;
  password?: string;
  /** Organisation of InfluxDB 2.x that the bucket is in; needed where the token sees several. */
  org?: string;
  /** The only authority (PEM) whose certificate InfluxDB may have. */
  ca?: string;
}

export interface ClickHouseOptions {
  username?: string;
  password?: string;
  /** The only authority (PEM) whose certificate ClickHouse may have. */
  ca?: string;
  /** The cluster that tables are made on; absent: the one that is found. */
  cluster?: string;
  /** Where many snapshots come they are inserted so often, and gather meanwhile; absent: once a second. */
  insertEveryMs?: number;
}

export interface OpenOptions extends StoreOptions {
  clickhouse?: ClickHouseOptions;
  influx?: InfluxCredentials;
}
