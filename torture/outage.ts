import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { spoolName } from '../src/cli/wiring/client-access.ts';
import { FolderDisk } from '../src/collector/disk.ts';
import { readLedger } from '../src/collector/ledger.ts';
import { Program } from '../test/e2e/program.ts';
import { bundled } from './bundled.ts';
import { residentBytes } from './measure.ts';
import { CuttableProxy } from './proxy.ts';
import { type Scenario, scaled, startEngine, temporaryFolder, until } from './scenario.ts';
import { ServerProcess } from './server-process.ts';
import { openQuietly, storedTimes } from './stored-times.ts';

const run = promisify(execFile);
const MiB = 1024 * 1024;

interface Line {
  rss: number;
  openMs: number;
  openBytes: number;
  spooled: number;
  bytes: number;
  taken: number;
  dropped: number;
}

/** 72 h at 10 s and 300 processes, as fast as it goes. */
export const longOutage: Scenario = {
  name: 'long-outage',
  behaviour: '72 hours without a server fit into the spool',
  async run(scale) {
    const folder = temporaryFolder();
    const all = scaled(25_920, scale);
    const first = await outage(folder, all);
    const [opened] = await outage(folder, 1);
    const figures = first.slice(1);
    const last = figures.at(-1) as Line;
    const [warm, end] = [figures[1] as Line, last].map((line) => line.rss / 1e6) as [number, number];
    const [start, bytes] = [opened as Line, last.bytes / MiB];
    return [
      {
        promise: '72 h without a server fit into the spool, and the collector stays small',
        figure: `${last.spooled} of ${last.taken} snapshots of 300 processes wait, ${bytes.toFixed(0)} MiB; RSS ${warm.toFixed(0)} MB after a fifth, ${end.toFixed(0)} MB at the end`,
        holds: last.spooled === all && last.dropped === 0 && bytes <= 256 && end <= 80 && end - warm <= 8,
      },
      {
        promise: 'a start with a full spool takes no time and no memory',
        figure: `${start.spooled} snapshots: ${start.openMs.toFixed(0)} ms, ${(start.openBytes / MiB).toFixed(1)} MiB`,
        holds: start.spooled === all && start.openMs <= 1000 && start.openBytes <= 20 * MiB,
      },
    ];
  },
};

async function outage(folder: string, count: number): Promise<Line[]> {
  const child = await bundled('outage-child');
  const { stdout } = await run(process.execPath, [child, folder, String(count)], { maxBuffer: 10 * MiB });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

/** The same for three real minutes, with real processes and a real network that is cut. */
export const realOutage: Scenario = {
  name: 'real-outage',
  behaviour: 'an outage is bridged, and made up for within a minute',
  async run(scale) {
    const engine = await startEngine('DuckDB');
    const server = await ServerProcess.start(engine.url);
    const proxy = await CuttableProxy.start(Number(new URL(server.url).port));
    const data = temporaryFolder();
    const collector = new Program([
      'collect',
      '--server',
      proxy.url,
      '--data',
      data,
      '--interval',
      '1s',
      '--host',
      'cut-off',
    ]);
    await sleep(3000);
    let peakBytes = 0;
    const sampling = setInterval(() => {
      peakBytes = Math.max(peakBytes, residentBytes(collector.child.pid as number));
    }, 500);
    proxy.cut();
    const awayMs = 180_000 * Math.max(0.03, scale);
    await sleep(awayMs);
    proxy.mend();
    const folder = new FolderDisk(`${data}/spool/${spoolName(proxy.url, 'cut-off')}`);
    const spooled = async () => (await folder.list()).filter((name) => name.endsWith('.gz')).length;
    const waiting = await spooled();
    const begin = performance.now();
    await until(async () => (await spooled()) <= 1, 90_000, 'an empty spool');
    const backMs = performance.now() - begin;
    clearInterval(sampling);
    await collector.stop('SIGTERM');
    await server.stop('SIGTERM');
    proxy.close();
    const ledger = await readLedger(folder);
    const store = await openQuietly(engine.url);
    const stored = await storedTimes(store, 'cut-off', 'node');
    await store.close();
    return [
      {
        promise: 'a real outage is bridged, and made up for within a minute',
        figure: `cut for ${Math.round(awayMs / 1000)} s, ${waiting} waited, gone after ${(backMs / 1000).toFixed(1)} s; ${ledger?.sequence} taken, ${stored.times.size} stored, ${stored.repeated} twice; RSS at most ${(peakBytes / MiB).toFixed(0)} MiB`,
        holds:
          stored.times.size === ledger?.sequence &&
          stored.repeated === 0 &&
          waiting >= awayMs / 1000 - 2 &&
          backMs <= 60_000,
      },
    ];
  },
};
