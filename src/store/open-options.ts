import type { StoreOptions } from '../core/store.ts';

export interface InfluxCredentials {
  token?: string;
  username?: string;
  password?: string;
  /** Organisation of InfluxDB 2.x, needed only to create the bucket. */
  org?: string;
}

export interface OpenOptions extends StoreOptions {
  influx?: InfluxCredentials;
}
