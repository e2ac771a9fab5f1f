import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import { schemaVersion, tablesOf } from '../../src/store/duckdb/schema.ts';
import { openStore } from '../../src/store/open.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { temporaryFolder } from '../temporary-folder.ts';

/** As they were up to version 2. */
const tablesBefore = tablesOf(2).map(({ sql }) => sql);
const options = { retentionMs: 2 * 86_400_000, warn: () => undefined };

async function run(path: string, ...statements: string[]): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  let rows: unknown[][] = [];
  for (const statement of statements) rows = (await connection.runAndReadAll(statement)).getRows();
  connection.closeSync();
  instance.closeSync();
  return rows;
}

/** A file as 0.1.0 has made it: one host whose clock is 45 s behind, one whose is right, and what it did not know. */
async function oldFile(): Promise<string> {
  const path = join(temporaryFolder(), 'amberwatch.db');
  const about = { ip: '10.0.0.5', intervalMs: 10000, bootId: null, cores: 8, memoryBytes: null, limitedBy: 'host' };
  const metrics = (skew: number | null) => JSON.stringify([10, ...Array(15).fill(null), skew]);
  await run(
    path,
    ...['host', 'name', 'about'].map((name) => `CREATE TABLE ${name} (id INTEGER, text VARCHAR)`),
    'CREATE TABLE snapshot (host INTEGER, time BIGINT, about INTEGER, metrics VARCHAR)',
    `CREATE TABLE usage (time BIGINT, host INTEGER, name INTEGER, cpu INTEGER, cpu_max INTEGER, memory INTEGER,
      memory_max INTEGER, rss_bytes BIGINT, count INTEGER, pid UINTEGER)`,
    `CREATE TABLE forecast (time BIGINT, host INTEGER, name INTEGER, metric VARCHAR, value DOUBLE, threshold DOUBLE,
      probability DOUBLE, amber_since BIGINT, notify_since BIGINT, muted BOOLEAN, eta DOUBLE, eta_low DOUBLE,
      eta_high DOUBLE, reason VARCHAR)`,
    `INSERT INTO host VALUES (0, 'right'), (1, 'behind')`,
    `INSERT INTO name VALUES (0, 'nginx')`,
    `INSERT INTO about VALUES (0, '${JSON.stringify(about)}')`,
    ...Array.from({ length: 20 }, (_, k) => [
      `INSERT INTO snapshot VALUES (0, ${noon + k * 10_000}, 0, '${metrics(null)}'), (1, ${noon + k * 10_000 - 45_000}, 0, '${metrics(-45)}')`,
      `INSERT INTO usage VALUES (${noon + k * 10_000}, 0, 0, 5000, 5000, 1000, 1000, NULL, 1, NULL)`,
    ]).flat(),
  );
  return path;
}

