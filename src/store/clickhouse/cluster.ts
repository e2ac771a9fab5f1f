import { MonitorError } from '../../core/error.ts';
import type { ClickHouseConnection, Row } from './connection.ts';

/** Servers of ClickHouse that have the same tables. */
export interface Cluster {
  name: string;
  /** Of each shard. */
  replicas: number;
}

/**
 * The cluster that tables are made on; null: there is none. Without a name it is the one with several replicas that the
 * server is of and has macros for: a packaged server knows clusters for trying things, and no macros.
 * @throws MonitorError `unavailable` for a name it does not know, and for one over several shards
 */
export async function findCluster(connection: ClickHouseConnection, name: string | undefined): Promise<Cluster | null> {
  const hasMacros = await hasReplicaMacros(connection);
  if (name === undefined && !hasMacros) return null;
  const rows = await connection.query('SELECT cluster, shard_num, replica_num, is_local FROM system.clusters');
  const names = [...new Set(rows.map(({ cluster }) => String(cluster)))];
  if (name !== undefined && !names.includes(name))
    throw new MonitorError(
      'unavailable',
      `ClickHouse knows no cluster ${name}; it knows ${names.sort().join(', ') || 'none'}`,
    );
  if (!hasMacros)
    throw new MonitorError(
      'unavailable',
      `ClickHouse has no macros shard and replica, and so no tables can be replicated on ${name}; give them in <macros>`,
    );
  const found = (name === undefined ? names.filter((each) => isOurs(of(rows, each))) : [name]).map((each) =>
    clusterOf(rows, each),
  );
  const [only = null] = found;
  return found.length === 1 ? only : null;
}

async function hasReplicaMacros(connection: ClickHouseConnection): Promise<boolean> {
  const macros = (await connection.query('SELECT macro FROM system.macros')).map(({ macro }) => macro);
  return macros.includes('shard') && macros.includes('replica');
}

function of(rows: readonly Row[], name: string): Row[] {
  return rows.filter(({ cluster }) => cluster === name);
}

/** The server is one of its replicas, and it is of one shard. */
function isOurs(rows: readonly Row[]): boolean {
  return (
    rows.some((row) => Number(row.is_local) === 1) &&
    countOf(rows, 'replica_num') > 1 &&
    countOf(rows, 'shard_num') === 1
  );
}

function clusterOf(rows: readonly Row[], name: string): Cluster {
  const own = of(rows, name);
  const shards = countOf(own, 'shard_num');
  if (shards > 1)
    throw new MonitorError(
      'unavailable',
      `the cluster ${name} of ClickHouse divides rows over ${shards} shards, and amberwatch keeps them in one of several replicas; name a cluster with one shard`,
    );
  return { name, replicas: countOf(own, 'replica_num') };
}

function countOf(rows: readonly Row[], column: string): number {
  return new Set(rows.map((row) => row[column])).size;
}
