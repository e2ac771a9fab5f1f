import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Collector } from '../../src/collector/collector.ts';
import { openDesired } from '../../src/collector/desired-file.ts';
import { FolderDisk } from '../../src/collector/disk.ts';
import { Sender } from '../../src/collector/sender.ts';
import { Spool, spoolLimits } from '../../src/collector/spool.ts';
import { SystemTotalsReader } from '../../src/collector/system-totals.ts';
import { type DesiredSettings, nothingDesired } from '../../src/core/collector-settings.ts';
import type { SnapshotBody } from '../../src/wire/snapshot.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { realClock } from './process-source-contract.ts';

test('sweeps lie on a grid of intervals, also when timers are late and sweeps are slow', async () => {
  const intervalMs = 250;
  const at: number[] = [];
  const source = {
    async sweep() {
      at.push(performance.now());
      await new Promise((resolve) => setTimeout(resolve, at.length === 6 ? 1.5 * intervalMs : 20));
      return {
        processes: [],
        busy: 10,
        cores: 2,
        memoryBytes: 2 ** 30,
        limitedBy: 'host' as const,
        usedBytes: null,
      };
    },
    close: () => undefined,
  };
  const bodies: Uint8Array[] = [];
  const client = {
    server: 'http://nowhere',
    put: async (_: string, gzip: Uint8Array) => {
      bodies.push(gzip);
      return { status: 204, detail: '', retryAfterMs: null };
    },
    close: async () => undefined,
  };
  const log = { info: vi.fn(), warn: vi.fn() };
  const spool = await Spool.open(new FolderDisk(temporaryFolder()), spoolLimits(intervalMs));
  const sender = new Sender({ spool, client, clock: realClock, random: Math.random, log });
  const totals = new SystemTotalsReader();
  const collector = new Collector({
    host: 'h',
    bootId: null,
    intervalMs,
    clock: realClock,
    source,
    totals,
    spool,
    sender,
    log,
  });
  await collector.start();
  await new Promise((resolve) => setTimeout(resolve, 12.4 * intervalMs));
  await collector.close();
  const start = at[0] as number;
  // The second is the early one; the seventh comes after the slow one, on the next line of the grid.
  // Timers may fire a fraction of a millisecond early, and, where the machine is busy with something else, late.
  const lines = at.slice(2).map((time) => Math.floor((time - start + 2) / intervalMs));
  const late = at.slice(2).map((time, k) => time - start - (lines[k] as number) * intervalMs);
  const [, , thirdLatest] = late.toSorted((a, b) => b - a);
  expect(thirdLatest).toBeLessThan(60);
  expect(Math.min(...late)).toBeGreaterThan(-2);
  // One that is slow costs the next line; where the machine has been busy one more may be left out, and none comes twice.
  const grid = [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12];
  expect(lines).toEqual(grid.filter((line) => lines.includes(line)));
  expect(lines.length).toBeGreaterThanOrEqual(grid.length - 1);
  expect(JSON.parse(gunzipSync(bodies[0] as Uint8Array).toString()).system.cpu).toBe(5);
});

describe('what the server wants', () => {
  const intervalMs = 200;
  const closing: Collector[] = [];
  afterEach(async () => {
    for (const collector of closing.splice(0)) await collector.close();
  });

  /** A collector whose server says `wanted` with every answer. */
  async function setUp(folder = temporaryFolder(), wanted: DesiredSettings = nothingDesired) {
    const told = { wanted, bodies: [] as (SnapshotBody & { at: number })[] };
    const sweeps: number[] = [];
    const client = {
      server: 'http://nowhere',
      put: async (_: string, gzip: Uint8Array) => {
        told.bodies.push({ ...JSON.parse(gunzipSync(gzip).toString()), at: performance.now() });
        return { status: 204, detail: '', desired: told.wanted, retryAfterMs: null };
      },
      close: async () => undefined,
    };
    const source = {
      async sweep() {
        sweeps.push(performance.now());
        return { processes: [], busy: 10, cores: 2, memoryBytes: 2 ** 30, limitedBy: 'host' as const, usedBytes: null };
      },
      close: () => undefined,
    };
    const log = { info: vi.fn(), warn: vi.fn() };
    const spool = await Spool.open(new FolderDisk(temporaryFolder()), spoolLimits(intervalMs));
    const sender: Sender = new Sender({
      spool,
      client,
      clock: realClock,
      random: Math.random,
      log,
      follow: (desired) => collector.follow(desired),
    });
    const collector: Collector = new Collector({
      host: 'h',
      bootId: null,
      intervalMs,
      clock: realClock,
      source,
      totals: new SystemTotalsReader(),
      spool,
      sender,
      log,
      desired: openDesired(folder, 'server', log),
    });
    await collector.start();
    closing.push(collector);
    const until = (condition: (last: SnapshotBody) => unknown) =>
      vi.waitFor(() => expect(condition(told.bodies.at(-1) as SnapshotBody)).toBeTruthy(), {
        timeout: 5000,
        interval: 5,
      });
    return { told, sweeps, until, log, collector, folder };
  }

  test('an interval is in force within one, in what is sent too, and over a restart', async () => {
    const { told, until, folder, collector } = await setUp();
    await until(({ interval }) => interval === 0.2);
    const before = performance.now();
    told.wanted = { intervalMs: 500, isPaused: false };
    await until(({ interval }) => interval === 0.5);
    // Learned with one answer, said with the next, which came no later than it would have.
    expect(performance.now() - before).toBeLessThan(3 * intervalMs);
    const count = told.bodies.length;
    await until(() => told.bodies.length >= count + 3);
    const times = told.bodies.slice(count - 1).map(({ at }) => at);
    for (const [index, at] of times.slice(1).entries()) expect(at - (times[index] as number)).toBeGreaterThan(400);
    await collector.close();
    const again = await setUp(folder, told.wanted);
    await again.until(() => again.told.bodies.length >= 1);
    expect(again.told.bodies[0]?.interval).toBe(0.5);
    again.told.wanted = { ...nothingDesired };
    await again.until(({ interval }) => interval === 0.2);
  });

  test('a pause: it says that it lives, sweeps nothing, and starts afresh', async () => {
    const { told, until, sweeps, folder, collector } = await setUp();
    told.wanted = { intervalMs: null, isPaused: true };
    await until(({ collector }) => collector?.paused === 1);
    const swept = sweeps.length;
    const count = told.bodies.length;
    await until(() => told.bodies.length >= count + 3);
    expect(sweeps.length).toBe(swept);
    expect(told.bodies.at(-1)).toMatchObject({
      cores: 2,
      processes: { name: [] },
      collector: { paused: 1, dropped: 0 },
    });
    expect(told.bodies.at(-1)?.system).toBeUndefined();
    await collector.close();
    const again = await setUp(folder, told.wanted);
    await again.until(({ collector }) => collector?.paused === 1);
    // To know what host it is.
    expect(again.sweeps).toHaveLength(1);
    again.told.wanted = { ...nothingDesired };
    await again.until(({ collector }) => collector?.paused === undefined);
    // One more for the CPU's beginning, and one that is sent.
    expect(again.sweeps.length).toBeGreaterThanOrEqual(3);
  });
});
