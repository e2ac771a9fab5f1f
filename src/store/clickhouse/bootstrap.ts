import { MonitorError } from '../../core/error.ts';
import type { ClickHouseOptions } from '../open-options.ts';
import { type Cluster, findCluster } from './cluster.ts';
import { type ClickHouseAbout, ClickHouseConnection } from './connection.ts';
import { sayNewest } from './newest-snapshot.ts';
import { commandAll, inTime } from './on-cluster.ts';
import type { Column } from './row-binary.ts';
import { columnSql, createSql, type Making, onCluster, packedSince, storedIn, type Table, tables } from './schema.ts';

const alterWaitSeconds = 3;

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
    const cluster = await findCluster(anywhere, credentials.cluster);
    await makeDatabase(anywhere, database, cluster);
    const making = { ...(await aboutTables(connection, cluster, credentials.cluster)), database };
    connection.setUp(making);
    await makeTables(connection, making);
    // Where nothing can be written questions are answered all the same.
    await sayNewest(connection).catch(() => undefined);
  } finally {
    await anywhere.close();
  }
}

/** The same where nothing may be made. @throws MonitorError `unavailable` where something is missing */
export async function checkTables(
  connection: ClickHouseConnection,
  _bases: unknown,
  database: string,
  credentials: ClickHouseOptions,
): Promise<void> {
  const found = new Set((await connection.queryServer('SHOW TABLES')).map((row) => String(row.name)));
  if (!found.has('process'))
    throw new MonitorError('unavailable', `the database ${database} of ClickHouse has no tables of amberwatch's`);
  if (!tables.every(({ name }) => found.has(name)))
    throw new MonitorError(
      'unavailable',
      `the tables in the database ${database} of ClickHouse are an older version's; start a server of this one over it once`,
    );
  const cluster = await findCluster(connection, credentials.cluster);
  connection.setUp(await aboutTables(connection, cluster, credentials.cluster));
}

async function makeDatabase(anywhere: ClickHouseConnection, database: string, cluster: Cluster | null): Promise<void> {
  const found = await anywhere.queryServer(`SELECT name FROM system.databases WHERE name = '${database}'`);
  if (found.length > 0) return;
  await commandAll(anywhere, cluster, `CREATE DATABASE IF NOT EXISTS ${database}${onCluster(cluster)}`);
}

async function aboutTables(
  connection: ClickHouseConnection,
  cluster: Cluster | null,
  named: string | undefined,
): Promise<ClickHouseAbout> {
  const version = versionOf(String((await connection.queryServer('SELECT version() AS version'))[0]?.version));
  return { version, cluster: await clusterOfTables(connection, cluster, named) };
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
  const [process] = await connection.queryServer(
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
  const found = new Set((await connection.queryServer('SHOW TABLES')).map((row) => String(row.name)));
  for (const table of tables) {
    if (!found.has(table.name))
      for (const sql of createSql(table, making)) await commandAll(connection, making.cluster, sql);
    await addColumns(connection, table, making);
  }
}

/** A replicated table tells its replicas by itself; those of other shards, and what divides rows among them, have to be told. */
async function addColumns(connection: ClickHouseConnection, table: Table, making: Making): Promise<void> {
  const { version, cluster } = making;
  const { name, columns, key } = table;
  const there = await columnsOf(connection, name);
  if (!key.every((column) => there.has(column)))
    throw new MonitorError(
      'unavailable',
      `ClickHouse has a table ${name} in this database that is not amberwatch's; name a database of its own`,
    );
  const stored = storedIn(table, cluster);
  const isDivided = stored !== name;
  for (const column of await missingColumns(connection, stored, columns)) {
    const sql = `ALTER TABLE ${stored}${isDivided ? onCluster(cluster) : ''} ADD COLUMN ${columnSql(column, version)}`;
    try {
      await inTime(() => connection.command(sql, alterSettings(version)));
    } catch (error) {
      // Of servers that start at once one is first.
      if ((await missingColumns(connection, stored, [column])).length > 0) throw error;
    }
  }
  if (isDivided && (await missingColumns(connection, name, columns)).length > 0)
    await divideAnew(connection, table, making);
}

/** What divides rows has none, and is made anew: older versions alter no such table of a cluster. */
async function divideAnew(connection: ClickHouseConnection, table: Table, making: Making): Promise<void> {
  const { cluster } = making;
  for (const sql of [`DROP TABLE IF EXISTS ${table.name}${onCluster(cluster)}`, ...createSql(table, making)])
    await commandAll(connection, cluster, sql);
}

async function missingColumns(
  connection: ClickHouseConnection,
  place: string,
  columns: readonly Column[],
): Promise<Column[]> {
  const there = await columnsOf(connection, place);
  return columns.filter(({ name }) => !there.has(name));
}

async function columnsOf(connection: ClickHouseConnection, place: string): Promise<Set<string>> {
  return new Set((await connection.queryServer(`DESCRIBE TABLE ${place}`)).map((row) => String(row.name)));
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
