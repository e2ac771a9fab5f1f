import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseSelector } from '../../src/core/selector.ts';
import type { Records, Store } from '../../src/core/store.ts';
import { parseAddress } from '../../src/store/clickhouse/address.ts';
import { ClickHouseConnection } from '../../src/store/clickhouse/connection.ts';
import { openStore } from '../../src/store/open.ts';
import {
  type ClickHouseServer,
  chdbFolder,
  hasClickHouse,
  startClickHouse,
  startTodaysClickHouse,
} from '../clickhouse-server.ts';
import { makeSnapshot } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';
import { storeContract } from './store-contract.ts';

/** One append follows the other: nothing would gather. */
const clickhouse = { insertEveryMs: 0 };
const options = { retentionMs: 2 * 86_400_000, warn: () => undefined, clickhouse };
const storeUrl = (server: ClickHouseServer, database: string) =>
  `${server.url.replace('http:', 'clickhouse:')}/${database}`;

describe('the address of ClickHouse', () => {
  test('is of one server or of several replicas', () => {
    expect(parseAddress('clickhouse://db/monitoring')).toEqual({ bases: ['http://db:8123'], database: 'monitoring' });
    expect(parseAddress('clickhouses://a,b:9,[::1]/m')).toEqual({
      bases: ['https://a:8443', 'https://b:9', 'https://[::1]:8443'],
      database: 'm',
    });
  });

  test.each([
    'clickhouse://db',
    'clickhouse://db/',
    'clickhouse:///m',
    'clickhouse://a,,b/m',
    "clickhouse://db/m'; DROP DATABASE m",
    'clickhouse://user:secret@db/m',
  ])('%s is none', (url) => {
    expect(() => parseAddress(url)).toThrow(/is no address of ClickHouse/);
  });
});

/** Whatever has been written is rolled up before it is asked for. */
function rollingStore(store: Store): Store {
  let now = Date.now() + 400 * 86_400_000;
  let rolled: Promise<void> | null = null;
  const append = (records: Records) => {
    rolled = null;
    return store.append(records);
  };
  const roll = () => {
    now += 7 * 3_600_000;
    rolled ??= store.compact(now);
    return rolled;
  };
  return overStore(store, {
    append,
    means: (...asked) => roll().then(() => store.means(...asked)),
    statistics: (...asked) => roll().then(() => store.statistics(...asked)),
    select: async (query, reading) => {
      // Samples as they were taken are rows.
      if (query.stepMs !== null) await roll();
      return store.select(query, reading);
    },
  });
}

