import { chmod, copyFile, open, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { MonitorError, messageOf } from '../../core/error.ts';
import { migrationFrom, placeUnplaced, schemaVersion, tablesOf, versionTable } from './schema.ts';

/** Larger files are read whole at the start only after a query has met damage: it takes a second for each GB. */
const verifiedBytes = 1024 ** 3;
/** Rows that DuckDB compresses together; damage makes all of them unreadable. */
const rowGroupRows = 122_880;
/** DuckDB's words for bytes that are not what it wrote. */
const damagePattern = /Corrupt|checksum|not a valid DuckDB|Could not read enough|Serialization Error/i;

export interface OpenedDatabase {
  instance: DuckDBInstance;
  /** What was damaged, where it is now, and what was kept. */
  damage: string[];
}

/**
 * Opens a database file also when it or its write-ahead log is damaged: what is readable is kept, what is not
 * is set aside under another name. With a damaged log all commits before the damage are kept.
 * @param stamp makes the names of what is set aside unique
 */
export async function openDatabase(
  path: string,
  settings: Record<string, string>,
  stamp: string,
): Promise<OpenedDatabase> {
  const damage: string[] = [];
  await takeOverMended(path, stamp);
  for (let tries = 0; ; tries++) {
    try {
      const instance = await openWhole(path, settings);
      return { instance, damage };
    } catch (error) {
      const message = messageOf(error);
      if (!damagePattern.test(message) || tries >= 3) throw error;
      damage.push(await mend(path, message, `damaged-${stamp}${tries === 0 ? '' : `-${tries}`}`, settings));
    }
  }
}

/**
 * Opens it beside nobody, and changes nothing: what is in the write-ahead log is read from there.
 * @throws MonitorError `unavailable` for one that is not there, or of another version
 */
export async function openToRead(path: string, settings: Record<string, string>): Promise<OpenedDatabase> {
  if ((await stat(path).catch(() => null)) === null) throw new MonitorError('unavailable', 'there is no such file');
  const instance = await DuckDBInstance.create(path, { ...settings, access_mode: 'READ_ONLY' });
  const connection = await instance.connect();
  const old = await oldVersion(connection).finally(() => connection.closeSync());
  if (old === 0) return { instance, damage: [] };
  instance.closeSync();
  throw new MonitorError(
    'unavailable',
    `it is of version ${old}, and this amberwatch reads ${schemaVersion}: start the server with it once, which brings it there`,
  );
}

/** A query has met damage: the next start looks at everything. */
export async function askForVerification(path: string): Promise<void> {
  await writeFile(verifyMarker(path), '').catch(() => undefined);
}

export function isDamage(error: unknown): boolean {
  return damagePattern.test(messageOf(error));
}

function verifyMarker(path: string): string {
  return `${path}.verify`;
}

async function openWhole(path: string, settings: Record<string, string>): Promise<DuckDBInstance> {
  const instance = await DuckDBInstance.create(path, settings);
  const connection = await instance.connect();
  let old = 0;
  try {
    old = await oldVersion(connection);
    const version = old === 0 ? schemaVersion : old;
    await makeTables(connection, version);
    if (await mustVerify(path)) for (const { name } of tablesOf(version)) await readAll(connection, name);
    await rm(verifyMarker(path), { force: true });
    connection.closeSync();
    if (old === 0) {
      for (let version = 1; version < schemaVersion; version++) await rm(copyOf(path, version), { force: true });
      return instance;
    }
    instance.closeSync();
  } catch (error) {
    // In this order: with a connection left, DuckDB would live on and delete the log of the next one to open the path.
    connection.closeSync();
    instance.closeSync();
    throw error;
  }
  await migrate(path, settings, old);
  return openWhole(path, settings);
}

async function use<T>(
  path: string,
  settings: Record<string, string>,
  work: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  const instance = await DuckDBInstance.create(path, settings);
  const connection = await instance.connect();
  try {
    return await work(connection);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/**
 * What the file has to be brought from; 0: nothing, it is new or of this version.
 * @throws MonitorError `unavailable` for one of a later version
 */
async function oldVersion(connection: DuckDBConnection, attached?: 'damaged'): Promise<number> {
  const rows = async (sql: string) => (await connection.runAndReadAll(sql)).getRows();
  const [database, prefix] = attached === undefined ? ['current_database()', ''] : [`'${attached}'`, `${attached}.`];
  const found = await rows(`SELECT DISTINCT table_name FROM duckdb_tables() WHERE database_name = ${database}`);
  const names = found.map(([name]) => name);
  const said = names.includes('version') ? (await rows(`SELECT max(version) FROM ${prefix}version`))[0]?.[0] : null;
  const version = Number(said ?? (names.length > 0 ? 1 : schemaVersion));
  if (version > schemaVersion)
    throw new MonitorError(
      'unavailable',
      `a newer amberwatch has written it (version ${version}, this one knows up to ${schemaVersion}); start that one, or choose another --data folder`,
    );
  return version === schemaVersion ? 0 : version;
}

/** In one transaction, with a copy beside it until that has succeeded. Copied while closed: DuckDB's lock goes with any reader. */
async function migrate(path: string, settings: Record<string, string>, from: number): Promise<void> {
  await use(path, settings, (connection) => connection.run('CHECKPOINT'));
  const copy = copyOf(path, from);
  await copyDurably(path, copy);
  try {
    await use(path, settings, (connection) => migrateFrom(connection, from));
  } catch (error) {
    throw new MonitorError(
      'unavailable',
      `it could not be brought from version ${from} to ${schemaVersion} and is as it was (a copy: ${copy}): ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function migrateFrom(connection: DuckDBConnection, from: number): Promise<void> {
  await connection.run('BEGIN');
  for (let version = from; version < schemaVersion; version++)
    for (const change of migrationFrom(version))
      await (typeof change === 'string' ? connection.run(change) : change(connection));
  await connection.run(versionTable);
  await connection.run('DELETE FROM version');
  await connection.run(`INSERT INTO version VALUES (${schemaVersion}, 0)`);
  await connection.run('COMMIT');
}

function copyOf(path: string, version: number): string {
  return `${path}.version-${version}`;
}

async function copyDurably(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to);
    await chmod(to, 0o600);
    const handle = await open(to, 'r+');
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    await rm(to, { force: true });
    throw new MonitorError('unavailable', `it cannot be copied to ${to} before it is changed: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** All or none: a kill in the middle must not leave a file that looks like one of another version. */
async function makeTables(connection: DuckDBConnection, version: number): Promise<void> {
  await connection.run('BEGIN');
  for (const { sql } of tablesOf(version)) await connection.run(sql);
  if (version === schemaVersion) {
    await connection.run(versionTable);
    await connection.run(`INSERT INTO version SELECT ${schemaVersion}, 0 WHERE NOT EXISTS (SELECT * FROM version)`);
  }
  await connection.run('COMMIT');
}

async function mustVerify(path: string): Promise<boolean> {
  const size = async (file: string) => (await stat(file).catch(() => ({ size: -1 }))).size;
  return (await size(path)) <= verifiedBytes || (await size(verifyMarker(path))) >= 0;
}

/** A sum reads every value; minimum and maximum would come from statistics. */
async function readAll(connection: DuckDBConnection, table: string): Promise<void> {
  await connection.run(`SELECT sum(hash(COLUMNS(*))) FROM ${table}`);
}

/** After a kill between the two renames of a mending: the mended file is whole then, and has no log. */
async function takeOverMended(path: string, stamp: string): Promise<void> {
  const isThere = async (file: string) => (await stat(file).catch(() => null)) !== null;
  if ((await isThere(path)) || !(await isThere(mendedOf(path))) || (await isThere(`${mendedOf(path)}.wal`))) return;
  await rename(`${path}.wal`, `${path}.damaged-${stamp}.wal`).catch(() => undefined);
  await rename(mendedOf(path), path);
}

function mendedOf(path: string): string {
  return `${path}.mending`;
}

/** @returns what was done, as a sentence */
async function mend(path: string, message: string, suffix: string, settings: Record<string, string>): Promise<string> {
  const log = /replaying WAL file "([^"]+)"/.exec(message)?.[1];
  if (log !== undefined) {
    const end = Number(/entry at byte position (\d+)/.exec(message)?.[1] ?? 0);
    await copyFile(log, `${log}.${suffix}`);
    await truncate(log, end);
    return `the write-ahead log of ${path} was damaged from byte ${end} on; what came before is kept, the whole log is in ${log}.${suffix}`;
  }
  const aside = `${path}.${suffix}`;
  // The damaged file keeps its place until the new one is whole: a kill meanwhile begins this again.
  const mended = mendedOf(path);
  for (const left of [mended, `${mended}.wal`]) await rm(left, { force: true });
  const lost = await salvage(mended, path, settings);
  await rename(path, aside);
  await rename(`${path}.wal`, `${aside}.wal`).catch(() => undefined);
  await rename(mended, path);
  return `${path} was damaged and is in ${aside} now; ${lost}`;
}

/**
 * Copies into a new file what can be read of a damaged one.
 * @throws MonitorError `unavailable` for one of a later version
 */
function salvage(path: string, damaged: string, settings: Record<string, string>): Promise<string> {
  return use(path, settings, async (connection) => {
    try {
      await connection.run(`ATTACH '${damaged.replaceAll("'", "''")}' AS damaged (READ_ONLY)`);
    } catch (error) {
      if (!isDamage(error)) throw error;
      await makeTables(connection, schemaVersion);
      return 'nothing of it could be read: starting empty';
    }
    const version = await versionOfDamaged(connection);
    await makeTables(connection, version);
    let lost = 0;
    for (const { name } of tablesOf(version)) lost += await copyReadable(connection, name);
    await connection.run(placeUnplaced());
    await nameTheNameless(connection, version);
    await connection.run('DETACH damaged');
    if (version < schemaVersion) await migrateFrom(connection, version);
    await connection.run('CHECKPOINT');
    return `${lost} rows of it could not be read, all others are kept`;
  });
}

/** As the file says; where that cannot be read, as its tables look. 1 and 2 have the same. */
async function versionOfDamaged(connection: DuckDBConnection): Promise<number> {
  let said: number | null = null;
  try {
    said = (await oldVersion(connection, 'damaged')) || schemaVersion;
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  if ((await columnsOf(connection, 'about')) !== null) return 2;
  if (said !== null && said > 2) return said;
  const usage = (await columnsOf(connection, 'usage')) ?? [];
  const isOld = (await columnsOf(connection, 'forecast'))?.includes('metric') ?? false;
  return !isOld ? schemaVersion : usage.includes('threads') ? 4 : 3;
}

/** Of a table of the damaged file; null: it has none. */
async function columnsOf(connection: DuckDBConnection, table: string): Promise<string[] | null> {
  const found = await connection.runAndReadAll(
    `SELECT column_name FROM duckdb_columns() WHERE database_name = 'damaged' AND table_name = '${table}'`,
  );
  const names = found.getRows().map(([name]) => String(name));
  return names.length === 0 ? null : names;
}

/** @returns how many rows could not be read */
async function copyReadable(connection: DuckDBConnection, table: string): Promise<number> {
  // An older file has fewer columns, and one that was being migrated may have more.
  const made = await connection.runAndReadAll(
    `SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() AND table_name = '${table}'`,
  );
  const known = new Set(made.getRows().map(([name]) => String(name)));
  const columns = (await columnsOf(connection, table))
    ?.filter((name) => known.has(name))
    .map((name) => `"${name}"`)
    .join(', ');
  if (columns === undefined) return 0;
  const copy = (where = '') =>
    connection.run(`INSERT INTO ${table} (${columns}) SELECT ${columns} FROM damaged.${table} ${where}`);
  try {
    await copy();
    return 0;
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  const [[rows = 0] = []] = (await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM damaged.${table}`)).getRows();
  let lost = 0;
  for (let from = 0; from < Number(rows); from += rowGroupRows) {
    const where = `WHERE rowid >= ${from} AND rowid < ${from + rowGroupRows}`;
    await copy(where).catch((error: unknown) => {
      if (!isDamage(error)) throw error;
      lost += Math.min(rowGroupRows, Number(rows) - from);
    });
  }
  return lost;
}

/** Rows whose name, header or series was lost still count. */
async function nameTheNameless(connection: DuckDBConnection, version: number): Promise<void> {
  const header = JSON.stringify({
    intervalMs: 10_000,
    bootId: null,
    cores: null,
    memoryBytes: null,
    limitedBy: 'host',
  });
  for (const [dictionary, table, text] of [
    ['host', 'usage', `'lost-' || host`],
    ['host', 'snapshot', `'lost-' || host`],
    ['name', 'usage', `'lost-' || name`],
    ...(version < 6
      ? []
      : (['hour', 'bucket'] as const).flatMap((table) => [
          ['host', table, `'lost-' || host`] as const,
          ['name', table, `'lost-' || name`] as const,
        ])),
    ...(version < 3 ? ([['about', 'snapshot', `'${header}'`]] as const) : []),
  ] as const) {
    await connection.run(
      `INSERT INTO ${dictionary} (id, text) SELECT DISTINCT ${dictionary}, ${text} FROM ${table} WHERE ${dictionary} NOT IN (SELECT id FROM ${dictionary})`,
    );
  }
  for (const table of version < 5 ? [] : ['sample', 'forecast', 'tally'])
    await connection.run(
      `INSERT INTO series (id, text, metric) SELECT DISTINCT series, 'lost_' || series || '{}', 'lost_' || series FROM ${table}
       WHERE series NOT IN (SELECT id FROM series)`,
    );
}
