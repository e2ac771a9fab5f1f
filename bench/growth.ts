import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from './child.ts';
import { cpuSeconds } from './cpu-seconds.ts';
import { Program } from './program.ts';
import { type Figure, percentile, report } from './report.ts';

/** How long each fleet reports; what comes first is no part of the figures. */
const minutes = { 100: 6, 300: 6, 1000: 20 };
const warmUpMs = 60_000;
const processes = 300;
const intervalSeconds = 10;
const askedEveryMs = 5000;

type Hosts = keyof typeof minutes;

interface Carried {
  hosts: number;
  /** Of the server, for a million rows. */
  cpuSeconds: number;
  cores: number;
  mostMiB: number;
  p50Ms: number;
  p99Ms: number;
  alarmsMs: number;
  forecastsMs: number;
}

/**
 * A fleet that grows, all of it against one server over HTTP, as its collectors would send it, while an alerter asks for
 * the alarms and the forecaster runs.
 */
export async function benchGrowth(): Promise<void> {
  const all: Carried[] = [];
  for (const hosts of Object.keys(minutes).map(Number) as Hosts[]) all.push(await carry(hosts));
  const [first, last] = [all[0] as Carried, all.at(-1) as Carried];
  report(`growth: hosts with ${processes} processes every ${intervalSeconds} s, one server, DuckDB`, [
    ...all.flatMap(figuresOf),
    {
      name: `processor time of a row, ${last.hosts} hosts`,
      value: last.cpuSeconds,
      unit: 's a million',
      reference: { name: `${first.hosts} hosts`, value: first.cpuSeconds, unit: 's a million' },
      bar: { is: 'at most', value: 1.15, of: 'ratio' },
    },
    { name: 'hosts that one core carries', value: last.hosts / last.cores, unit: 'hosts' },
  ]);
}

function figuresOf({ hosts, ...carried }: Carried): Figure[] {
  const figure = (name: string, value: number, unit: string) => ({ name: `${hosts} hosts: ${name}`, value, unit });
  return [
    figure('processor time of a million rows', carried.cpuSeconds, 's'),
    figure('of a core', carried.cores * 100, '%'),
    figure('most RSS', carried.mostMiB, 'MiB'),
    figure('PUT p50', carried.p50Ms, 'ms'),
    figure('PUT p99', carried.p99Ms, 'ms'),
    figure('alarms p95', carried.alarmsMs, 'ms'),
    figure('forecasts p95', carried.forecastsMs, 'ms'),
  ];
}

async function carry(hosts: Hosts): Promise<Carried> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const server = new Program('serve', '--data', folder, '--listen', '127.0.0.1:0');
  try {
    return await carried(server, hosts);
  } finally {
    await server.end();
    rmSync(folder, { recursive: true });
  }
}

async function carried(server: Program, hosts: Hosts): Promise<Carried> {
  const url = await server.url();
  const seconds = minutes[hosts] * 60;
  const perSecond = hosts / intervalSeconds;
  const shape = { port: Number(new URL(url).port), path: '/v1/usage', format: 'gzip', hosts, processes, batch: 1 };
  const load = Child.script(
    'load.ts',
    JSON.stringify({ ...shape, connections: hosts, perSecond, seconds, isLive: true }),
  );
  await load.line();
  const [watched, said] = await Promise.all([watch(server, url, seconds), load.ask('go')]);
  const result = JSON.parse(said) as Record<'requests' | 'errors' | 'p50Ms' | 'p99Ms', number>;
  if (result.errors > 0) throw new Error(`${result.errors} of ${result.requests} requests were refused`);
  const { cpu, measuredSeconds, ...most } = watched;
  const rows = measuredSeconds * perSecond * processes;
  const { p50Ms, p99Ms } = result;
  return { hosts, p50Ms, p99Ms, cpuSeconds: (cpu / rows) * 1e6, cores: cpu / measuredSeconds, ...most };
}

async function watch(server: Program, url: string, seconds: number) {
  await sleep(warmUpMs);
  const [begin, cpu] = [performance.now(), cpuSeconds(server.pid)];
  const asked: Record<'alarms' | 'forecasts', number[]> = { alarms: [], forecasts: [] };
  let mostMiB = 0;
  while (performance.now() - begin < seconds * 1000 - warmUpMs - askedEveryMs) {
    for (const what of ['alarms', 'forecasts'] as const) asked[what].push(await timeOf(`${url}/v1/${what}`));
    mostMiB = Math.max(mostMiB, server.residentMiB());
    await sleep(askedEveryMs);
  }
  return {
    cpu: cpuSeconds(server.pid) - cpu,
    measuredSeconds: (performance.now() - begin) / 1000,
    mostMiB,
    alarmsMs: percentile(asked.alarms, 0.95),
    forecastsMs: percentile(asked.forecasts, 0.95),
  };
}

async function timeOf(url: string): Promise<number> {
  const begin = performance.now();
  const answer = await fetch(url);
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return performance.now() - begin;
}