describe.skipIf(!hasClickHouse())('with a real ClickHouse', () => {
  let server: ClickHouseServer;
  beforeAll(async () => {
    server = await startClickHouse();
  });
  afterAll(() => server?.close());

  storeContract('clickhouse', async () => ({
    open: (more) => openStore(storeUrl(server, 'contract'), { ...options, ...more }),
    now: Date.now(),
    durable: true,
    conflict: 'last-wins',
  }));

  // A minute that every run of all tests would take longer.
  if (process.env.AMBERWATCH_TEST_LONG === '1')
    storeContract('clickhouse, with all hours rolled up', async () => ({
      open: async (more) => {
        const kept = { ...options, retentionMs: 500 * 86_400_000 };
        return rollingStore(await openStore(storeUrl(server, 'rolled'), { ...kept, ...more }));
      },
      now: Date.now(),
      durable: true,
      conflict: 'last-wins',
    }));

  test('a server that has gone is unavailable, and serves again when it is back', async () => {
    const own = await startClickHouse();
    const store = await openStore(storeUrl(own, 'gone'), options);
    const snapshot = (ms: number) => makeSnapshot({ host: 'h', time: Date.now() - 60_000 + ms });
    await store.append({ snapshots: [snapshot(0)] });
    await own.kill();
    await expect(store.append({ snapshots: [snapshot(1)] })).rejects.toMatchObject({ code: 'unavailable' });
    await expect(store.latest(Date.now())).rejects.toMatchObject({ code: 'unavailable' });
    await own.restart();
    await store.append({ snapshots: [snapshot(1)] });
    expect(await store.latest(Date.now())).toHaveLength(1);
    await store.close();
    await own.close();
  });

  test('one that is not there yet is set up when it comes, and another replica answers for one that is gone', async () => {
    const [one, two] = [await startClickHouse(), await startClickHouse()];
    await one.kill();
    const warnings: string[] = [];
    const later = await openStore(storeUrl(one, 'later'), { ...options, warn: (text) => warnings.push(text) });
    expect(warnings).toEqual([expect.stringMatching(/does not answer.*starts without it/)]);
    const url = `clickhouse://${[one, two].map((each) => each.url.slice('http://'.length)).join(',')}/later`;
    const either = await openStore(url, options);
    await either.append({ snapshots: [makeSnapshot({ host: 'h', time: Date.now() })] });
    expect(await either.latest(Date.now())).toHaveLength(1);
    await one.restart();
    await expect.poll(() => later.ping().then(() => 'there'), { timeout: 20_000 }).toBe('there');
    for (const store of [later, either]) await store.close();
    for (const each of [one, two]) await each.close();
  });

  test('a read that ClickHouse gives up is a timeout, and is not asked of a replica', async () => {
    const connection = new ClickHouseConnection([server.url], undefined, {});
    const slow = 'SELECT sum(sipHash64(number)) FROM system.numbers SETTINGS max_execution_time = 1';
    await expect(connection.query(slow)).rejects.toMatchObject({ code: 'timeout' });
    await expect(connection.query('SELECT nothing')).rejects.toMatchObject({ code: 'internal' });
    await connection.close();
  });

  test('a hundred inserts that nobody has merged yet are read within the memory of a question', async () => {
    const store = await openStore(storeUrl(server, 'unmerged'), options);
    await store.ping();
    for (const table of ['snapshot', 'process'])
      await fetch(server.url, { method: 'POST', body: `SYSTEM STOP MERGES unmerged.${table}` });
    const begin = Date.now() - 200_000;
    for (let k = 0; k < 100; k++)
      await store.append({
        snapshots: [makeSnapshot({ host: 'h', time: begin + k * 1000, processes: [{ name: 'a' }] })],
      });
    const window = { from: begin - 1, to: Date.now() };
    expect(await store.headers(window)).toHaveLength(100);
    expect(await store.means(window)).toMatchObject([{ snapshots: 100 }]);
    await store.close();
  }, 60_000);

  test('what is there twice counts once, in a long window too, whether all of it is settled or not', async () => {
    const store = await openStore(storeUrl(server, 'twice'), options);
    const ask = async (body: string) => (await fetch(server.url, { method: 'POST', body })).text();
    const now = Date.now();
    const times = Array.from({ length: 90 }, (_, k) => now - k * 60_000);
    const processes = [{ name: 'a', cpu: 10 }, { name: 'b' }];
    await ask('SYSTEM STOP MERGES');
    await store.append({ snapshots: times.map((time) => makeSnapshot({ host: 'h', time, processes })) });
    const window = { from: now - 86_400_000, to: now };
    const counts = async () => {
      const { statistics } = await store.statistics({ ...window, selector: parseSelector('process_cpu') });
      const means = await store.means(window);
      const told = [
        ...statistics.map(({ labels, count }) => [labels.process, count] as const),
        ...means.map(({ name, snapshots }) => [name, snapshots] as const),
      ];
      return told.filter(([name]) => name === 'a').map(([, count]) => count);
    };
    const isAsked = async () => Number(await ask('SELECT count() FROM twice.process'));
    expect(await counts()).toEqual([90, 90]);
    // Sent again, as one whose answer was lost: in the past, and just now.
    for (const time of [times[50], times[0]] as number[]) {
      await store.append({ snapshots: [makeSnapshot({ host: 'h', time, processes })] });
      expect(await counts()).toEqual([90, 90]);
    }
    expect(await isAsked()).toBe(184);
    // Rows whose snapshot never came are rows all the same.
    await ask(`INSERT INTO twice.process (host, name, time, count, cpu) VALUES ('h', 'a', ${now - 4_000_500}, 1, 1)`);
    expect(await counts()).toEqual([91, 91]);
    await ask('SYSTEM START MERGES');
    await store.close();
  });

  test('percentiles of more than four million values are told by buckets', async () => {
    const store = await openStore(storeUrl(server, 'buckets'), options);
    const ask = async (body: string) => (await fetch(server.url, { method: 'POST', body })).text();
    const now = Date.now();
    const cpu = 'toInt64(cityHash64(number) % 100000)';
    await ask(
      `INSERT INTO buckets.process (host, name, time, count, cpu) SELECT 'h', concat('name-', toString(number % 3)), ${now} - intDiv(number, 3) * 10, 1, ${cpu} FROM numbers(4200000)`,
    );
    const query = { from: now - 86_400_000, to: now, selector: parseSelector('process_cpu') };
    const { statistics, percentileError } = await store.statistics(query);
    expect(percentileError).toBeGreaterThan(0);
    const exact = await ask(
      'SELECT name, quantilesExact(0.5, 0.95, 0.99)(assumeNotNull(cpu)) FROM buckets.process GROUP BY name ORDER BY name',
    );
    const known = new Map(
      exact
        .trim()
        .split('\n')
        .map((line) => [line.split('\t')[0], JSON.parse(line.split('\t')[1] ?? '[]') as number[]]),
    );
    expect(statistics).toHaveLength(3);
    for (const { labels, percentiles, count } of statistics) {
      expect(count).toBe(1_400_000);
      for (const [at, name] of (['p50', 'p95', 'p99'] as const).entries()) {
        const wanted = (known.get(labels.process)?.[at] ?? 0) / 1000;
        expect(Math.abs((percentiles?.[name] ?? 0) - wanted) / wanted).toBeLessThan(percentileError + 0.001);
      }
    }
    await store.close();
  });

  test('forgets whole days that are past the retention', async () => {
    const store = await openStore(storeUrl(server, 'forgets'), options);
    const now = Date.now();
    const days = [0, 1, 4, 9];
    await store.append({
      snapshots: days.map((day) => makeSnapshot({ host: 'h', time: now - day * 86_400_000 })),
    });
    await store.expire(now);
    const rows = await store.means({ from: 0, to: now });
    expect(rows[0]).toMatchObject({ snapshots: 2 });
    await store.close();
  });

  test('the newest of hosts that are there, are silent, have another clock, or were written by an older server', async () => {
    const ask = (query: string) => fetch(server.url, { method: 'POST', body: query }).then((answer) => answer.text());
    const [now, hour] = [Date.now(), 3_600_000];
    const behind = (time: number) =>
      makeSnapshot({ host: 'behind', time, metrics: { 'collector.clockSkewSeconds': -72 * 3600 } });
    const store = await openStore(storeUrl(server, 'newest'), { ...options, retentionMs: 7 * 24 * hour });
    await store.append({
      snapshots: [
        ...[now - 20_000, now - 10_000].map((time) => makeSnapshot({ host: 'there', time })),
        ...[now - 30 * hour, now - 29 * hour].map((time) => makeSnapshot({ host: 'silent', time })),
        makeSnapshot({ host: 'behind', time: now - 30_000 }),
        ...[now - 72 * hour - 10_000, now - 72 * hour - 20_000].map(behind),
        makeSnapshot({ host: 'ahead', time: now + 240 * hour, isFromFuture: true }),
        makeSnapshot({ host: 'ahead', time: now - 2 * hour }),
      ],
    });
    const latest = async (of: Store, at: number) =>
      Object.fromEntries((await of.latest(at)).map(({ host, time }) => [host, (time - now) / hour]));
    const newest = { ahead: -2, behind: -72 - 10 / 3600, silent: -29, there: -10 / 3600 };
    expect(await latest(store, now)).toEqual(newest);
    expect(await latest(store, now - 15_000)).toEqual({ ...newest, behind: -72 - 20 / 3600, there: -20 / 3600 });
    expect(await latest(store, now - 29.5 * hour)).toEqual({ silent: -30 });
    expect(await latest(store, now + 150 * hour)).toEqual({ ahead: -2, behind: -72 - 10 / 3600, there: -10 / 3600 });
    await store.close();
    await ask('DROP TABLE newest.newest_snapshot');
    const after = await openStore(storeUrl(server, 'newest'), { ...options, retentionMs: 7 * 24 * hour });
    expect(await latest(after, now)).toEqual(newest);
    await after.close();
  });

  test("a database with somebody else's tables is left alone", async () => {
    const ask = (query: string) => fetch(server.url, { method: 'POST', body: query }).then((answer) => answer.text());
    await ask('CREATE DATABASE theirs');
    await ask('CREATE TABLE theirs.process (id UInt8) ENGINE = MergeTree ORDER BY id');
    const warnings: string[] = [];
    const store = await openStore(storeUrl(server, 'theirs'), { ...options, warn: (text) => warnings.push(text) });
    expect(warnings.join()).toMatch(/table process in this database that is not amberwatch's/);
    await expect(store.append({ snapshots: [makeSnapshot({})] })).rejects.toMatchObject({ code: 'unavailable' });
    expect(await ask("SELECT name FROM system.tables WHERE database = 'theirs'")).toBe('process\n');
    expect(await ask("SELECT name FROM system.columns WHERE database = 'theirs'")).toBe('id\n');
    await store.close();
  });
});

describe.skipIf(chdbFolder === undefined)(
  "with today's engine (AMBERWATCH_TEST_CHDB names where npm has put chdb)",
  () => {
    let server: ClickHouseServer;
    beforeAll(async () => {
      server = await startTodaysClickHouse();
    });
    afterAll(() => server?.close());

    storeContract("today's clickhouse", async () => ({
      open: (more) => openStore(storeUrl(server, 'contract'), { ...options, ...more }),
      now: Date.now(),
      durable: true,
      conflict: 'last-wins',
    }));

    test('what it refuses is told from what passes, and a past of more days than one insert takes is taken', async () => {
      const connection = new ClickHouseConnection([server.url], undefined, {});
      const slow = 'SELECT sum(sipHash64(number)) FROM system.numbers SETTINGS max_execution_time = 1';
      await expect(connection.query(slow)).rejects.toMatchObject({ code: 'timeout' });
      await expect(connection.query('SELECT nothing')).rejects.toMatchObject({ code: 'internal' });
      await connection.close();
      const store = await openStore(storeUrl(server, 'days'), options);
      const series = { metric: 'queue', labels: { host: 'h' } };
      const times = Array.from({ length: 120 }, (_, day) => Date.now() - day * 86_400_000);
      const samples = times.map((time) => ({ series, kind: 'gauge' as const, owner: 'host h', time, value: 1 }));
      await store.append({ samples, snapshots: times.map((time) => makeSnapshot({ host: 'h', time })) });
      expect(await store.samples({ from: 0, to: Date.now() })).toHaveLength(120);
      expect(await store.headers({ from: 0, to: Date.now() })).toHaveLength(120);
      await store.close();
    });
  },
);