describe("the file's version", () => {
  test('a new file has one', async () => {
    const path = join(temporaryFolder(), 'new.db');
    await (await openStore(`duckdb:${path}`, options)).close();
    expect(await run(path, 'SELECT version FROM version')).toEqual([[schemaVersion]]);
    await (await openStore(`duckdb:${path}`, options)).close();
    expect(await run(path, 'SELECT version FROM version')).toEqual([[schemaVersion]]);
  });

  test('one of 0.1.0 is brought here, nothing is lost, and no copy is left', async () => {
    const path = await oldFile();
    const store = await openStore(`duckdb:${path}`, options);
    const at = noon + 100_000;
    expect((await store.latest(at)).map(({ host, time }) => [host, time - noon])).toEqual([
      ['behind', 55_000],
      ['right', 100_000],
    ]);
    expect((await store.means({ from: 0, to: 8e15 }))[0]).toMatchObject({ name: 'nginx', cpu: 5, snapshots: 20 });
    await store.append({ snapshots: [makeSnapshot({ host: 'new', time: at })] });
    expect(await store.latest(at)).toHaveLength(3);
    await store.close();
    expect(readdirSync(join(path, '..')).filter((name) => name.includes('version'))).toEqual([]);
    expect(await run(path, 'SELECT version FROM version')).toEqual([[schemaVersion]]);
  });

  test('of version 2 what a host says of itself, and what was marked as from the future, goes on as it was', async () => {
    const path = join(temporaryFolder(), 'amberwatch.db');
    const about = { ip: '10.0.0.5', intervalMs: 5000, bootId: "b'1", cores: 8, memoryBytes: null, limitedBy: 'cgroup' };
    const metrics = JSON.stringify([10, ...Array(18).fill(null)]);
    await run(
      path,
      ...tablesBefore,
      'CREATE TABLE version (version INTEGER, tried BIGINT)',
      'INSERT INTO version VALUES (2, 0)',
      `INSERT INTO host VALUES (0, 'web')`,
      `INSERT INTO name VALUES (0, 'nginx')`,
      `INSERT INTO about VALUES (0, '${JSON.stringify(about).replaceAll("'", "''")}'),
        (1, '${JSON.stringify({ ...about, ip: null, isFromFuture: true }).replaceAll("'", "''")}')`,
      `INSERT INTO snapshot VALUES (0, ${noon}, 0, '${metrics}', ${noon}), (0, ${noon + 600_000}, 1, '${metrics}', ${noon + 600_000})`,
      `INSERT INTO usage VALUES (${noon}, 0, 0, 5000, 5000, 1000, 1000, NULL, 1, NULL), (${noon + 600_000}, 0, 0, 9000, 9000, 1000, 1000, NULL, 1, NULL)`,
    );
    const store = await openStore(`duckdb:${path}`, { ...options, now: () => noon + 1000 });
    expect(await store.latest(noon + 3_600_000)).toEqual([
      { host: 'web', time: noon, ...about, metrics: { 'system.cpu': 10 } },
    ]);
    const window = { from: 0, to: noon + 3_600_000 };
    expect(await store.means({ ...window, ip: '10.0.0.5' })).toMatchObject([{ cpu: 5, snapshots: 1 }]);
    await store.append({
      snapshots: [makeSnapshot({ host: 'web', time: noon + 10_000, processes: [{ name: 'nginx' }, { name: 'new' }] })],
    });
    expect((await store.means(window)).map(({ name, snapshots }) => [name, snapshots]).sort()).toEqual([
      ['new', 1],
      ['nginx', 3],
    ]);
    await store.close();
    expect(await run(path, "SELECT count(*)::INTEGER FROM duckdb_tables() WHERE table_name = 'about'")).toEqual([[0]]);
  });

  test('where that fails, the file is as it was, and a copy is beside it', async () => {
    const path = await oldFile();
    // Metrics that are none.
    await run(path, `INSERT INTO snapshot VALUES (0, 1, 0, 'nonsense')`);
    const sizeBefore = statSync(path).size;
    await expect(openStore(`duckdb:${path}`, options)).rejects.toThrow(
      /^cannot open the store .*: it could not be brought from version 1 to \d+ and is as it was \(a copy: .*\.version-1\): /,
    );
    expect(existsSync(`${path}.version-1`)).toBe(true);
    expect(Math.abs(statSync(`${path}.version-1`).size - sizeBefore)).toBeLessThan(1024 ** 2);
    expect(await run(path, 'SELECT count(*)::INTEGER FROM snapshot')).toEqual([[41]]);
    await run(path, 'DELETE FROM snapshot WHERE time = 1');
    await (await openStore(`duckdb:${path}`, options)).close();
    expect(existsSync(`${path}.version-1`)).toBe(false);
  });

  test('one of a later version is refused with a sentence, and left alone', async () => {
    const path = join(temporaryFolder(), 'later.db');
    await (await openStore(`duckdb:${path}`, options)).close();
    await run(path, 'UPDATE version SET version = 700');
    await expect(openStore(`duckdb:${path}`, options)).rejects.toThrow(
      /^cannot open the store .*: a newer amberwatch has written it \(version 700, this one knows up to \d+\); start that one, or choose another --data folder$/,
    );
    expect(await run(path, 'SELECT version FROM version')).toEqual([[700]]);
  });
});

test('a start that is killed while it makes the tables, now or by 0.1.0, can be made again', async () => {
  for (let count = 0; count <= tablesBefore.length; count++) {
    const path = join(temporaryFolder(), 'half.db');
    // As 0.1.0 made them, one by one; what this version makes comes in one transaction.
    await run(path, 'SELECT 1', ...tablesBefore.slice(0, count).map((sql) => sql.replace(', placed BIGINT', '')));
    const store = await openStore(`duckdb:${path}`, options);
    await store.append({ snapshots: [makeSnapshot()] });
    expect(await store.latest(noon)).toHaveLength(1);
    await store.close();
    expect(await run(path, 'SELECT version FROM version')).toEqual([[schemaVersion]]);
  }
});

describe('a folder that is not there any more', () => {
  const setUp = async () => {
    const folder = join(temporaryFolder(), 'data');
    const store = await openStore(`duckdb:${join(folder, 'amberwatch.db')}`, options);
    await store.append({ snapshots: [makeSnapshot()] });
    await store.ping();
    return { folder, store };
  };
  const refused = { code: 'unavailable', message: expect.stringMatching(/has been removed or replaced while/) };

  test.each<[string, (folder: string) => void]>([
    ['removed', (folder) => rmSync(folder, { recursive: true })],
    ['moved away', (folder) => renameSync(folder, `${folder}-aside`)],
    [
      'replaced',
      (folder) => {
        rmSync(folder, { recursive: true });
        mkdirSync(folder);
        writeFileSync(join(folder, 'amberwatch.db'), '');
      },
    ],
  ])('%s: no write is acknowledged, also not the second time, and it is not ready', async (_, change) => {
    const { folder, store } = await setUp();
    change(folder);
    await expect(store.ping()).rejects.toMatchObject(refused);
    for (const time of [noon + 1, noon + 1, noon + 2])
      await expect(store.append({ snapshots: [makeSnapshot({ time })] })).rejects.toMatchObject(refused);
    await store.close();
  });

  test('put back: it goes on', async () => {
    const { folder, store } = await setUp();
    renameSync(folder, `${folder}-aside`);
    await expect(store.append({ snapshots: [makeSnapshot({ time: noon + 1 })] })).rejects.toMatchObject(refused);
    renameSync(`${folder}-aside`, folder);
    await store.append({ snapshots: [makeSnapshot({ time: noon + 1 })] });
    await store.ping();
    expect((await store.latest(noon + 1))[0]?.time).toBe(noon + 1);
    await store.close();
  });
});
