import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
    open: () => openStore(storeUrl(influxd, 'contract'), options),
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
    await expect(store.write([old, makeSnapshot({ host: 'recent', time: Date.now() })])).resolves.toBe(1);
    expect((await store.hosts(Date.now())).map((header) => header.host)).toContain('recent');
  });

  test('a server that has gone is unavailable, and serves again when it is back', async () => {
    const own = await startInfluxd();
    const store = await openStore(storeUrl(own, 'gone'), options);
    await own.close();
    await expect(store.write([makeSnapshot({ time: Date.now() })])).rejects.toMatchObject({ code: 'unavailable' });
    await expect(store.ping()).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('credentials belong into the environment', async () => {
    await expect(openStore('influxdb://me:secret@localhost:8086/db', options)).rejects.toThrow(
      /AMBERWATCH_INFLUX_TOKEN/,
    );
    await expect(openStore('influxdb://localhost:8086', options)).rejects.toThrow(/needs a host and a database/);
  });
});
