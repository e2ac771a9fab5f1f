import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../src/store/open.ts';
import { hasInfluxd, startInfluxd } from '../test/influxd.ts';
import { Child } from './child.ts';
import { type Figure, percentile, report } from './report.ts';
import { lineProtocol, syntheticSnapshot } from './synthetic.ts';

const shape = { hosts: 50, processes: 300, steps: 720, stepMs: 10_000 };
const rows = shape.hosts * shape.processes * shape.steps;
/** 30,000 samples a second. */
const backgroundPutsPerSecond = 100;
/** So short that every run has forecasts in it: a step is a tenth, and six times as many as by default. */
const horizonMs = 100_000;
const loadSeconds = 15;
const runs = { idle: 40, loaded: 40, influx: 7 };

type Measured = Record<'mean' | 'host' | 'alarms', number[]>;

/** Queries over two hours of 50 hosts, through the HTTP API, idle and while snapshots come in. */
export async function benchQueries(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const end = Math.floor(Date.now() / shape.stepMs) * shape.stepMs;
  try {
    const path = join(folder, 'bench.db');
    const loadedIn = await fillDuckdb(path, end);
    const server = Child.script('server.ts', `duckdb:${path}`, String(horizonMs));
    const url = `http://127.0.0.1:${await server.line()}`;
    const idle = await measure(url, end, runs.idle);
    server.write('reset');
    const ingestEnds = await startIngest(url, end);
    await sleep(2000);
    const loaded = await measure(url, end, runs.loaded);
    const sent = await ingestEnds();
    const lag = JSON.parse(await server.ask('lag')) as { p99Ms: number; maxMs: number };
    await server.end();
    const influx = await influxMean(end);
    report(`queries: ${rows.toLocaleString('en')} rows, 2 h of ${shape.hosts} hosts x ${shape.processes} processes`, [
      { name: 'load', value: rows / loadedIn, unit: 'rows/s' },
      { name: 'file', value: statSync(path).size / rows, unit: 'bytes/row' },
      ...queryFigures('idle', idle, influx),
      ...queryFigures('while 30,000 samples/s come in', loaded, null),
      {
        name: 'snapshots taken in meanwhile',
        value: sent * shape.processes,
        unit: 'samples/s',
        bar: { is: 'at least', value: 29_000, of: 'value' },
      },
      {
        name: 'event-loop delay p99 meanwhile',
        value: lag.p99Ms,
        unit: 'ms',
        bar: { is: 'at most', value: 50, of: 'value' },
      },
      { name: 'event-loop delay at most meanwhile', value: lag.maxMs, unit: 'ms' },
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function queryFigures(when: string, measured: Measured, influx: number | null): Figure[] {
  const p95 = (values: number[]) => percentile(values, 0.95);
  const mean = percentile(measured.mean, 0.5);
  return [
    influx === null
      ? { name: `mean of 5 min, all hosts, p50, ${when}`, value: mean, unit: 'ms' }
      : {
          name: `speed of the mean of 5 min, all hosts, ${when}`,
          value: 1000 / mean,
          unit: 'queries/s',
          reference: { name: 'InfluxDB 1.6.7', value: 1000 / influx, unit: 'queries/s' },
          bar: { is: 'at least', value: 20, of: 'ratio' },
        },
    {
      name: `one host's mean of 5 min, p95, ${when}`,
      value: p95(measured.host),
      unit: 'ms',
      bar: { is: 'at most', value: 20, of: 'value' },
    },
    {
      name: `alarms over ${(shape.hosts * shape.processes).toLocaleString('en')} series, p95, ${when}`,
      value: p95(measured.alarms),
      unit: 'ms',
      bar: { is: 'at most', value: 250, of: 'value' },
    },
  ];
}

async function fillDuckdb(path: string, end: number): Promise<number> {
  const store = await openStore(`duckdb:${path}`, { retentionMs: 2 * 86_400_000, warn: () => undefined });
  const begin = performance.now();
  for (let step = shape.steps - 1; step >= 0; step--) {
    const time = end - step * shape.stepMs;
    await store.append({
      snapshots: Array.from({ length: shape.hosts }, (_, host) => syntheticSnapshot(host, time, step, shape.processes)),
    });
  }
  const seconds = (performance.now() - begin) / 1000;
  await store.close();
  return seconds;
}

async function measure(url: string, end: number, times: number): Promise<Measured> {
  const measured: Measured = { mean: [], host: [], alarms: [] };
  const at = new Date(end).toISOString();
  const paths = { mean: `/v1/usage/mean?at=${at}`, host: `/v1/usage/mean?host=host-7&at=${at}`, alarms: '/v1/alarms' };
  for (let i = 0; i < times; i++) {
    for (const [name, path] of Object.entries(paths)) {
      const begin = performance.now();
      const answer = await fetch(url + path);
      const text = await answer.text();
      if (name === 'alarms' && !text.includes('"RED"')) throw new Error('there should be alarms to find');
      if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}`);
      measured[name as keyof Measured].push(performance.now() - begin);
    }
  }
  return measured;
}

/** Sends snapshots at a steady pace from a process of its own; resolves with snapshots per second. */
async function startIngest(url: string, end: number): Promise<() => Promise<number>> {
  const load = Child.script(
    'load.ts',
    JSON.stringify({
      port: Number(new URL(url).port),
      connections: shape.hosts,
      hosts: shape.hosts,
      processes: shape.processes,
      seconds: loadSeconds,
      format: 'gzip',
      path: '/v1/usage',
      batch: 1,
      perSecond: backgroundPutsPerSecond,
      startMs: end + 1000,
    }),
  );
  await load.line();
  load.write('go');
  return async () => {
    const result = JSON.parse(await load.line()) as { requests: number; seconds: number; errors: number };
    if (result.errors > 0) throw new Error(`${result.errors} of ${result.requests} PUTs were refused`);
    return result.requests / result.seconds;
  };
}

/** Milliseconds of the same mean in InfluxDB 1.6.7 with the same rows; null where it is not installed. */
async function influxMean(end: number): Promise<number | null> {
  if (!hasInfluxd()) return null;
  const influxd = await startInfluxd();
  try {
    const ask = (q: string) =>
      fetch(`${influxd.url}/query?db=bench`, { method: 'POST', body: new URLSearchParams({ q }) }).then((answer) =>
        answer.text(),
      );
    await ask('CREATE DATABASE bench');
    const hostsPerWrite = 10;
    for (let step = shape.steps - 1; step >= 0; step--) {
      for (let host = 0; host < shape.hosts; host += hostsPerWrite) {
        const lines = Array.from({ length: hostsPerWrite }, (_, i) =>
          lineProtocol(host + i, end - step * shape.stepMs, shape.processes),
        );
        const answer = await fetch(`${influxd.url}/write?db=bench&precision=ms`, {
          method: 'POST',
          body: lines.join('\n'),
        });
        if (answer.status !== 204) throw new Error(`InfluxDB answered ${answer.status}: ${await answer.text()}`);
      }
    }
    const query = `SELECT MEAN("cpu"), MEAN("memory"), MAX("cpu_max"), MAX("memory_max"), MEAN("count"), COUNT("count") FROM process WHERE time > ${end - 300_000}ms AND time <= ${end}ms GROUP BY process`;
    const times: number[] = [];
    for (let i = 0; i < runs.influx; i++) {
      const begin = performance.now();
      const text = await ask(query);
      if (!text.includes('service-0')) throw new Error(`InfluxDB answered ${text.slice(0, 200)}`);
      times.push(performance.now() - begin);
    }
    return percentile(times, 0.5);
  } finally {
    await influxd.close();
  }
}
