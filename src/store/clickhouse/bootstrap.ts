import { MonitorError } from '../../core/error.ts';
import type { ClickHouseCredentials } from '../open-options.ts';
import { type Cluster, findCluster } from './cluster.ts';
import { ClickHouseConnection } from './connection.ts';
import { isRefusal } from './failure.ts';
import { columnSql, createSql, packedSince, type Table, tables } from './schema.ts';

/** A replica that is away is not waited for: it does the same when it comes back. */
const clusterWaitSeconds = 5;
const alterWaitSeconds = 3;
const notAllInTime = ['159', '341'];

/**
 * Makes the database and its tables, on all replicas where they are a cluster, and adds columns that have come since.
 * What is there already stays as it is.
 * @throws MonitorError that says what is wrong
 */
export async function bootstrap(
  connection: ClickHouseConnection,
  bases: readonly string[],
  database: string,
  credentials: ClickHouseCredentials,
): Promise<void> {
  const anywhere = new ClickHouseConnection(bases, undefined, credentials);
  try {
    const version = versionOf(String((await anywhere.query('SELECT version() AS version'))[0]?.version));
    const cluster = await findCluster(anywhere, credentials.cluster);
    await makeDatabase(anywhere, database, cluster);
    const made = { version, cluster: await clusterOfTables(connection, cluster, credentials.cluster), database };
    connection.setUp({ version, replicas: made.cluster?.replicas ?? 1 });
    await makeTables(connection, made);
  } finally {
    await anywhere.close();
  }
}

/** The same where nothing may be made. @throws MonitorError `unavailable` where something is missing */
export async function checkTables(connection: ClickHouseConnection, _bases: unknown, database: string): Promise<void> {
  const found = new Set((await connection.query('SHOW TABLES')).map((row) => String(row.name)));
  if (!tables.every(({ name }) => found.has(name)))
    throw new MonitorError('unavailable', `the database ${database} of ClickHouse has no tables of amberwatch's`);
}

async function makeDatabase(anywhere: ClickHouseConnection, database: string, cluster: Cluster | null): Promise<void> {
  const found = await anywhere.query(`SELECT name FROM system.databases WHERE name = '${database}'`);
  if (found.length > 0) return;
  await onCluster(anywhere, cluster, (on) => `CREATE DATABASE IF NOT EXISTS ${database}${on}`);
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
  if (process === undefined || String(process.engine).startsWith('Replicated')) return cluster;
  if (named === undefined) return null;
  throw new MonitorError(
    'unavailable',
    `the tables of this database are of one server, and not replicated on ${named}; name another database, and copy what they have with: amberwatch move`,
  );
}

interface Made {
  version: number;
  cluster: Cluster | null;
  database: string;
}

async function makeTables(connection: ClickHouseConnection, { version, cluster, database }: Made): Promise<void> {
  const found = new Set((await connection.query('SHOW TABLES')).map((row) => String(row.name)));
  for (const table of tables) {
    if (!found.has(table.name))
      await onCluster(connection, cluster, (on) =>
        createSql(table, { version, on, path: cluster === null ? null : `/clickhouse/tables/{shard}/${database}` }),
      );
    await addColumns(connection, table, version);
  }
}

/** Not before the server has reached its Keeper: 18.16 falls over when it is asked for this without. */
async function onCluster(
  connection: ClickHouseConnection,
  cluster: Cluster | null,
  sql: (on: string) => string,
): Promise<void> {
  if (cluster === null) return connection.command(sql(''));
  await connection.query("SELECT count() AS count FROM system.zookeeper WHERE path = '/'");
  await inTime(() =>
    connection.command(sql(` ON CLUSTER ${quotedName(cluster.name)}`), {
      distributed_ddl_task_timeout: String(clusterWaitSeconds),
    }),
  );
}

function quotedName(name: string): string {
  return `\`${name}\``;
}

async function addColumns(connection: ClickHouseConnection, { name, columns, key }: Table, version: number) {
  const there = new Set((await connection.query(`DESCRIBE TABLE ${name}`)).map((row) => String(row.name)));
  if (!key.every((column) => there.has(column)))
    throw new MonitorError(
      'unavailable',
      `ClickHouse has a table ${name} in this database that is not amberwatch's; name a database of its own`,
    );
  for (const column of columns)
    if (!there.has(column.name))
      await inTime(() =>
        connection.command(`ALTER TABLE ${name} ADD COLUMN ${columnSql(column, version)}`, alterSettings(version)),
      );
}

/** An older one waits a minute for replicas that are away; today's does not know the setting any more. */
function alterSettings(version: number) {
  return version < packedSince ? { replication_alter_columns_timeout: String(alterWaitSeconds) } : {};
}

async function inTime(work: () => Promise<void>): Promise<void> {
  await work().catch((error: unknown) => {
    if (!isRefusal(error, notAllInTime)) throw error;
  });
}

/** `18.16.1` -> 1816 */
function versionOf(text: string): number {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined)
    throw new MonitorError('unavailable', `ClickHouse does not say which it is, but '${text.slice(0, 50)}'`);
  return Number(major) * 100 + Number(minor);
}
