import { copyFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { messageOf } from '../../core/error.ts';
import { tableNames, tables } from './schema.ts';

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
  try {
    for (const statement of tables) await connection.run(statement);
    if (await mustVerify(path)) for (const table of tableNames) await readAll(connection, table);
    await rm(verifyMarker(path), { force: true });
    connection.closeSync();
    return instance;
  } catch (error) {
    // In this order: with a connection left, DuckDB would live on and delete the log of the next one to open the path.
    connection.closeSync();
    instance.closeSync();
    throw error;
  }
}

async function mustVerify(path: string): Promise<boolean> {
  const size = async (file: string) => (await stat(file).catch(() => ({ size: -1 }))).size;
  return (await size(path)) <= verifiedBytes || (await size(verifyMarker(path))) >= 0;
}

/** A sum reads every value; minimum and maximum would come from statistics. */
async function readAll(connection: DuckDBConnection, table: string): Promise<void> {
  await connection.run(`SELECT sum(hash(COLUMNS(*))) FROM ${table}`);
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
  const mended = `${path}.mending`;
  for (const left of [mended, `${mended}.wal`]) await rm(left, { force: true });
  const lost = await salvage(mended, path, settings);
  await rename(path, aside);
  await rename(`${path}.wal`, `${aside}.wal`).catch(() => undefined);
  await rename(mended, path);
  return `${path} was damaged and is in ${aside} now; ${lost}`;
}

/** Copies into a new file what can be read of a damaged one. */
async function salvage(path: string, damaged: string, settings: Record<string, string>): Promise<string> {
  const instance = await DuckDBInstance.create(path, settings);
  const connection = await instance.connect();
  try {
    for (const statement of tables) await connection.run(statement);
    try {
      await connection.run(`ATTACH '${damaged.replaceAll("'", "''")}' AS damaged (READ_ONLY)`);
    } catch (error) {
      if (!isDamage(error)) throw error;
      return 'nothing of it could be read: starting empty';
    }
    let lost = 0;
    for (const table of tableNames) lost += await copyReadable(connection, table);
    await nameTheNameless(connection);
    await connection.run('DETACH damaged');
    return `${lost} rows of it could not be read, all others are kept`;
  } finally {
    await connection.run('CHECKPOINT').catch(() => undefined);
    connection.closeSync();
    instance.closeSync();
  }
}

/** @returns how many rows could not be read */
async function copyReadable(connection: DuckDBConnection, table: string): Promise<number> {
  const copy = (where = '') => connection.run(`INSERT INTO ${table} SELECT * FROM damaged.${table} ${where}`);
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

/** Rows whose name or header was lost still count. */
async function nameTheNameless(connection: DuckDBConnection): Promise<void> {
  const about = JSON.stringify({
    ip: null,
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
    ['about', 'snapshot', `'${about}'`],
  ] as const) {
    await connection.run(
      `INSERT INTO ${dictionary} SELECT DISTINCT ${dictionary}, ${text} FROM ${table} WHERE ${dictionary} NOT IN (SELECT id FROM ${dictionary})`,
    );
  }
}
