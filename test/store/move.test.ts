import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Store } from '../../src/core/store.ts';
import { type MoveProgress, move } from '../../src/store/move.ts';
import { openStore } from '../../src/store/open.ts';
import { hasClickHouse, startClickHouse } from '../clickhouse-server.ts';
import { makeForecast } from '../make-forecast.ts';
import { makeSnapshot } from '../make-snapshot.ts';
import { tableRows } from '../table-rows.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const hour = 3_600_000;
const now = Math.floor(Date.now() / hour) * hour;
const window = { from: now - 6 * hour, to: now };
const options = {
  retentionMs: 48 * hour,
  newNamesPerDay: 1e9,
  warn: () => undefined,
  clickhouse: { insertEveryMs: 0 },
};
const unpaced = { window, isPaced: false, signal: new AbortController().signal };

/** Five hours of three hosts, of which the first ones are closed. */
async function fill(store: Store): Promise<void> {
  for (let k = 0; k < 60; k++) {
    const time = now - 5 * hour + k * 300_000;
    const snapshots = ['web-01', 'web-02', "it's"].map((host, at) =>
      makeSnapshot({
        host,
        time,
        processes: [
          { name: 'java', cpu: (k * 7 + at) % 100, memory: 12.345, rssBytes: 1e9 + k },
          { name: `name ${k}`, cpu: null, memory: null, rssBytes: null },
        ],
      }),
    );
    const series = { metric: 'queue', labels: { host: 'web-01' } };
    const samples = [{ series, kind: 'gauge' as const, owner: 'host web-01', time, value: k / 3 }];
    await store.append({ snapshots, samples, forecasts: [makeForecast({ host: 'web-01', time })] });
  }
  await store.append({ snapshots: [{ ...makeSnapshot({ host: 'web-02', time: now - 10 }), isFromFuture: true }] });
  await store.compact(now);
}

async function moveAll(source: Store, target: Store, more: Partial<typeof unpaced> = {}): Promise<MoveProgress> {
  let last: MoveProgress | undefined;
  for await (const progress of move(source, target, { ...unpaced, ...more })) last = progress;
  return last as MoveProgress;
}

async function contents(store: Store) {
  const rows = tableRows(await store.page({ ...window, limit: 10_000, skip: 0 }));
  const byKey = (a: object, b: object) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  return {
    rows,
    headers: (await store.headers(window)).sort(byKey),
    samples: (await store.samples(window)).sort(byKey),
    forecasts: await store.forecasts(window),
  };
}

function filesOf(folder: string): string {
  const hash = createHash('sha256');
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort())
    if (statSync(join(folder, path)).isFile()) hash.update(path).update(readFileSync(join(folder, path)));
  return hash.digest('hex');
}

describe('a move', () => {
  test('gives the target all there is, goes on where it was ended, and does not touch what it reads', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'source.db');
    const first = await openStore(`duckdb:${path}`, options);
    await fill(first);
    const wanted = await contents(first);
    await first.close();
    const before = filesOf(folder);

    const source = await openStore(`duckdb:${path}`, { ...options, isReadOnly: true });
    const target = await openStore('memory:', options);
    const ended = new AbortController();
    const cut = (async () => {
      for await (const { hours } of move(source, target, { ...unpaced, signal: ended.signal }))
        if (hours.done === 3) ended.abort();
    })();
    await expect(cut).rejects.toThrow();
    expect(await moveAll(source, target)).toMatchObject({ skipped: 3, hours: { done: 6, all: 6 } });
    expect(await contents(target)).toEqual(wanted);
    expect(await moveAll(source, target)).toMatchObject({ rows: 0, samples: 0, skipped: 6 });
    await expect(source.append({ snapshots: [makeSnapshot({ host: 'new' })] })).rejects.toThrow(/read-?only/);
    await source.close();
    expect(filesOf(folder)).toBe(before);
  });

  test('a target that gets more meanwhile is no fault, one that gives back something else is', async () => {
    const source = await openStore('memory:', options);
    await fill(source);
    const target = await openStore('memory:', options);
    await target.append({
      snapshots: [makeSnapshot({ host: 'web-01', time: now - 5 * hour + 1, processes: [{ name: 'x' }] })],
    });
    expect(await moveAll(source, target)).toMatchObject({ rows: 361 });
    const other = await openStore('memory:', options);
    await other.append({
      snapshots: [makeSnapshot({ host: 'web-01', time: now - 5 * hour + 300_000, processes: [{ name: 'y' }] })],
    });
    await expect(moveAll(source, other)).rejects.toThrow(
      /does not have the same of web-01 between .*: it gives back other rows/,
    );
  });

  test('a source that is not there is not made', async () => {
    const folder = temporaryFolder();
    const url = `duckdb:${join(folder, 'none', 'source.db')}`;
    await expect(openStore(url, { ...options, isReadOnly: true })).rejects.toThrow(/there is no such file/);
    expect(readdirSync(folder)).toEqual([]);
  });

  test.skipIf(!hasClickHouse())('into a real ClickHouse and back again it is the same', async () => {
    const server = await startClickHouse();
    const url = `${server.url.replace('http:', 'clickhouse:')}/moved`;
    const [source, back] = [await openStore('memory:', options), await openStore('memory:', options)];
    await fill(source);
    await expect(openStore(url, { ...options, isReadOnly: true })).rejects.toThrow(
      /(no tables|Database moved doesn.t exist)/,
    );
    const there = await openStore(url, options);
    expect(await moveAll(source, there)).toMatchObject({ rows: 361, samples: 60 });
    expect(await moveAll(source, there)).toMatchObject({ rows: 0, skipped: 6 });
    const reading = await openStore(url, { ...options, isReadOnly: true });
    await moveAll(reading, back);
    expect(await contents(back)).toEqual(await contents(source));
    for (const store of [there, reading]) await store.close();
    await server.close();
  });
});
