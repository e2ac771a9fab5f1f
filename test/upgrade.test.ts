import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, test } from 'vitest';
import { alarmId } from '../src/alarms/alarm-id.ts';
import { evaluate } from '../src/alarms/evaluate.ts';
import { type Announcement, upgradeAnnouncement } from '../src/alerter/announcement.ts';
import { Outbox } from '../src/alerter/outbox.ts';
import { openLockedSpool, spoolLimits } from '../src/collector/spool.ts';
import { changes } from '../src/core/change.ts';
import { parseSelector } from '../src/core/selector.ts';
import { hostSeries, processSeries } from '../src/core/series.ts';
import { schemaVersion } from '../src/store/duckdb/schema.ts';
import { openStore } from '../src/store/open.ts';
import { makeApp } from './api/make-app.ts';
import { makeSnapshot, noon } from './make-snapshot.ts';
import { tableRows } from './table-rows.ts';
import { temporaryFolder } from './temporary-folder.ts';

/**
 * What 0.3.0 has left in its data folder, made by it: two hosts with 30 snapshots of two processes, forecasts of four
 * series, the sums of an hour, a spool with three snapshots, and an alerter that has said one RED.
 */
const fixture = (name: string) => new URL(`fixtures/0.3.0/${name}`, import.meta.url).pathname;
const odd = 'a\nb"\\\u0001';
const db = 'it\'s "db"\\';

function oldFile(change: (bytes: Buffer) => void = () => {}): string {
  const path = join(temporaryFolder(), 'amberwatch.db');
  const bytes = gunzipSync(readFileSync(fixture('amberwatch.db.gz')));
  change(bytes);
  writeFileSync(path, bytes);
  return path;
}

const open = (path: string, warnings: string[] = []) =>
  openStore(`duckdb:${path}`, {
    retentionMs: 2 * 86_400_000,
    now: () => noon,
    warn: (message) => warnings.push(message),
  });
const window = { from: noon - 7_200_000, to: noon };
const ofJava = processSeries('cpuMax', 'web-01', 'java');

describe('a database of 0.3.0', () => {
  test('is opened, and all that was in it is there', async () => {
    const path = oldFile();
    const store = await open(path);
    expect(await store.latest(noon + 60_000)).toMatchObject(
      [db, 'web-01'].map((host) => ({
        host,
        time: noon,
        metrics: { 'system.cpu': 0, 'collector.foldedNames': 2, 'collector.clockSkewSeconds': -3 },
      })),
    );
    const [java] = await store.means({ ...window, hosts: ['web-01'], process: 'java' });
    expect(java).toMatchObject({ cpu: 64.5, cpuMax: 69, count: 2, snapshots: 30, threads: null });
    const rows = tableRows(await store.page({ from: noon - 1, to: noon, limit: 10, skip: 0 }));
    expect(rows.filter(({ host }) => host === 'web-01')).toEqual([
      expect.objectContaining({ name: odd, cpu: null, memory: 1, threads: null }),
      expect.objectContaining({ name: 'java', rssBytes: 2 ** 40, pid: 4_000_000_000, ioReadBytesPerSecond: null }),
    ]);
    const cpu = { ...window, series: parseSelector('process_cpu_max{process=~"j.*"}'), stepMs: null };
    expect((await store.select(cpu)).map(({ samples }) => samples.length)).toEqual([30, 30]);
    await store.close();
  });

  test('its forecasts and their sums go on as those of series', async () => {
    const store = await open(oldFile());
    for (const [index, series] of [
      ofJava,
      processSeries('memoryMax', 'web-01', odd),
      hostSeries('system.cpu', 'web-01'),
      processSeries('cpuMax', db, 'java'),
    ].entries()) {
      const made = await store.forecasts({ ...window, series });
      expect(made).toHaveLength(11);
      expect(made.at(-1)).toMatchObject({ series, time: noon, value: 50 + index, amberSince: noon - 60_000 });
      expect(await store.tallies({ ...window, series })).toMatchObject([
        { series, time: noon, isMuted: index === 1, tally: { predictions: 60 + index, leadsMs: [60_000] } },
      ]);
    }
    const again = { ...(await store.forecasts({ ...window, series: ofJava }))[10], time: noon + 60_000 };
    await store.append({ forecasts: [again as never] });
    expect(await store.forecasts({ from: 0, to: noon + 60_000, series: ofJava })).toHaveLength(12);
    await store.close();
  });

  test('takes what there was not before, and stays so after a restart', async () => {
    const path = oldFile();
    let store = await open(path);
    const series = { metric: 'queue_length', labels: { host: 'web-01' } };
    await store.append({
      snapshots: [makeSnapshot({ time: noon + 10_000, processes: [{ name: 'java', threads: 40 }] })],
      samples: [{ series, kind: 'gauge', time: noon, value: 7, owner: 'host web-01' }],
    });
    await store.close();
    store = await open(path);
    const select = { from: noon - 1, to: noon + 10_000, stepMs: null };
    expect(
      await store.select({ ...select, series: [processSeries('threads', 'web-01', 'java'), series] }),
    ).toMatchObject([
      {
        samples: [
          { time: noon, value: null },
          { time: noon + 10_000, value: 40 },
        ],
      },
      { samples: [{ time: noon, value: 7 }] },
    ]);
    expect(await store.forecasts({ ...window, series: ofJava })).toHaveLength(11);
    await store.close();
    const instance = await DuckDBInstance.create(path);
    const connection = await instance.connect();
    expect((await connection.runAndReadAll('SELECT version FROM version')).getRows()).toEqual([[schemaVersion]]);
    connection.closeSync();
    instance.closeSync();
  });

  test('damaged anywhere it is opened, with what can be read of it', async () => {
    for (const share of [0.15, 0.3, 0.5, 0.7, 0.9]) {
      const warnings: string[] = [];
      const path = oldFile((bytes) =>
        bytes.fill(0x5a, Math.floor(bytes.length * share), Math.floor(bytes.length * share) + 4096),
      );
      const store = await open(path, warnings);
      await store.append({ snapshots: [makeSnapshot({ host: 'new', time: noon })] });
      expect((await store.latest(noon)).map(({ host }) => host)).toContain('new');
      expect(Array.isArray(await store.forecasts({ ...window }))).toBe(true);
      await store.close();
    }
  });
});

