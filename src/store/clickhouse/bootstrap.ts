import { MonitorError } from '../../core/error.ts';
import type { ClickHouseOptions } from '../open-options.ts';
import { type Cluster, findCluster } from './cluster.ts';
import { ClickHouseConnection } from './connection.ts';
import { commandAll, inTime } from './on-cluster.ts';
import {
  binMs,
  columnSql,
  createSql,
  type Making,
  onCluster,
  packedSince,
  storedIn,
  type Table,
  tables,
} from './schema.ts';

const alterWaitSeconds = 3;
const upgradeMs = 7_200_000;
/** What an older server has written, which says nothing of it: of all at first, then of what came while servers changed. */
const newestSql = `INSERT INTO newest_snapshot (host, placed, time)
  SELECT host, max(placed), argMax(time, placed) FROM snapshot WHERE is_from_future = 0 AND bin >=
    if((SELECT count() FROM newest_snapshot) = 0, 0, intDiv(toUnixTimestamp(now()) * 1000 - ${upgradeMs}, ${binMs}))
  GROUP BY host`;

/**
 * Makes the database and its tables, on all replicas where they are a cluster, and adds columns that have come since.
 * What is there already stays as it is.
 * @throws MonitorError that says what is wrong
 */
export async function bootstrap(
  connection: ClickHouseConnection,
  bases: readonly string[],
  database: string,
  credentials: ClickHouseOptions,
): Promise<void> {
  const anywhere = new ClickHouseConnection(bases, undefined, credentials);
  try {
    const version = versionOf(String((await anywhere.query('SELECT version() AS version'))[0]?.version));
    const cluster = await findCluster(anywhere, credentials.cluster);
    await makeDatabase(anywhere, database, cluster);
    const making = { version, cluster: await clusterOfTables(connection, cluster, credentials.cluster), database };
    connection.setUp(making);
    await makeTables(connection, making);
    await connection.insertSelected(newestSql);
  } finally {
    await anywhere.close();
  }
}

/** The same where nothing may be made. @throws MonitorError `unavailable` where something is missing */
export async function checkTables(connection: ClickHouseConnection, _bases: unknown, database: string): Promise<void> {
  const found = new Set((await connection.query('SHOW TABLES')).map((row) => String(row.name)));
  if (!found.has('process'))
    throw new MonitorError('unavailable', `the database ${database} of ClickHouse has no tables of amberwatch's`);
  if (!tables.every(({ name }) => found.has(name)))
    throw new MonitorError(
      'unavailable',
      `the tables in the database ${database} of ClickHouse are an older version's; start a server of this one over it once`,
    );
}

async function makeDatabase(anywhere: ClickHouseConnection, database: string, cluster: Cluster | null): Promise<void> {
  const found = await anywhere.query(`SELECT name FROM system.databases WHERE name = '${database}'`);
  if (found.length > 0) return;
  await commandAll(anywhere, cluster, `CREATE DATABASE IF NOT EXISTS ${database}${onCluster(cluster)}`);
}

/**
 * Tables that are there stay as they are: of one server, unless somebody names a cluster.
 * @throws MonitorError `unavailable` for tables of one server where a cluster is named
 */
async function clusterOfTables(
  connection: ClickHouseConnection,
  cluster: Cluster | null,
  named: string | undefined,
): Promise<Cluster | null> {
  const [process] = await connection.query(
    "SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 'process'",
  );
  if (process === undefined || /^(Replicated|Distributed)/.test(String(process.engine))) return cluster;
  if (named === undefined) return null;
  throw new MonitorError(
    'unavailable',
    `the tables of this database are of one server, and not replicated on ${named}; name another database, and copy what they have with: amberwatch move`,
  );
}

async function makeTables(connection: ClickHouseConnection, making: Making): Promise<void> {
  const found = new Set((await connection.query('SHOW TABLES')).map((row) => String(row.name)));
  for (const table of tables) {
    if (!found.has(table.name))
      for (const sql of createSql(table, making)) await commandAll(connection, making.cluster, sql);
    await addColumns(connection, table, making);
  }
}

/** A replicated table tells its replicas by itself; those of other shards, and what divides rows among them, have to be told. */
async function addColumns(connection: ClickHouseConnection, table: Table, { version, cluster }: Making): Promise<void> {
  const { name, columns, key } = table;
  const there = new Set((await connection.query(`DESCRIBE TABLE ${name}`)).map((row) => String(row.name)));
  if (!key.every((column) => there.has(column)))
    throw new MonitorError(
      'unavailable',
      `ClickHouse has a table ${name} in this database that is not amberwatch's; name a database of its own`,
    );
  const isDivided = storedIn(table, cluster) !== name;
  for (const column of columns)
    if (!there.has(column.name))
      for (const each of isDivided ? [storedIn(table, cluster), name] : [name]) {
        const sql = `ALTER TABLE ${each}${isDivided ? onCluster(cluster) : ''} ADD COLUMN ${columnSql(column, version)}`;
        await inTime(() => connection.command(sql, alterSettings(version)));
      }
}

/** An older one waits a minute for replicas that are away; today's does not know the setting any more. */
function alterSettings(version: number) {
  return version < packedSince ? { replication_alter_columns_timeout: String(alterWaitSeconds) } : {};
}

/** `18.16.1` -> 1816 */
function versionOf(text: string): number {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined)
    throw new MonitorError('unavailable', `ClickHouse does not say which it is, but '${text.slice(0, 50)}'`);
  return Number(major) * 100 + Number(minor);
}
