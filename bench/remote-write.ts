import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { residentMiB } from '../torture/measure.ts';
import { Child } from './child.ts';
import { cpuSeconds } from './cpu-seconds.ts';
import { percentile, report } from './report.ts';
import { hasVictoriaMetrics, startVictoriaMetrics } from './victoria-metrics.ts';

const shape = { series: 10_000, scrapes: 40, perBody: 500, connections: 4 };
const rounds = 3;

interface Taken {
  taken: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  /** Of a core, for a million samples. */
  cpuSeconds: number;
  residentMiB: number;
}

async function load(url: string, pid: number): Promise<Taken> {
  const child = Child.script('remote-write-load.ts', JSON.stringify({ ...shape, url }));
  await child.line();
  const before = cpuSeconds(pid);
  const result = JSON.parse(await child.ask('go')) as Taken;
  const used = cpuSeconds(pid) - before;
  return { ...result, cpuSeconds: (used / result.taken) * 1e6, residentMiB: residentMiB(pid) };
}

async function ours(): Promise<Taken> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const server = Child.script('server.ts', `duckdb:${join(folder, 'bench.db')}`);
  const port = await server.line();
  const taken = await load(`http://127.0.0.1:${port}/v1/prometheus/write`, server.process.pid as number);
  await server.end();
  rmSync(folder, { recursive: true });
  return taken;
}

async function victoriaMetrics(): Promise<Taken> {
  const peer = await startVictoriaMetrics();
  const taken = await load(`${peer.url}/api/v1/write`, peer.pid);
  await peer.close();
  return taken;
}

/** The same bodies taken by this server and by VictoriaMetrics, by turns. */
export async function benchRemoteWrite(): Promise<void> {
  const hasPeer = hasVictoriaMetrics();
  const runs: { ours: Taken[]; theirs: Taken[] } = { ours: [], theirs: [] };
  for (let i = 0; i < rounds; i++) {
    runs.ours.push(await ours());
    if (hasPeer) runs.theirs.push(await victoriaMetrics());
  }
  const median = (all: readonly Taken[], read: (taken: Taken) => number) => percentile(all.map(read), 0.5);
  const figure = (name: string, unit: string, read: (taken: Taken) => number) => ({
    name,
    value: median(runs.ours, read),
    unit,
    ...(hasPeer && { reference: { name: 'VictoriaMetrics', value: median(runs.theirs, read), unit } }),
  });
  const { series, scrapes, perBody, connections } = shape;
  report(
    `remote write: ${series} series, ${scrapes} scrapes, ${perBody} samples a body, ${connections} connections; ours after the DuckDB commit`,
    [
      figure('samples taken', 'samples/s', ({ taken, seconds }) => taken / seconds),
      figure('processor time of a million', 's', (taken) => taken.cpuSeconds),
      figure('answer p50', 'ms', ({ p50Ms }) => p50Ms),
      figure('answer p99', 'ms', ({ p99Ms }) => p99Ms),
      figure('memory', 'MiB', (taken) => taken.residentMiB),
    ],
  );
}
