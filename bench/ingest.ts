import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasInfluxd, startInfluxd } from '../test/influxd.ts';
import { Child } from './child.ts';
import { type Figure, percentile, report } from './report.ts';

const shape = { connections: 64, hosts: 50, processes: 300, seconds: 5, batch: 1 };
const rounds = 3;

interface LoadResult {
  requests: number;
  seconds: number;
  errors: number;
  p50Ms: number;
  p99Ms: number;
}

async function load(options: object): Promise<LoadResult> {
  const child = Child.script('load.ts', JSON.stringify({ ...shape, ...options }));
  await child.line();
  const result = JSON.parse(await child.ask('go')) as LoadResult;
  if (result.errors > 0) throw new Error(`${result.errors} of ${result.requests} requests were refused`);
  return result;
}

async function throughServer(store: string, format: 'json' | 'gzip'): Promise<LoadResult> {
  const server = Child.script('server.ts', store);
  const port = Number(await server.line());
  const result = await load({ port, format, path: '/v1/usage' });
  await server.end();
  return result;
}

/** InfluxDB fed with line protocol directly; samples a second. */
async function throughInflux(connections: number, snapshotsPerRequest: number): Promise<number> {
  const influxd = await startInfluxd();
  try {
    await fetch(`${influxd.url}/query`, { method: 'POST', body: new URLSearchParams({ q: 'CREATE DATABASE bench' }) });
    const port = Number(new URL(influxd.url).port);
    const path = '/write?db=bench&precision=ms';
    const result = await load({ port, format: 'lines', path, batch: snapshotsPerRequest, connections });
    return (result.requests * snapshotsPerRequest * shape.processes) / result.seconds;
  } finally {
    await influxd.close();
  }
}

interface Round {
  stored: LoadResult;
  accepted: LoadResult;
}

async function round(format: 'json' | 'gzip'): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const accepted = await throughServer('accept:', format);
  const stored = await throughServer(`duckdb:${join(folder, 'bench.db')}`, format);
  rmSync(folder, { recursive: true });
  return { stored, accepted };
}

/**
 * Snapshots acknowledged after the DuckDB commit, beside the same route without a store and InfluxDB, all
 * by turns: the speed of the machine changes from minute to minute.
 */
export async function benchIngest(): Promise<void> {
  const withInflux = hasInfluxd();
  const runs: Record<'json' | 'gzip', Round[]> = { json: [], gzip: [] };
  const influx: Record<'alike' | 'best', number[]> = { alike: [], best: [] };
  for (let i = 0; i < rounds; i++) {
    for (const format of ['json', 'gzip'] as const) runs[format].push(await round(format));
    if (!withInflux) continue;
    influx.alike.push(await throughInflux(shape.connections, 1));
    influx.best.push(await throughInflux(2, 16));
  }
  const figures = [
    ...formatFigures('gzip', 'as collectors send it', runs.gzip),
    ...formatFigures('json', 'plain', runs.json),
  ];
  if (withInflux) figures.push(...influxFigures(runs, influx));
  report('ingest: 50 hosts x 300 processes, 64 connections', figures);
}

const median = (values: readonly number[]) => percentile(values, 0.5);
const rate = (result: LoadResult) => result.requests / result.seconds;

function formatFigures(format: string, what: string, runs: readonly Round[]): Figure[] {
  const stored = runs.map((run) => run.stored);
  return [
    {
      name: `PUT ${format}, ${what}, acknowledged after the DuckDB commit`,
      value: median(stored.map(rate)),
      unit: 'requests/s',
      reference: {
        name: 'same route, no store',
        value: median(runs.map((run) => rate(run.accepted))),
        unit: 'requests/s',
      },
      bar: { is: 'at least', value: 0.5, of: 'ratio' },
    },
    { name: `PUT ${format}, answer p50`, value: median(stored.map((result) => result.p50Ms)), unit: 'ms' },
    { name: `PUT ${format}, answer p99`, value: median(stored.map((result) => result.p99Ms)), unit: 'ms' },
  ];
}

function influxFigures(runs: Record<string, Round[]>, influx: Record<'alike' | 'best', number[]>): Figure[] {
  const best = Math.max(...Object.values(runs).map((each) => median(each.map((run) => rate(run.stored)))));
  const figure = { name: 'samples acknowledged', value: best * shape.processes, unit: 'samples/s' };
  const beside = (what: string, values: readonly number[]) => ({
    name: `InfluxDB 1.6.7 by line protocol, ${what}`,
    value: median(values),
    unit: 'samples/s',
  });
  return [
    {
      ...figure,
      reference: beside('the same 64 connections, a snapshot each', influx.alike),
      bar: { is: 'at least', value: 3, of: 'ratio' },
    },
    { ...figure, reference: beside('at its best: 2 connections, 16 snapshots at once', influx.best) },
  ];
}
