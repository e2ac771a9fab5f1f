import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds } from './cpu-seconds.ts';
import { Program } from './program.ts';
import { percentile, report } from './report.ts';

const runs = 11;
/** Until a daemon has done everything that it does now and then. */
const settledMs = 90_000;

/** What somebody waits for, and what daemons take while nothing happens. Of the built program. */
export async function benchStart(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  try {
    const starts: Start[] = [];
    for (let run = 0; run < runs; run++) starts.push(await start(join(folder, `start-${run}`)));
    const { collector, up } = await footprint(folder);
    const median = (figure: keyof Start) =>
      percentile(
        starts.map((each) => each[figure]),
        0.5,
      );
    report('start: a server with an empty DuckDB; daemons at 10 s', [
      { name: 'ready', value: median('readyMs'), unit: 'ms', bar: { is: 'at most', value: 350, of: 'value' } },
      { name: 'processor time of it', value: median('cpuMs'), unit: 'ms' },
      { name: 'RSS of a collector', value: collector, unit: 'MiB', bar: { is: 'at most', value: 60, of: 'value' } },
      { name: 'RSS of up', value: up, unit: 'MiB', bar: { is: 'at most', value: 160, of: 'value' } },
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Start {
  readyMs: number;
  cpuMs: number;
}

async function start(data: string): Promise<Start> {
  const begin = performance.now();
  const server = new Program('serve', '--data', data, '--listen', '127.0.0.1:0');
  await server.url();
  const took = { readyMs: performance.now() - begin, cpuMs: cpuSeconds(server.pid) * 1000 };
  await server.end();
  return took;
}

async function footprint(folder: string): Promise<{ collector: number; up: number }> {
  const up = new Program('up', '--data', join(folder, 'up'), '--listen', '127.0.0.1:0', '--log-level', 'info');
  const collector = new Program('collect', '--data', join(folder, 'collector'), '--server', await up.url());
  await sleep(settledMs);
  const resident = { collector: collector.residentMiB(), up: up.residentMiB() };
  await collector.end();
  await up.end();
  return resident;
}
