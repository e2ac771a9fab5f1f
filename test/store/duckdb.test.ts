import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { MonitorError } from '../../src/core/error.ts';
import type { Records, Store } from '../../src/core/store.ts';
import { PartFiles } from '../../src/store/duckdb/part-files.ts';
import { Parts } from '../../src/store/duckdb/parts.ts';
import { Readers } from '../../src/store/duckdb/readers.ts';
import { openStore } from '../../src/store/open.ts';
import { makeSnapshot } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';
import { tableRows } from '../table-rows.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { storeContract } from './store-contract.ts';

const options = { retentionMs: 2 * 86_400_000, warn: () => undefined };
const folder = temporaryFolder();

storeContract('duckdb', async () => ({
  open: (more) => openStore(`duckdb:${join(folder, 'contract', 'amberwatch.db')}`, { ...options, ...more }),
  now: Date.now(),
  durable: true,
  expires: true,
  conflict: 'first-wins',
}));

/** Whatever is written is closed at once. */
async function closing(store: Store): Promise<Store> {
  // What comes late waits for some hours.
  let now = Date.now() + 400 * 86_400_000;
  const append = async (records: Records) => {
    const appended = await store.append(records);
    now += 7 * 3_600_000;
    await store.compact(now);
    return appended;
  };
  return overStore(store, { append });
}

storeContract('duckdb, with all hours closed', async () => ({
  open: async (more) =>
    closing(await openStore(`duckdb:${join(folder, 'closed', 'amberwatch.db')}`, { ...options, ...more })),
  now: Date.now(),
  durable: true,
  expires: true,
  conflict: 'first-wins',
}));

test('a file that cannot be opened is one clear sentence', async () => {
  await expect(openStore('duckdb:/etc/hostname/a.db', options)).rejects.toMatchObject({ code: 'unavailable' });
  await expect(openStore('duckdb:', options)).rejects.toThrow(/has no path; use duckdb:/);
  await expect(openStore('mysql://x', options)).rejects.toThrow(/names no store; use memory:, duckdb:/);
});

/** Takes minutes. */
const endless = 'SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE hash(a.range, b.range) % 7 = 1';

test("a query that is cancelled stops at once, a large one is in nobody else's way, and too many are refused", async () => {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const readers = await Readers.connect(instance, {
    parts: new Parts(new PartFiles('none'), { parts: [], out: [] }),
    onDamage: async () => 'damaged',
  });
  const late = new AbortController();
  const large = { rows: 1e9, signal: late.signal };
  const waiting = Array.from({ length: 34 }, () => readers.query(endless, large).catch((error: MonitorError) => error));
  await expect(readers.query('SELECT 1', { rows: 1e9 })).rejects.toMatchObject({
    code: 'unavailable',
    retryAfterSeconds: 5,
  });
  expect(await readers.query('SELECT 1 AS one', { rows: 10 })).toEqual([{ one: 1 }]);
  expect(await readers.query('SELECT 2 AS two', { lane: 'present' })).toEqual([{ two: 2 }]);
  const background = readers.query('SELECT 3 AS three', { lane: 'background' });
  const begin = performance.now();
  late.abort(new MonitorError('timeout', 'too long'));
  const ends = await Promise.all(waiting);
  expect(performance.now() - begin).toBeLessThan(1000);
  // Two ran; those whose turn had not come were not too slow.
  expect(ends.map((error) => (error as MonitorError).code)).toEqual([
    'timeout',
    'timeout',
    ...Array(32).fill('unavailable'),
  ]);
  expect(await background).toEqual([{ three: 3 }]);
  await readers.close();
  instance.closeSync();
});

// DuckDB hangs or aborts the process when a connection is closed under its query.
test('closed in the middle of questions it ends at once, and says so to those that wait', async () => {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const readers = await Readers.connect(instance, {
    parts: new Parts(new PartFiles('none'), { parts: [], out: [] }),
    onDamage: async () => 'damaged',
  });
  const beside = await instance.connect();
  const questions = [
    readers.query(endless, { rows: 1e9 }),
    readers.background(beside, () => beside.run(endless)),
    readers.query(endless, { rows: 1e9 }),
    readers.query(endless, { lane: 'present' }),
    readers.query(() => endless, { rows: 10 }),
  ].map((question) => question.catch((error: unknown) => error));
  await sleep(100);
  const begin = performance.now();
  await readers.close();
  beside.closeSync();
  instance.closeSync();
  expect(performance.now() - begin).toBeLessThan(1000);
  for (const end of await Promise.all(questions)) expect(end).toMatchObject({ message: 'the store is closed' });
});

test('a store that is closed while it answers ends, and can be opened again', async () => {
  const path = join(temporaryFolder(), 'answering.db');
  const now = Date.now();
  const processes = Array.from({ length: 300 }, (_, i) => ({ name: `p-${i}` }));
  for (let round = 0; round < 5; round++) {
    const store = await openStore(`duckdb:${path}`, options);
    const snapshots = Array.from({ length: 100 }, (_, k) =>
      makeSnapshot({ host: `host-${k % 10}`, time: now - (round * 100 + k) * 1000, processes }),
    );
    await store.append({ snapshots });
    const window = { from: 0, to: now };
    const answers = [
      store.means(window),
      store.page({ ...window, limit: 9000, skip: 0 }),
      store.above({ metric: 'process_cpu', matchers: [] }, 1, window),
    ].map((answer) => answer.catch((error: unknown) => error));
    await store.close();
    for (const answer of await Promise.all(answers))
      if (answer instanceof Error) expect(answer.message).toBe('the store is closed');
  }
});

