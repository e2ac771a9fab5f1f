import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../platform/log.ts';
import type { ClickHouseOptions, InfluxCredentials, OpenOptions } from '../../store/open-options.ts';
import type { Config } from '../config/settings.ts';
import { readPem } from './pem.ts';

/** What every store is opened with. @throws MonitorError `invalid` for a certificate that cannot be read */
export function storeOptions(config: Config, clock: Clock, log: Log): OpenOptions {
  return {
    retentionMs: config.retention,
    minuteRetentionMs: config.retention1m,
    hourRetentionMs: config.retention1h,
    ...(config.maxDisk !== undefined && { mostBytes: config.maxDisk }),
    newNamesPerDay: config.newNames,
    newSeriesPerDay: config.newSeries,
    now: () => clock.now(),
    warn: (message) => log.warn(message),
    influx: influxCredentials(config),
    clickhouse: clickhouseCredentials(config),
  };
}

function influxCredentials(config: Config): InfluxCredentials {
  const { influxToken: token, influxUser: username, influxPassword: password, influxOrg: org, storeCa } = config;
  return {
    ...(token && { token }),
    ...(username && { username }),
    ...(password && { password }),
    ...(org && { org }),
    ...(storeCa !== undefined && { ca: readPem(storeCa, '--store-ca', 'certificate') }),
  };
}

function clickhouseCredentials(config: Config): ClickHouseOptions {
  const { clickhouseUser, clickhousePassword, clickhouseCluster, storeCa } = config;
  return {
    ...(clickhouseCluster && { cluster: clickhouseCluster }),
    ...(clickhouseUser && { username: clickhouseUser }),
    ...(clickhousePassword && { password: clickhousePassword }),
    ...(storeCa !== undefined && { ca: readPem(storeCa, '--store-ca', 'certificate') }),
  };
}
