import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.ts';
import { cpuSeconds } from './cpu-seconds.ts';
import { type Figure, percentile, report } from './report.ts';
import { hasVictoriaMetrics, startVictoriaMetrics } from './victoria-metrics.ts';

const shape = { hosts: 50, processes: 300, seconds: 10, batch: 1 };
/**
 * Before: what is compiled meanwhile is no part of the price. It takes some ten thousand requests: with a tenth of them
 * what came afterwards cost half as much again, for a minute.
 */
const warmUp = { connections: 64, seconds: 12 };
const rounds = 3;

/** Of a million rows, seconds. */
const mostCpu: Partial<Record<Way, number>> = { '100 PUT/s of 50 hosts': 3.5, 'ten snapshots a request': 1.5 };

/** How snapshots come. */
const ways = {
  'one connection': { connections: 1 },
  '4 connections': { connections: 4 },
  '64 connections': { connections: 64 },
  '100 PUT/s of 50 hosts': { connections: 50, perSecond: 100 },
  'ten snapshots a request': { connections: 8, batch: 10 },
} as const;
type Way = keyof typeof ways;

interface Taken {
  rowsPerSecond: number;
  /** Of the server, for a million rows. */
  cpuSeconds: number;
  p50Ms: number;
  p99Ms: number;
}

/** As load.ts takes them; the snapshots of a request matter here. */
interface Load extends Record<string, unknown> {
  batch?: number;
}

async function load(pid: number, options: Load): Promise<Taken> {
  await send(pid, { ...options, ...warmUp, batch: 1, perSecond: undefined, startMs: Date.now() - 3 * 3_600_000 });
  return send(pid, options);
}

async function send(pid: number, options: Load): Promise<Taken> {
  const child = Child.script('load.ts', JSON.stringify({ ...shape, ...options }));
  await child.line();
  const before = cpuSeconds(pid);
  const result = JSON.parse(await child.ask('go')) as Record<
    'requests' | 'seconds' | 'errors' | 'p50Ms' | 'p99Ms',
    number
  >;
  if (result.errors > 0) throw new Error(`${result.errors} of ${result.requests} requests were refused`);
  const rows = result.requests * (options.batch ?? 1) * shape.processes;
  const cpu = ((cpuSeconds(pid) - before) / rows) * 1e6;
  return { rowsPerSecond: rows / result.seconds, cpuSeconds: cpu, p50Ms: result.p50Ms, p99Ms: result.p99Ms };
}

async function ours(way: Way): Promise<Taken> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const server = Child.script('server.ts', `duckdb:${join(folder, 'bench.db')}`);
  const port = Number(await server.line());
  const taken = await load(server.process.pid as number, { port, format: 'gzip', path: '/v1/usage', ...ways[way] });
  await server.end();
  rmSync(folder, { recursive: true });
  return taken;
}

async function theirs(way: Way): Promise<Taken> {
  const peer = await startVictoriaMetrics();
  const port = Number(new URL(peer.url).port);
  const taken = await load(peer.pid, { port, format: 'import', path: '/api/v1/import', ...ways[way] });
  await peer.close();
  return taken;
}

/** What a snapshot costs that comes alone, however many do, and in company. */
export async function benchRequests(): Promise<void> {
  const figures: Figure[] = [];
  for (const way of Object.keys(ways) as Way[]) {
    const runs: { ours: Taken[]; theirs: Taken[] } = { ours: [], theirs: [] };
    for (let i = 0; i < rounds; i++) {
      runs.ours.push(await ours(way));
      if (hasVictoriaMetrics()) runs.theirs.push(await theirs(way));
    }
    figures.push(...figuresOf(way, runs));
  }
  report('requests: snapshots of 300 processes, gzip; ours acknowledged after the DuckDB commit', figures);
}

function figuresOf(way: Way, runs: { ours: Taken[]; theirs: Taken[] }): Figure[] {
  const median = (all: readonly Taken[], read: (taken: Taken) => number) => percentile(all.map(read), 0.5);
  const figure = (name: string, unit: string, read: (taken: Taken) => number, bar?: Figure['bar']): Figure => ({
    name: `${way}: ${name}`,
    value: median(runs.ours, read),
    unit,
    ...(runs.theirs.length > 0 && { reference: { name: 'VictoriaMetrics', value: median(runs.theirs, read), unit } }),
    ...(bar && { bar }),
  });
  return [
    figure(
      'rows',
      'rows/s',
      (taken) => taken.rowsPerSecond,
      way === '64 connections' ? { is: 'at least', value: 1, of: 'ratio' } : undefined,
    ),
    figure(
      'processor time of a million rows',
      's',
      (taken) => taken.cpuSeconds,
      mostCpu[way] ? { is: 'at most', value: mostCpu[way], of: 'value' } : undefined,
    ),
    figure('answer p50', 'ms', (taken) => taken.p50Ms),
    figure('answer p99', 'ms', (taken) => taken.p99Ms),
  ];
}