test('names that no row has any more are forgotten, and come back with those that have them again', async () => {
  const path = join(temporaryFolder(), 'names.db');
  const now = Date.now();
  const old = now - 3 * 86_400_000;
  const names = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({ name: `name-${from + i}` }));
  const store = await openStore(`duckdb:${path}`, options);
  for (let k = 0; k < 5; k++)
    await store.append({
      snapshots: [makeSnapshot({ host: `host-${k}`, time: old, processes: names(k * 5000, 5000) })],
    });
  await store.append({ snapshots: [makeSnapshot({ host: 'host-0', time: now - 1000, processes: names(0, 10) })] });
  const expired = store.expire(now);
  // While they are being looked for, some of them are used again.
  await store.append({ snapshots: [makeSnapshot({ host: 'host-1', time: now - 500, processes: names(5000, 10) })] });
  await expired;
  await store.append({ snapshots: [makeSnapshot({ host: 'host-2', time: now, processes: names(10_000, 10) })] });
  const rows = tableRows(await store.page({ from: old, to: now, limit: 100, skip: 0 }));
  expect(rows.map(({ name }) => name).sort()).toEqual(
    [0, 5000, 10_000].flatMap((from) => names(from, 10).map(({ name }) => name)).sort(),
  );
  await store.close();
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  const count = (await connection.runAndReadAll('SELECT count(*)::INTEGER FROM name')).getRows();
  expect(count).toEqual([[30]]);
  connection.closeSync();
  instance.closeSync();
});

test('what is written again alone, after its group has failed, has its names', async () => {
  const path = join(temporaryFolder(), 'alone.db');
  const now = Date.now();
  let store = await openStore(`duckdb:${path}`, options);
  const good = (host: string) => makeSnapshot({ host, time: now, processes: [{ name: 'a' }, { name: `of ${host}` }] });
  // No client can send such a time; DuckDB takes none that is not whole.
  const written = await Promise.allSettled([
    store.append({ snapshots: [good('one')] }),
    store.append({ snapshots: [makeSnapshot({ host: 'bad', time: now + 0.5 })] }),
    store.append({ snapshots: [good('two'), makeSnapshot({ host: 'bad', time: now + 1.5 }), good('three')] }),
  ]);
  expect(written.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
  await store.close();
  store = await openStore(`duckdb:${path}`, options);
  for (const host of ['one', 'two', 'three']) {
    const rows = tableRows(await store.page({ from: now - 1, to: now, hosts: [host], limit: 10, skip: 0 }));
    expect(rows.map(({ name }) => name)).toEqual(['a', `of ${host}`]);
  }
  await store.close();
});

test('a host whose first snapshot could not be stored has one name, and keeps it', async () => {
  const path = join(temporaryFolder(), 'host.db');
  const now = Date.now();
  const url = `duckdb:${path}`;
  let store = await openStore(url, options);
  const snapshot = makeSnapshot({ host: 'late', time: now });
  await expect(store.append({ snapshots: [{ ...snapshot, time: now + 0.5 }] })).rejects.toThrow();
  await store.expire(now);
  await store.append({ snapshots: [snapshot] });
  await store.close();
  store = await openStore(url, options);
  await store.expire(now);
  await store.append({ snapshots: [snapshot] });
  expect(await store.means({ from: now - 1, to: now, hosts: ['late'] })).toMatchObject([{ snapshots: 1 }]);
  await store.close();
});

test('of two copies of a snapshot with too many names none is acknowledged that is not stored', async () => {
  const store = await openStore(`duckdb:${join(temporaryFolder(), 'copies.db')}`, { ...options, newNamesPerDay: 1 });
  const now = Date.now();
  const copy = () => makeSnapshot({ host: 'h', time: now, processes: [{ name: 'a' }, { name: 'b' }] });
  const copies = [copy(), copy(), copy()];
  await Promise.all(
    copies.map(async (each) => {
      await store.append({ snapshots: [each] });
      expect(await store.rows([{ host: 'h', time: now }])).toHaveLength(2);
    }),
  );
  await store.close();
});

test('what was marked as from the future is kept as long as the rest, counted from when it came', async () => {
  const path = join(temporaryFolder(), 'future.db');
  const time = { now: Date.now() - 3 * 86_400_000 };
  const store = await openStore(`duckdb:${path}`, { ...options, now: () => time.now });
  const ahead = { time: time.now + 86_000_000, isFromFuture: true } as const;
  await store.append({
    snapshots: [makeSnapshot({ host: 'ahead', ...ahead }), makeSnapshot({ host: 'right', time: ahead.time })],
  });
  expect((await store.latest(ahead.time)).map(({ host }) => host)).toEqual(['right']);
  await store.expire(time.now + 2.5 * 86_400_000);
  const rows = tableRows(await store.page({ from: 0, to: 8e15, limit: 10, skip: 0 }));
  expect(rows.map(({ host }) => host)).toEqual(['right']);
  await store.close();
});
