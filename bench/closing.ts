import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from '../src/store/open.ts';
import { Child } from './child.ts';
import { percentile, report } from './report.ts';
import { syntheticSnapshot } from './synthetic.ts';

const hourMs = 3_600_000;
const stepMs = 10_000;
const shape = { hosts: 50, processes: 300, hours: 3 };
/** Of `load.ts`: ten times as often as 50 hosts send, so that there are enough for a 99th percentile. */
const load = { connections: 50, hosts: 50, processes: 300, perSecond: 50, format: 'gzip', path: '/v1/usage', batch: 1 };
const seconds = 20;

interface Answers {
  putP99Ms: number;
  readMs: number[];
  mostMiB: number;
}

/** What whoever writes and reads notices of hours that are closed meanwhile. */
export async function benchClosing(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  try {
    const path = join(folder, 'bench.db');
    await fill(path);
    const server = Child.script('server.ts', `duckdb:${path}`, '600000', 'by-hand');
    const port = Number(await server.line());
    await answersOf(server, port, 5);
    const quiet = await answersOf(server, port, seconds);
    const begin = performance.now();
    let closedMs = 0;
    const closed = server.ask('close').then(() => {
      closedMs = performance.now() - begin;
    });
    const meanwhile = await answersOf(server, port, seconds);
    await closed;
    await server.end();
    const beside = (value: number, unit: string) => ({ reference: { name: 'while nothing is closed', value, unit } });
    const [meanwhileP95, quietP95] = [percentile(meanwhile.readMs, 0.95), percentile(quiet.readMs, 0.95)];
    const twice = { is: 'at most', value: 2, of: 'ratio' } as const;
    report(`closing ${shape.hours} h of ${shape.hosts} hosts x ${shape.processes} while 50 PUT/s come in`, [
      { name: 'it takes', value: closedMs / 1000, unit: 's' },
      {
        name: `PUT p99 in ${seconds} s of it`,
        value: meanwhile.putP99Ms,
        unit: 'ms',
        ...beside(quiet.putP99Ms, 'ms'),
        bar: twice,
      },
      { name: 'mean, one host, alarms: p95', value: meanwhileP95, unit: 'ms', ...beside(quietP95, 'ms'), bar: twice },
      {
        name: 'RSS above that of before',
        value: meanwhile.mostMiB - quiet.mostMiB,
        unit: 'MiB',
        bar: { is: 'at most', value: 150, of: 'value' },
      },
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Hours that are over by the next. */
async function fill(path: string): Promise<void> {
  const store = await openStore(`duckdb:${path}`, { retentionMs: 96 * hourMs, warn: () => undefined });
  const end = Math.floor(Date.now() / hourMs) * hourMs;
  for (let time = end - shape.hours * hourMs; time < end; time += stepMs) {
    const of = (_: unknown, host: number) => syntheticSnapshot(host, time, Math.floor(time / 1000), shape.processes);
    await store.append({ snapshots: Array.from({ length: shape.hosts }, of) });
  }
  await store.close();
}

async function answersOf(server: Child, port: number, forSeconds: number): Promise<Answers> {
  const options = { ...load, port, seconds: forSeconds, isLive: true };
  const child = Child.script('load.ts', JSON.stringify(options));
  await child.line();
  const ended = child.ask('go');
  const readMs: number[] = [];
  let mostMiB = 0;
  const until = performance.now() + forSeconds * 1000;
  while (performance.now() < until)
    for (const path of ['/v1/usage/mean', '/v1/usage/mean?host=host-7', '/v1/alarms']) {
      readMs.push(await msOf(`http://127.0.0.1:${port}${path}`));
      mostMiB = Math.max(mostMiB, residentMiB(server.process.pid as number));
    }
  const { p99Ms, errors } = JSON.parse(await ended) as { p99Ms: number; errors: number };
  if (errors > 0) throw new Error(`${errors} PUTs were refused`);
  return { putP99Ms: p99Ms, readMs, mostMiB };
}

async function msOf(url: string): Promise<number> {
  const begin = performance.now();
  const answer = await fetch(url);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${text.slice(0, 200)}`);
  return performance.now() - begin;
}

function residentMiB(pid: number): number {
  const [, pages] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ');
  return (Number(pages) * 4096) / 2 ** 20;
}