test('a spool of 0.3.0 is delivered', async () => {
  const folder = join(temporaryFolder(), 'spool');
  cpSync(fixture('spool'), folder, { recursive: true });
  const { spool, unlock } = await openLockedSpool(folder, spoolLimits(10_000));
  expect(spool.counts).toMatchObject({ taken: 3, spooled: 3, stored: 0, dropped: 0, quarantined: 0 });
  const { app, get } = await makeApp({ now: noon + 30_000 });
  for (const entry of spool.oldest(10)) {
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const payload = Buffer.from(await spool.read(entry));
    expect((await app.inject({ method: 'PUT', url: '/v1/usage', headers, payload })).statusCode).toBe(204);
    await spool.leave([entry], 'stored');
  }
  expect(spool.counts).toMatchObject({ taken: 3, spooled: 0, stored: 3 });
  await unlock();
  expect((await get('/v1/usage/mean')).body.processes.java).toMatchObject({ cpu: 12.5, snapshots: 3 });
});

test('what an alerter of 0.3.0 has said is not said again, and its end is', async () => {
  const folder = join(temporaryFolder(), 'alerter');
  cpSync(fixture('alerter'), folder, { recursive: true });
  const log = await Outbox.open(folder);
  expect(await log.unread('terminal')).toEqual([]);
  expect(log.alarms.alarms).toMatchObject([{ level: 'RED', host: 'web-01', metric: 'cpu', id: alarmId(ofJava) }]);
  const [said] = log.alarms.alarms;
  const now = { ...evaluate(noon, [], [], []), alarms: said ? [{ ...said, series: 'process_cpu_max{...}' }] : [] };
  expect(changes(log.alarms, now)).toEqual([]);
  expect(changes(log.alarms, { ...now, alarms: [] })).toMatchObject([{ level: 'OK', before: 'RED', host: 'web-01' }]);
});

test('what an alerter of before had to say and had not is said as it would have said it', () => {
  const said = (given: object) => upgradeAnnouncement({ level: 'OK', ...given } as Announcement);
  expect(said({ reason: 'forgotten, as somebody has said' }).ended).toBe('forgotten');
  expect(said({ level: 'STALE', reason: 'forgotten: silent for longer than snapshots are kept' }).ended).toBe(
    'expired',
  );
  expect(said({ reason: 'exited' }).ended).toBe('recovered');
  const red = said({ level: 'RED', reason: 'system.cpu is 95.0, over 80; most by my java 300.0, b 1.0' });
  expect([red.ended, red.culprits]).toEqual([
    null,
    [
      { process: 'my java', value: 300 },
      { process: 'b', value: 1 },
    ],
  ]);
});
