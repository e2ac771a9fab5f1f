import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { Snapshot } from '../src/core/snapshot.ts';
import type { DiskUse, Store } from '../src/core/store.ts';
import { openStore } from '../src/store/open.ts';
import { Child } from './child.ts';
import { record } from './recording.ts';
import { type Figure, percentile, report } from './report.ts';
import { importLines, syntheticSnapshot } from './synthetic.ts';
import { hasVictoriaMetrics, startVictoriaMetrics } from './victoria-metrics.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const stepMs = 10_000;
const shape = { hosts: 50, processes: 300, hours: 48 };
/** VictoriaMetrics takes in a part of it. */
const peerShape = { hosts: 50, hours: 1 };
const runs = 20;
const settleMs = 15_000;
/** Twenty minutes, a second each. */
const recordedSteps = 1200;

/** What a row of this machine costs once it is closed. */
export async function benchRecording(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  try {
    const { use, rows, names } = await closedSizes(join(folder, 'recorded.db'), await record(recordedSteps));
    report('recording: twenty minutes of this machine, closed', sizeFigures(`a recording, ${names} names`, use, rows));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What a row costs once it is closed, and what questions about the past take. */
export async function benchTiers(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  try {
    const end = Math.floor(Date.now() / dayMs) * dayMs;
    const path = join(folder, 'bench.db');
    const { loadSeconds, closing } = await fill(path, end);
    const figures = [
      ...sizeFigures('the synthetic fleet', closing.use, closing.rows),
      { name: 'processor time of closing a million rows', value: closing.cpuSeconds, unit: 's' },
      {
        name: 'most memory while closing, above before',
        value: closing.memoryMiB,
        unit: 'MiB',
        bar: { is: 'at most', value: 150, of: 'value' },
      },
      { name: 'taken in beforehand', value: closing.rows / loadSeconds, unit: 'rows/s' },
      ...(await questions(path, end)),
    ] satisfies Figure[];
    report(`tiers: ${shape.hours} h of ${shape.hosts} hosts x ${shape.processes} processes, all closed`, figures);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Sizes {
  use: DiskUse;
  rows: number;
  names: number;
}

const quiet = { retentionMs: 4 * dayMs, warn: (text: string) => process.stderr.write(`${text}\n`) };

async function closedSizes(path: string, snapshots: readonly Snapshot[]): Promise<Sizes> {
  const store = await openStore(`duckdb:${path}`, quiet);
  for (let from = 0; from < snapshots.length; from += 50)
    await store.append({ snapshots: snapshots.slice(from, from + 50) });
  await store.compact(Date.now() + 2 * dayMs);
  const use = (await store.disk()) as DiskUse;
  await store.close();
  const rows = snapshots.reduce((sum, { processes }) => sum + processes.name.length, 0);
  return { use, rows, names: snapshots[0]?.processes.name.length ?? 0 };
}

function sizeFigures(what: string, { closed }: DiskUse, rows: number): Figure[] {
  const bytes = (family: string) => closed.find((each) => each.family === family)?.bytes ?? 0;
  const all = closed.reduce((sum, each) => sum + each.bytes, 0);
  return [
    {
      name: `a row of ${what}, closed`,
      value: bytes('usage') / rows,
      unit: 'bytes',
      bar: { is: 'at most', value: 3, of: 'value' },
    },
    { name: `its minutes, of ${what}`, value: bytes('minute') / rows, unit: 'bytes a row' },
    { name: `its hours and buckets, of ${what}`, value: (bytes('hour') + bytes('bucket')) / rows, unit: 'bytes a row' },
    {
      name: `all that is closed, of ${what}`,
      value: all / rows,
      unit: 'bytes a row',
      bar: { is: 'at most', value: 5.5, of: 'value' },
    },
  ];
}

interface Closing {
  use: DiskUse;
  rows: number;
  /** Of a million rows. */
  cpuSeconds: number;
  memoryMiB: number;
}

async function fill(path: string, end: number): Promise<{ loadSeconds: number; closing: Closing }> {
  const store = await openStore(`duckdb:${path}`, quiet);
  let seconds = 0;
  let cpu = 0;
  let memory = 0;
  // Hour by hour, as it is closed in life.
  for (let hour = shape.hours; hour > 0; hour--) {
    const begin = performance.now();
    await fillHour(store, end - hour * hourMs);
    seconds += (performance.now() - begin) / 1000;
    const [before, usage] = [process.memoryUsage.rss(), process.cpuUsage()];
    const watch = setInterval(() => {
      memory = Math.max(memory, (process.memoryUsage.rss() - before) / 2 ** 20);
    }, 20);
    await store.compact(end - (hour - 2) * hourMs);
    clearInterval(watch);
    const { user, system } = process.cpuUsage(usage);
    cpu += (user + system) / 1e6;
  }
  await store.compact(end + dayMs);
  const use = (await store.disk()) as DiskUse;
  await store.close();
  const rows = (shape.hosts * shape.processes * shape.hours * hourMs) / stepMs;
  return { loadSeconds: seconds, closing: { use, rows, cpuSeconds: (cpu / rows) * 1e6, memoryMiB: memory } };
}

async function fillHour(store: Store, from: number): Promise<void> {
  for (let time = from; time < from + hourMs; time += stepMs) {
    const step = Math.floor(time / 1000);
    await store.append({
      snapshots: Array.from({ length: shape.hosts }, (_, host) => syntheticSnapshot(host, time, step, shape.processes)),
    });
  }
}

/** Through the HTTP API, everything closed; VictoriaMetrics has an hour of the same. */
async function questions(path: string, end: number): Promise<Figure[]> {
  const server = Child.script('server.ts', `duckdb:${path}`);
  const url = `http://127.0.0.1:${await server.line()}`;
  // Forecasts read their past first.
  await sleep(settleMs);
  const peer = hasVictoriaMetrics() ? await startVictoriaMetrics() : null;
  const peerBytes = peer === null ? null : await importAll(peer, end);
  const at = (minutes: number) => new Date(end - minutes * 60_000).toISOString();
  const [from, to] = [(end - 30 * 60_000) / 1000, (end - 25 * 60_000) / 1000];
  const query = (text: string) => `/api/v1/query?time=${to}&query=${encodeURIComponent(text)}`;
  const window = `&at=${at(25)}`;
  const host = '&host=host-7';
  const series = `&series=${encodeURIComponent('process_cpu{host="host-7",process="service-7"}')}`;
  const of = (what: string) => `/api/v1/export?match[]=${encodeURIComponent(what)}&start=${from}&end=${to}`;
  const figures = [
    await asked(
      'mean of 5 min, all hosts',
      `${url}/v1/usage/mean?top=0${window}`,
      peer && peer.url + query('avg by (process) (avg_over_time({__name__=~"process_(cpu|memory|count)"}[5m]))'),
    ),
    await asked(
      'mean of 1 h, all hosts',
      `${url}/v1/usage/mean?top=0&window=1h&at=${at(0)}`,
      peer &&
        `${peer.url}/api/v1/query?time=${end / 1000}&query=${encodeURIComponent('avg by (process) (avg_over_time({__name__=~"process_(cpu|memory|count)"}[1h]))')}`,
    ),
    await asked('mean of 2 days, all hosts', `${url}/v1/usage/mean?top=0&window=2d&at=${at(0)}`, null, 300),
    await asked(
      "one host's mean of 5 min",
      `${url}/v1/usage/mean?top=0${host}${window}`,
      peer &&
        peer.url +
          query('avg by (process) (avg_over_time({__name__=~"process_(cpu|memory|count)",host="host-7"}[5m]))'),
    ),
    await asked(
      '9,000 rows of one host as columns',
      `${url}/v1/usage/detailed?format=columns&limit=9000${host}${window}`,
      peer && peer.url + of('{host="host-7"}'),
      1.3,
    ),
    await asked(
      '9,000 rows of one host as objects',
      `${url}/v1/usage/detailed?limit=9000${host}${window}`,
      peer && peer.url + of('{host="host-7"}'),
      2,
    ),
    await asked(
      'one series of 12 h, of its rows',
      `${url}/v1/series?window=12h&step=90s${series}&at=${at(0)}`,
      null,
      40,
    ),
    await asked('one series of 2 days, of minutes', `${url}/v1/series?window=2d&step=4m${series}&at=${at(0)}`, null),
    await asked('one series of 2 days, of hours', `${url}/v1/series?window=2d&step=1h${series}&at=${at(0)}`, null, 60),
    await asked(
      'statistics of 12 h, each of 15,000 series',
      `${url}/v1/statistics?selector=process_cpu&windows=12h&at=${at(7)}`,
      null,
      1500,
    ),
    await asked('alarms at a past instant', `${url}/v1/alarms?at=${at(30)}`, null, 100),
  ];
  await server.end();
  await peer?.close();
  const size =
    peerBytes === null
      ? []
      : [{ name: 'VictoriaMetrics: the same rows, seven figures', value: peerBytes, unit: 'bytes a row' }];
  return [...figures, ...size];
}

async function asked(name: string, url: string, theirs: string | null, bar?: number): Promise<Figure> {
  const ours = await p95(url);
  const value = { name: `${name}, p95`, value: ours, unit: 'ms' };
  if (theirs === null) return { ...value, ...(bar && { bar: { is: 'at most', value: bar, of: 'value' } as const }) };
  const reference = { name: 'VictoriaMetrics', value: await p95(theirs), unit: 'ms' };
  return { ...value, reference, bar: { is: 'at most', value: bar ?? 1, of: 'ratio' } };
}

/** The first is not counted: it starts a thread, and reads what the next ones find in memory. */
async function p95(url: string): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i <= runs; i++) {
    const begin = performance.now();
    const answer = await fetch(url);
    const text = await answer.text();
    if (!answer.ok || text.length < 100) throw new Error(`${url} answered ${answer.status}: ${text.slice(0, 200)}`);
    times.push(performance.now() - begin);
  }
  return percentile(times.slice(1), 0.95);
}

/** @returns the bytes that it takes for a row, once it has put its files together */
async function importAll(peer: { url: string; folder: string }, end: number): Promise<number> {
  for (let time = end - peerShape.hours * hourMs; time < end; time += stepMs) {
    for (let host = 0; host < peerShape.hosts; host += 5) {
      const lines = Array.from({ length: 5 }, (_, k) => importLines(host + k, time, shape.processes));
      const body = gzipSync(lines.join('\n'), { level: 1 });
      const answer = await fetch(`${peer.url}/api/v1/import`, {
        method: 'POST',
        body,
        headers: { 'content-encoding': 'gzip' },
      });
      if (answer.status !== 204) throw new Error(`VictoriaMetrics answered ${answer.status}`);
    }
  }
  await fetch(`${peer.url}/internal/force_flush`);
  await fetch(`${peer.url}/internal/force_merge`);
  await sleep(10_000);
  const rows = (peerShape.hosts * shape.processes * peerShape.hours * hourMs) / stepMs;
  return bytesIn(join(peer.folder, 'data')) / rows;
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
