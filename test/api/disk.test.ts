import { expect, test } from 'vitest';
import type { DiskUse } from '../../src/core/store.ts';
import { diskLines } from '../../src/report/disk-lines.ts';
import { openStore } from '../../src/store/open.ts';
import { noon } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';
import { body, makeApp, retentionMs } from './make-app.ts';

const hour = 3_600_000;
const use: DiskUse = {
  databaseBytes: 400,
  usedBytes: 300,
  mostBytes: 1000,
  closed: [
    { family: 'usage', files: 2, rows: 100, bytes: 600, since: noon - 3 * hour, until: noon - hour },
    { family: 'minute', files: 2, rows: 10, bytes: 70, since: noon - 3 * hour, until: noon - hour },
  ],
};

async function memoryStore(disk: DiskUse | null) {
  const store = await openStore('memory:', { retentionMs, warn: () => undefined });
  return overStore(store, { disk: async () => disk });
}

test('what is kept, what a day of it takes, and what another retention would cost', async () => {
  const { put, get } = await makeApp({ store: await memoryStore(use) });
  await put(body());
  const answer = (await get('/v1/store/disk')).body;
  expect(answer).toMatchObject({ bytes: 1070, mostBytes: 1000, usedBytes: 300, databaseBytes: 400, hosts: 1 });
  expect(answer.kept[0]).toMatchObject({ tier: 'rows', rows: 100, bytes: 600, bytesPerDay: 7200 });
  const text = diskLines(answer).join('\n');
  expect(text).toContain('of 1 host; --max-disk is 1000 B');
  expect(text).toContain('400 B of it is the database, of which 300 B are in use');
  expect(text).toMatch(/--retention costs 7\.0 KiB a day: 49 KiB for a week, 2\.5 MiB for a year/);
});

test('a store that does not say says so', async () => {
  const { get } = await makeApp({ store: await memoryStore(null) });
  const answer = (await get('/v1/store/disk')).body;
  expect(answer).toMatchObject({ bytes: null, kept: [] });
  expect(diskLines(answer)).toEqual(['the store is not the embedded one: ask InfluxDB what it takes']);
});

test('what comes close to --max-disk is an alarm like any other', async () => {
  const { app, time, get } = await makeApp({ store: await memoryStore(use) });
  await app.listen({ host: '127.0.0.1', port: 0 });
  time.now += 1000;
  await expect
    .poll(async () => (await get('/v1/alarms')).body.alarms)
    .toEqual([
      expect.objectContaining({
        level: 'RED',
        host: 'amberwatch',
        metric: 'amberwatch_store_used_percent',
        value: 97,
      }),
    ]);
});
