import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseSelector } from '../../src/core/selector.ts';
import type { Store } from '../../src/core/store.ts';
import { openStore } from '../../src/store/open.ts';
import { type ClickHouseCluster, hasClickHouseCluster, startClickHouseCluster } from '../clickhouse-server.ts';
import { makeSnapshot } from '../make-snapshot.ts';
import { storeContract } from './store-contract.ts';

/** One append follows the other: nothing would gather. */
const clickhouse = { insertEveryMs: 0 };
const options = { retentionMs: 2 * 86_400_000, warn: () => undefined, clickhouse };

describe.skipIf(!hasClickHouseCluster())('with two replicas of a real ClickHouse', () => {
  let cluster: ClickHouseCluster;
  beforeAll(async () => {
    cluster = await startClickHouseCluster();
  });
  afterAll(() => cluster?.close());

  const open = (database: string, hosts = cluster.hosts, more = {}): Promise<Store> =>
    openStore(`clickhouse://${hosts}/${database}`, { ...options, ...more });
  const ask = async (at: 0 | 1, query: string) =>
    (await fetch(cluster.replicas[at].url, { method: 'POST', body: query })).text();
  const host = 'web-01';
  const begin = Date.now() - 3_600_000;
  const snapshot = (k: number) =>
    makeSnapshot({ host, time: begin + k * 1000, processes: [{ name: 'java' }, { name: 'ps' }] });
  /** Of both tables, on one replica alone. */
  const stored = async (at: 0 | 1, database: string) =>
    ask(at, `SELECT (SELECT count() FROM ${database}.snapshot FINAL), (SELECT count() FROM ${database}.process FINAL)`);

  storeContract('clickhouse on two replicas', async () => ({
    open: (more) => open('contract', cluster.hosts, more),
    now: Date.now(),
    durable: true,
    conflict: 'last-wins',
  }));

  test('what is acknowledged is on both, and each table is replicated', async () => {
    const store = await open('both');
    for (let k = 0; k < 20; k++) {
      await store.append({ snapshots: [snapshot(k)] });
      expect(await stored(1, 'both')).toBe(`${k + 1}\t${2 * (k + 1)}\n`);
    }
    const engines = await ask(1, "SELECT DISTINCT engine FROM system.tables WHERE database = 'both'");
    expect(engines).toBe('ReplicatedReplacingMergeTree\n');
    await store.close();
  });

  test.each(['kill', 'stop'] as const)(
    'a %s of the one that is asked: the other goes on within 5 s, and in the end both have everything once',
    async (how) => {
      const store = await open(`after_${how}`);
      const [one] = cluster.replicas;
      let longestMs = 0;
      for (let k = 0; k < 60; k++) {
        if (k === 20) await (how === 'kill' ? one.kill() : process.kill(one.pid(), 'SIGSTOP'));
        const begun = performance.now();
        await store.append({ snapshots: [snapshot(k)] });
        longestMs = Math.max(longestMs, performance.now() - begun);
      }
      expect(longestMs).toBeLessThan(5000);
      expect(await store.headers({ from: 0, to: Date.now() })).toHaveLength(60);
      if (how === 'kill') await one.restart();
      else process.kill(one.pid(), 'SIGCONT');
      for (const at of [0, 1] as const)
        await expect.poll(() => stored(at, `after_${how}`), { timeout: 30_000 }).toBe('60\t120\n');
      // It has joined again: what is acknowledged is on both.
      await expect
        .poll(
          async () => {
            const time = Date.now();
            await store.append({ snapshots: [makeSnapshot({ host: 'later', time })] });
            return ask(0, `SELECT count() FROM after_${how}.snapshot WHERE time = ${time}`);
          },
          { timeout: 30_000 },
        )
        .toBe('1\n');
      await store.close();
    },
    120_000,
  );

  test('a replica that has just come back and knows nothing of what was since is not asked', async () => {
    const store = await open('behind');
    const [one] = cluster.replicas;
    await store.append({ snapshots: [snapshot(0)] });
    await one.kill();
    await store.append({ snapshots: [snapshot(1)] });
    await one.restart();
    for (let k = 0; k < 20; k++) {
      const other = await open('behind');
      expect(await other.headers({ from: 0, to: Date.now() })).toHaveLength(2);
      await other.close();
    }
    await expect.poll(() => stored(0, 'behind'), { timeout: 30_000 }).toBe('2\t4\n');
    await store.close();
  }, 60_000);

  test('a server whose only replica is gone is not ready, while another answers for the rest', async () => {
    const [one, two] = cluster.replicas;
    const hostOf = ({ url }: typeof one) => url.slice('http://'.length);
    const [alone, either] = [await open('ready', hostOf(one)), await open('ready')];
    await one.kill();
    await expect(alone.ping()).rejects.toMatchObject({ code: 'unavailable' });
    await either.ping();
    await one.restart();
    await expect
      .poll(
        () =>
          alone.ping().then(
            () => 'ready',
            () => 'not',
          ),
        { timeout: 30_000 },
      )
      .toBe('ready');
    expect(await ask(1, 'SELECT count() > 0 FROM ready.tried')).toBe('1\n');
    expect(two.url).toBeDefined();
    for (const store of [alone, either]) await store.close();
  }, 60_000);

  test('hours that are rolled up are on both, and tell the same', async () => {
    const store = await open('rolled');
    await rollUpAlike(store);
    for (const at of [0, 1] as const)
      await expect.poll(() => ask(at, 'SELECT count() FROM rolled.process_hour FINAL')).toBe('180\n');
    await store.close();
  });

  test('a cluster that is not there, or tables that are not replicated on it, are said', async () => {
    const named = (name: string, database: string) => open(database, cluster.hosts, { clickhouse: { cluster: name } });
    const warnings: string[] = [];
    const clickhouse = { cluster: 'nowhere' };
    const store = await open('named', cluster.hosts, { clickhouse, warn: (text: string) => warnings.push(text) });
    expect(warnings.join()).toMatch(/knows no cluster nowhere; it knows replicated/);
    await store.close();
    await ask(0, 'CREATE DATABASE plain');
    await ask(0, 'CREATE TABLE plain.process (host String, name String, time Int64) ENGINE = MergeTree ORDER BY host');
    const plain = await named('replicated', 'plain');
    await expect(plain.ping()).rejects.toThrow(
      /are of one server, and not replicated on replicated; name another database/,
    );
    await plain.close();
  });
});

