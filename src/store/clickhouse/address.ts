import { MonitorError } from '../../core/error.ts';

/** `clickhouse://h1:8123,h2/monitoring` taken apart. */
export interface ClickHouseAddress {
  /** Of each replica, in the order of the URL. */
  bases: readonly string[];
  database: string;
}

const schemes: Record<string, { base: string; port: number }> = {
  'clickhouse:': { base: 'http', port: 8123 },
  'clickhouses:': { base: 'https', port: 8443 },
};

/** @throws MonitorError `invalid` */
export function parseAddress(url: string): ClickHouseAddress {
  const [, scheme = '', hosts = '', database = ''] = /^([a-z]+:)\/\/([^/]*)\/([a-zA-Z_][a-zA-Z0-9_]*)$/.exec(url) ?? [];
  const { base, port } = schemes[scheme] ?? { base: '', port: 0 };
  const bases = hosts.split(',').flatMap((host) => {
    if (base === '' || host.includes('@') || !URL.canParse(`${base}://${host}`)) return [];
    const { hostname, port: given } = new URL(`${base}://${host}`);
    return hostname === '' ? [] : [`${base}://${hostname}:${given || port}`];
  });
  if (bases.length === 0 || bases.length !== hosts.split(',').length)
    throw new MonitorError(
      'invalid',
      `store url '${url.replace(/\/\/.*@/, '//...@')}' is no address of ClickHouse; write clickhouse://host:8123/database, or clickhouse://host-1,host-2/database for replicas, and give the user with AMBERWATCH_CLICKHOUSE_USER`,
    );
  return { bases, database };
}
