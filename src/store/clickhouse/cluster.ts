import { MonitorError } from '../../core/error.ts';
import type { ClickHouseConnection, Row } from './connection.ts';

/** Servers of ClickHouse that have the same tables. */
export interface Cluster {
  name: string;
  /** Among which rows are divided. */
  shards: number;
  /** Of each shard. */
  replicas: number;
}

/**
 * The cluster that tables are made on; null: there is none. Without a name it is the one of several servers that this
 * one is of, and has macros for: a packaged server knows clusters for trying things, and no macros.
 * @throws MonitorError `unavailable` for a name it does not know, or without macros
 */
export async function findCluster(connection: ClickHouseConnection, name: string | undefined): Promise<Cluster | null> {
  const hasMacros = await hasReplicaMacros(connection);
  if (name === undefined && !hasMacros) return null;
  const rows = await connection.queryServer('SELECT cluster, shard_num, replica_num, is_local FROM system.clusters');
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
  const meant = name === undefined ? names.filter((each) => isOurs(rows, each)) : [name];
  return meant.length === 1 ? clusterOf(rows, meant[0] as string) : null;
}

async function hasReplicaMacros(connection: ClickHouseConnection): Promise<boolean> {
  const macros = (await connection.queryServer('SELECT macro FROM system.macros')).map(({ macro }) => macro);
  return macros.includes('shard') && macros.includes('replica');
}

function isOurs(rows: readonly Row[], name: string): boolean {
  const { shards, replicas } = clusterOf(rows, name);
  return shards * replicas > 1 && rows.some((row) => row.cluster === name && Number(row.is_local) === 1);
}

function clusterOf(rows: readonly Row[], name: string): Cluster {
  const own = rows.filter(({ cluster }) => cluster === name);
  const countOf = (column: string) => new Set(own.map((row) => row[column])).size;
  return { name, shards: countOf('shard_num'), replicas: countOf('replica_num') };
}
