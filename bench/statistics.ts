import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { openStore } from '../src/store/open.ts';
import { hasInfluxd, startInfluxd } from '../test/influxd.ts';
import { Child } from './child.ts';
import { type Figure, percentile, report } from './report.ts';
import { syntheticColumns, syntheticSnapshot } from './synthetic.ts';
import { hasVictoriaMetrics, startVictoriaMetrics } from './victoria-metrics.ts';

const hourMs = 3_600_000;
const stepMs = 10_000;
/** InfluxDB has the last hour alone: its answer takes as much longer as there are more hours. */
const shape = { hosts: 50, processes: 300, hours: 12 };
const runs = { ours: 20, theirs: 5, influx: 2 };
type Ask = () => Promise<unknown>;

/** Statistics of each of 15,000 series: the same question to the embedded store, VictoriaMetrics and InfluxDB. */
export async function benchStatistics(): Promise<void> {
  const end = Math.floor(Date.now() / hourMs) * hourMs;
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  try {
    const ours = await askOurs(`duckdb:${join(folder, 'bench.db')}`, end);
    const theirs = hasVictoriaMetrics() ? await askVictoriaMetrics(end) : null;
    const influx = hasInfluxd() ? await askInfluxDb(end) : null;
    const beside = (name: string, value: number | undefined) =>
      value === undefined ? {} : { reference: { name, value, unit: 'ms' } };
    const figures: Figure[] = [
      {
        name: `${shape.hours} h, p95`,
        value: ours[shape.hours] as number,
        unit: 'ms',
        ...beside('VictoriaMetrics: the same figures', theirs?.[shape.hours]),
        bar: { is: 'at most', value: 1500, of: 'value' },
      },
      { name: '1 h, p95', value: ours[1] as number, unit: 'ms', ...beside('VictoriaMetrics', theirs?.[1]) },
      { name: '1 h, p95', value: ours[1] as number, unit: 'ms', ...beside('InfluxDB 1.6.7', influx?.own) },
      ...(influx === null ? [] : [rolledUp(influx)]),
    ];
    report(`statistics of each of ${shape.hosts * shape.processes} series`, figures);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function rolledUp(influx: { own: number; rolledUp: number }): Figure {
  return {
    name: '1 h with InfluxDB as the store, p95',
    value: influx.rolledUp,
    unit: 'ms',
    reference: { name: 'InfluxDB 1.6.7', value: influx.own, unit: 'ms' },
    bar: { is: 'at most', value: 1000, of: 'value' },
  };
}

async function askOurs(storeUrl: string, end: number): Promise<Record<number, number>> {
  const store = await openStore(storeUrl, { retentionMs: 4 * 24 * hourMs, warn: () => undefined });
  for (let time = end - shape.hours * hourMs; time < end; time += stepMs) {
    const snapshot = (_: unknown, host: number) =>
      syntheticSnapshot(host, time, Math.floor(time / 1000), shape.processes);
    await store.append({ snapshots: Array.from({ length: shape.hosts }, snapshot) });
    if (time % hourMs === 0) await store.compact(time);
  }
  await store.compact(end + 24 * hourMs);
  await store.close();
  const server = Child.script('server.ts', storeUrl);
  const url = `http://127.0.0.1:${await server.line()}`;
  const found = await byHours((hours) => askAt(url, hours, end), runs.ours);
  await server.end();
  return found;
}

async function askVictoriaMetrics(end: number): Promise<Record<number, number>> {
  const peer = await startVictoriaMetrics();
  for (let from = end - shape.hours * hourMs; from < end; from += hourMs)
    for (let host = 0; host < shape.hosts; host++) await importHour(peer.url, host, from);
  await text(`${peer.url}/internal/force_flush`);
  await text(`${peer.url}/internal/force_merge`);
  await sleep(10_000);
  const functions = ['count', 'min', 'max', 'avg', 'stddev'].map((name) => `${name}_over_time(process_cpu[W])`);
  const quantiles = 'quantiles_over_time("phi", 0.5, 0.95, 0.99, process_cpu[W])';
  const ask = (hours: number) => () =>
    Promise.all(
      [...functions, quantiles].map((query) => {
        const asked = encodeURIComponent(query.replace('W', `${hours}h`));
        return text(`${peer.url}/api/v1/query?time=${end / 1000 - 1}&query=${asked}`);
      }),
    );
  const found = await byHours(ask, runs.theirs);
  await peer.close();
  return found;
}

async function importHour(url: string, host: number, from: number): Promise<void> {
  const values: number[][] = [];
  const timestamps: number[] = [];
  let names: readonly string[] = [];
  for (let time = from; time < from + hourMs; time += stepMs) {
    const columns = syntheticColumns(host, Math.floor(time / 1000), shape.processes);
    names = columns.name;
    timestamps.push(time);
    for (const [index, cpu] of columns.cpu.entries()) {
      const known = values[index] ?? [];
      known.push(cpu ?? 0);
      values[index] = known;
    }
  }
  const lines = names.map((process, index) =>
    JSON.stringify({
      metric: { __name__: 'process_cpu', host: `host-${host}`, process },
      values: values[index],
      timestamps,
    }),
  );
  await post(`${url}/api/v1/import`, lines.join('\n'));
}

/** InfluxDB's own answer for an hour, and ours from the roll-ups that are kept in it. */
async function askInfluxDb(end: number): Promise<{ own: number; rolledUp: number }> {
  const influxd = await startInfluxd();
  const storeUrl = `${influxd.url.replace('http:', 'influxdb:')}/bench`;
  const store = await openStore(storeUrl, { retentionMs: 48 * hourMs, warn: () => undefined });
  for (let time = end - hourMs + stepMs; time <= end; time += stepMs) {
    const snapshot = (_: unknown, host: number) =>
      syntheticSnapshot(host, time, Math.floor(time / 1000), shape.processes);
    await store.append({ snapshots: Array.from({ length: shape.hosts }, snapshot) });
  }
  await store.compact(end + hourMs);
  await store.close();
  const functions = ['count(cpu)', 'min(cpu)', 'max(cpu)', 'mean(cpu)', 'stddev(cpu)'];
  const percentiles = [50, 95, 99].map((percent) => `percentile(cpu, ${percent})`);
  const where = `time > ${end - hourMs}ms AND time <= ${end}ms`;
  const q = `SELECT ${[...functions, ...percentiles].join(', ')} FROM process WHERE ${where} GROUP BY host, process`;
  const own = await p95(() => text(`${influxd.url}/query?db=bench&q=${encodeURIComponent(q)}`), runs.influx);
  const server = Child.script('server.ts', storeUrl);
  const rolledUp = await p95(askAt(`http://127.0.0.1:${await server.line()}`, 1, end), runs.ours);
  await server.end();
  await influxd.close();
  return { own, rolledUp };
}

function askAt(url: string, hours: number, end: number): Ask {
  return () =>
    text(`${url}/v1/statistics?selector=process_cpu&top=0&windows=${hours}h&at=${new Date(end).toISOString()}`);
}

async function byHours(ask: (hours: number) => Ask, times: number): Promise<Record<number, number>> {
  const found: Record<number, number> = {};
  for (const hours of [1, shape.hours]) found[hours] = await p95(ask(hours), times);
  return found;
}

async function p95(ask: Ask, times: number): Promise<number> {
  const took: number[] = [];
  for (let run = 0; run < times; run++) {
    const begin = performance.now();
    await ask();
    took.push(performance.now() - begin);
  }
  return percentile(took, 0.95);
}

async function text(url: string): Promise<string> {
  const answer = await fetch(url);
  const body = await answer.text();
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${body.slice(0, 300)}`);
  return body;
}

async function post(url: string, body: string): Promise<void> {
  const headers = { 'content-encoding': 'gzip' };
  const answer = await fetch(url, { method: 'POST', body: gzipSync(body, { level: 1 }), headers });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
}
