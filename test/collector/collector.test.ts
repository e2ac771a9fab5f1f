import { gunzipSync } from 'node:zlib';
import { expect, test, vi } from 'vitest';
import { Collector } from '../../src/collector/collector.ts';
import { FolderDisk } from '../../src/collector/disk.ts';
import { Sender } from '../../src/collector/sender.ts';
import { Spool, spoolLimits } from '../../src/collector/spool.ts';
import { SystemTotalsReader } from '../../src/collector/system-totals.ts';
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