/** Three hours of some hosts, told before and after they are rolled up. */
async function rollUpAlike(store: Store): Promise<void> {
  const hour = 3_600_000;
  const start = Math.floor(Date.now() / hour) * hour - 4 * hour;
  const window = { from: start - 1, to: start + 3 * hour - 1 };
  const processes = (k: number) =>
    Array.from({ length: 10 }, (_, n) => ({
      name: `p-${n}`,
      cpu: (k * n) % 17,
      memory: 900_000 + ((k * n) % 5) / 1000,
    }));
  const snapshots = Array.from({ length: 6 * 36 }, (_, k) => {
    const time = start + Math.floor(k / 6) * 300_000;
    return makeSnapshot({ host: `web-${k % 6}`, time, processes: processes(k) });
  });
  await store.append({ snapshots });
  const told = async () => {
    const means = await store.means(window);
    const statistics = await store.statistics({
      ...window,
      selector: parseSelector('process_memory'),
      by: ['process'],
    });
    const steps = await store.select({ ...window, series: parseSelector('process_cpu{host="web-3"}'), stepMs: hour });
    const inOrder = (list: readonly unknown[]) => list.map((each) => JSON.stringify(each, rounded)).sort();
    return { means: inOrder(means), statistics: inOrder(statistics.statistics), steps: inOrder(steps) };
  };
  const before = await told();
  expect(before.statistics).toHaveLength(10);
  await store.compact(Date.now());
  expect(await store.resolution(window)).toBe('1h');
  expect(await told()).toEqual(before);
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(9)).toFixed(6) : value;
}

describe.skipIf(!hasClickHouseCluster())('with two shards of a real ClickHouse', () => {
  let cluster: ClickHouseCluster;
  beforeAll(async () => {
    cluster = await startClickHouseCluster('divided');
  });
  afterAll(() => cluster?.close());
  const open = (database: string, more = {}) =>
    openStore(`clickhouse://${cluster.hosts}/${database}`, { ...options, ...more });

  // A minute that every run of all tests would take longer.
  if (process.env.AMBERWATCH_TEST_LONG === '1')
    storeContract('clickhouse on two shards', async () => ({
      open: (more) => open('contract', more),
      now: Date.now(),
      durable: true,
      conflict: 'last-wins',
    }));

  test('hours that are rolled up are with the rows that they are of, and tell the same', async () => {
    const store = await open('rolled');
    await rollUpAlike(store);
    for (const { url } of cluster.replicas) {
      const body = 'SELECT groupUniqArray(host) FROM rolled.process_hour_shard';
      const hours = await (await fetch(url, { method: 'POST', body })).text();
      const rows = await (await fetch(url, { method: 'POST', body: body.replace('_hour', '') })).text();
      expect(hours.match(/web-\d/g)?.sort()).toEqual(rows.match(/web-\d/g)?.sort());
    }
    await store.close();
  });

  test('columns that have come since are added where they are missing, and statistics are for who only reads', async () => {
    const before = await open('columns');
    const now = Date.now();
    for (let k = 0; k < 8; k++) await before.append({ snapshots: [makeSnapshot({ host: `web-${k}`, time: now - k })] });
    await before.close();
    const body = 'ALTER TABLE columns.process DROP COLUMN bin';
    expect(await (await fetch(cluster.replicas[0].url, { method: 'POST', body })).text()).toBe('');
    const warnings: string[] = [];
    const [store, reader] = [
      await open('columns', { warn: (text: string) => warnings.push(text) }),
      await open('columns', { isReadOnly: true }),
    ];
    expect(warnings).toEqual([]);
    const query = { from: now - 60_000, to: now, selector: parseSelector('process_cpu'), by: [], isExact: false };
    for (const each of [store, reader]) {
      expect((await each.statistics(query)).statistics).toMatchObject([{ count: 8, mean: 1, deviation: 0 }]);
      await each.close();
    }
  });

  test('each has a part of the hosts, all of a host, and old days are forgotten on both', async () => {
    const store = await open('divided');
    const now = Date.now();
    const hosts = Array.from({ length: 40 }, (_, k) => `web-${k}`);
    for (const time of [now - 9 * 86_400_000, now])
      await store.append({ snapshots: hosts.map((name) => makeSnapshot({ host: name, time })) });
    expect((await store.latest(now)).map((header) => header.host).sort()).toEqual([...hosts].sort());
    const counts = async () =>
      Promise.all(
        cluster.replicas.map(async ({ url }) => {
          const body = 'SELECT count(), uniqExact(host) FROM divided.process_shard';
          return (await (await fetch(url, { method: 'POST', body })).text()).trim().split('\t').map(Number);
        }),
      );
    const [one = [], two = []] = await counts();
    expect((one[1] ?? 0) + (two[1] ?? 0)).toBe(40);
    expect(Math.min(one[1] ?? 0, two[1] ?? 0)).toBeGreaterThan(5);
    await store.expire(now);
    await expect.poll(async () => (await counts()).map(([rows = 0, names = 0]) => rows / names)).toEqual([1, 1]);
    await store.close();
  });
});
