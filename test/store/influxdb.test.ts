import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { hasInfluxd, type Influxd, startInfluxd } from '../influxd.ts';
import { makeSnapshot } from '../make-snapshot.ts';
import { storeContract } from './store-contract.ts';

const options = { retentionMs: 2 * 86_400_000, warn: () => undefined };
const storeUrl = (influxd: Influxd, database: string) => `${influxd.url.replace('http:', 'influxdb:')}/${database}`;

describe.skipIf(!hasInfluxd())('with a real InfluxDB 1.x', () => {
  let influxd: Influxd;
  beforeAll(async () => {
    influxd = await startInfluxd();
  });
  afterAll(() => influxd?.close());

  storeContract('influxdb 1.x', async () => ({
    open: (more) => openStore(storeUrl(influxd, 'contract'), { ...options, ...more }),
    now: Date.now(),
    durable: true,
    conflict: 'last-wins',
  }));

  const ask = async (query: string) => {
    const answer = await fetch(`${influxd.url}/query`, { method: 'POST', body: new URLSearchParams({ q: query }) });
    return JSON.stringify(await answer.json());
  };

  test('makes the database with its retention, and leaves an existing one alone', async () => {
    const warnings: string[] = [];
    const open = (hours: number) =>
      openStore(storeUrl(influxd, 'kept'), {
        retentionMs: hours * 3_600_000,
        warn: (message) => warnings.push(message),
      });
    await (await open(48)).close();
    expect(await ask('SHOW RETENTION POLICIES ON kept')).toContain('"amberwatch","48h0m0s","1h0m0s",1,true');
    await (await open(48)).close();
    expect(warnings).toEqual([]);
    await (await open(24)).close();
    expect(warnings.join()).toMatch(/kept was there before and keeps data for 48h0m0s, not for 1d/);
    expect(await ask('SHOW RETENTION POLICIES ON kept')).toContain('48h0m0s');
  });

  test('points older than the retention are refused by InfluxDB, and counted as that', async () => {
    const store = await openStore(storeUrl(influxd, 'contract'), options);
    const old = makeSnapshot({ host: 'ancient', time: Date.now() - 100 * 86_400_000 });
    await expect(
      store.append({ snapshots: [old, makeSnapshot({ host: 'recent', time: Date.now() })] }),
    ).resolves.toMatchObject({ refused: [old] });
    expect((await store.latest(Date.now())).map((header) => header.host)).toContain('recent');
  });

  test("the day's new names are counted also when the first write of them failed", async () => {
    const own = await startInfluxd();
    const limited = { ...options, newNamesPerDay: 3 };
    const url = storeUrl(own, 'counted');
    let store = await openStore(url, limited);
    const snapshot = (at: number, ...names: string[]) =>
      makeSnapshot({ host: 'h', time: Date.now() - 60_000 + at, processes: names.map((name) => ({ name })) });
    await store.append({ snapshots: [snapshot(0, 'a')] });
    await own.kill();
    const failing = store.append({ snapshots: [snapshot(1, 'a', 'b', 'c')] });
    await expect(failing).rejects.toMatchObject({ code: 'unavailable' });
    await own.restart();
    await expect
      .poll(() => store.append({ snapshots: [snapshot(2, 'a', 'b', 'c')] }).catch(() => 'not yet'), { timeout: 20_000 })
      .toEqual({ refused: [], beyondBudget: [] });
    await store.close();
    store = await openStore(url, limited);
    const last = snapshot(3, 'a', 'b', 'c', 'd');
    await store.append({ snapshots: [last] });
    expect(last.processes.name).toEqual(['a', 'b', 'c', '__other__']);
    await store.close();
    await own.close();
  });

  test('a server that has gone is unavailable, and serves again when it is back', async () => {
    const own = await startInfluxd();
    const store = await openStore(storeUrl(own, 'gone'), options);
    await own.close();
    await expect(store.append({ snapshots: [makeSnapshot({ time: Date.now() })] })).rejects.toMatchObject({
      code: 'unavailable',
    });
    await expect(store.ping()).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('InfluxDB that is not there yet: it is said, nothing is taken, and it takes over when it comes', async () => {
    const own = await startInfluxd();
    await own.kill();
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    const store = await openStore(storeUrl(own, 'late'), { ...options, warn });
    expect(warnings).toEqual([
      expect.stringMatching(
        /^InfluxDB at http:\S+ does not answer: .*; the server starts without it, answers 503, and takes over when it is there$/,
      ),
    ]);
    const unavailable = { code: 'unavailable' };
    await expect(store.append({ snapshots: [makeSnapshot({ time: Date.now() })] })).rejects.toMatchObject(unavailable);
    await expect(store.latest(Date.now())).rejects.toMatchObject(unavailable);
    await expect(store.ping()).rejects.toMatchObject(unavailable);
    await own.restart();
    await vi.waitFor(() => store.ping(), { timeout: 10_000, interval: 250 });
    expect(await store.append({ snapshots: [makeSnapshot({ host: 'late', time: Date.now() })] })).toMatchObject({
      refused: [],
    });
    expect((await store.latest(Date.now())).map(({ host }) => host)).toEqual(['late']);
    const answer = await fetch(`${own.url}/query?q=SHOW RETENTION POLICIES ON late`);
    expect(await answer.text()).toContain('"48h0m0s","1h0m0s"');
    await store.close();
    await own.close();
  });

  test('a database that is dropped while it runs is unavailable to reads and writes, and not ready', async () => {
    const store = await openStore(storeUrl(influxd, 'dropped'), options);
    await store.ping();
    await ask('DROP DATABASE dropped');
    for (const work of [
      () => store.ping(),
      () => store.means({ from: 0, to: Date.now() }),
      () => store.append({ snapshots: [makeSnapshot({ time: Date.now() })] }),
    ])
      await expect(work()).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('credentials belong into the environment', async () => {
    await expect(openStore('influxdb://me:secret@localhost:8086/db', options)).rejects.toThrow(
      /AMBERWATCH_INFLUX_TOKEN/,
    );
    await expect(openStore('influxdb://localhost:8086', options)).rejects.toThrow(/needs a host and a database/);
  });
});

/**
 * Any InfluxDB that somebody has, 1.x to 3.x: `AMBERWATCH_TEST_INFLUX_URL=influxdb://host:8086/database npx vitest run
 * test/store/influxdb.test.ts`, with AMBERWATCH_INFLUX_TOKEN, or _USER and _PASSWORD, and _ORG as for the server. The
 * database is best one of its own, and not there yet.
 */
const given = process.env.AMBERWATCH_TEST_INFLUX_URL;
if (given !== undefined)
  describe('with the InfluxDB of AMBERWATCH_TEST_INFLUX_URL', () => {
    const {
      AMBERWATCH_INFLUX_TOKEN: token,
      AMBERWATCH_INFLUX_USER: username,
      AMBERWATCH_INFLUX_PASSWORD: password,
      AMBERWATCH_INFLUX_ORG: org,
    } = process.env;
    const influx = {
      ...(token !== undefined && { token }),
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...(org !== undefined && { org }),
    };
    storeContract(given, async () => ({
      open: () => openStore(given, { ...options, influx }),
      now: Date.now(),
      durable: true,
      conflict: 'last-wins',
    }));

    test('points older than the retention are counted as not stored; it is ready', async () => {
      const store = await openStore(given, { ...options, influx });
      const old = makeSnapshot({ host: 'ancient', time: Date.now() - 100 * 86_400_000 });
      await expect(
        store.append({ snapshots: [old, makeSnapshot({ host: 'recent', time: Date.now() })] }),
      ).resolves.toMatchObject({ refused: [old] });
      await store.ping();
      await store.close();
    });
  });
