import { MonitorError } from '../../core/error.ts';
import type { ClickHouseCredentials } from '../open-options.ts';
import { ClickHouseConnection } from './connection.ts';
import { columnSql, createSql, type Table, tables } from './schema.ts';

/**
 * Makes the database and its tables, and adds columns that have come since. What is there already stays as it is.
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
    const found = await anywhere.query(`SELECT name FROM system.databases WHERE name = '${database}'`);
    if (found.length === 0) await anywhere.command(`CREATE DATABASE IF NOT EXISTS ${database}`);
  } finally {
    await anywhere.close();
  }
  const version = versionOf(String((await connection.query('SELECT version() AS version'))[0]?.version));
  for (const table of tables) {
    await connection.command(createSql(table, version));
    await addColumns(connection, table, version);
  }
}

/** The same where nothing may be made. @throws MonitorError `unavailable` where something is missing */
export async function checkTables(connection: ClickHouseConnection, _bases: unknown, database: string): Promise<void> {
  const found = new Set((await connection.query('SHOW TABLES')).map((row) => String(row.name)));
  if (!tables.every(({ name }) => found.has(name)))
    throw new MonitorError('unavailable', `the database ${database} of ClickHouse has no tables of amberwatch's`);
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
      await connection.command(`ALTER TABLE ${name} ADD COLUMN ${columnSql(column, version)}`);
}

/** `18.16.1` -> 1816 */
function versionOf(text: string): number {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined)
    throw new MonitorError('unavailable', `ClickHouse does not say which it is, but '${text.slice(0, 50)}'`);
  return Number(major) * 100 + Number(minor);
}
