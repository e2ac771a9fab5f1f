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

async function throughInflux(batch: number, connections: number): Promise<number> {
  const influxd = await startInfluxd();
  try {
    await fetch(`${influxd.url}/query`, { method: 'POST', body: new URLSearchParams({ q: 'CREATE DATABASE bench' }) });
    const port = Number(new URL(influxd.url).port);
    const result = await load({ port, format: 'lines', path: '/write?db=bench&precision=ms', batch, connections });
    return (result.requests * batch * shape.processes) / result.seconds;
  } finally {
    await influxd.close();
  }
}

/** Snapshots acknowledged after the DuckDB commit, beside the same route without a store, in turn. */
export async function benchIngest(): Promise<void> {
  const figures: Figure[] = [];
  let bestSamples = 0;
  for (const format of ['json', 'gzip'] as const) {
    const stored: LoadResult[] = [];
    const accepted: LoadResult[] = [];
    for (let round = 0; round < rounds; round++) {
      const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
      accepted.push(await throughServer('accept:', format));
      stored.push(await throughServer(`duckdb:${join(folder, 'bench.db')}`, format));
      rmSync(folder, { recursive: true });
    }
    const rate = (results: LoadResult[]) =>
      percentile(
        results.map((result) => result.requests / result.seconds),
        0.5,
      );
    bestSamples = Math.max(bestSamples, rate(stored) * shape.processes);
    figures.push(
      {
        name: `PUT ${format}, acknowledged after the DuckDB commit`,
        value: rate(stored),
        unit: 'requests/s',
        reference: { name: 'same route, no store', value: rate(accepted), unit: 'requests/s' },
        bar: { is: 'at least', value: 0.5, of: 'ratio' },
      },
      {
        name: `PUT ${format}, p50 / p99 of the answer`,
        value: percentile(
          stored.map((result) => result.p50Ms),
          0.5,
        ),
        unit: `/ ${percentile(
          stored.map((result) => result.p99Ms),
          0.5,
        ).toFixed(0)} ms`,
      },
    );
  }
  if (hasInfluxd()) {
    const influx = Math.max(await throughInflux(1, 64), await throughInflux(16, 2));
    figures.push({
      name: 'samples acknowledged',
      value: bestSamples,
      unit: 'samples/s',
      reference: {
        name: 'InfluxDB 1.6.7 by line protocol, its best of 64 x 300 and 2 x 4,800 lines',
        value: influx,
        unit: 'samples/s',
      },
      bar: { is: 'at least', value: 3, of: 'ratio' },
    });
  }
  report('ingest: 50 hosts x 300 processes, 64 connections', figures);
}
