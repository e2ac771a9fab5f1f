import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MonitorClient } from '../src/client/monitor-client.ts';
import { FolderDisk } from '../src/collector/disk.ts';
import { Sender } from '../src/collector/sender.ts';
import { Spool, spoolLimits } from '../src/collector/spool.ts';
import { realClock } from './in-process-server.ts';
import { bodyOf, gzipBody } from './made-snapshots.ts';
import {
  type Engine,
  engineNames,
  percentile,
  type Scenario,
  scaled,
  startEngine,
  temporaryFolder,
  type Verdict,
} from './scenario.ts';
import { ServerProcess } from './server-process.ts';
import { openQuietly, storedTimes } from './stored-times.ts';

const intervalMs = 10_000;
const backlogMs = 3_600_000;
const processes = 300;
const liveTraffic = fileURLToPath(new URL('live-traffic.ts', import.meta.url));
/** InfluxDB takes a tenth of what DuckDB does: it gets fewer hosts, and the same two bars. */
const hostsOf = { DuckDB: 200, InfluxDB: 25 };

/** All hosts come back with an hour of snapshots while they go on reporting. */
export const backlog: Scenario = {
  name: 'backlog',
  behaviour: 'a backlog is made up for, and live snapshots do not wait for it',
  async run(scale) {
    const verdicts: Verdict[] = [];
    for (const name of engineNames) verdicts.push(await drain(name, scaled(hostsOf[name], scale)));
    return verdicts;
  },
};

async function drain(name: Engine['name'], hosts: number): Promise<Verdict> {
  const engine = await startEngine(name);
  const server = await ServerProcess.start(engine.url);
  const now = Date.now();
  const spools = await Promise.all(Array.from({ length: hosts }, (_, i) => fillSpool(`host-${i}`, now)));
  const count = spools.reduce((sum, spool) => sum + spool.counts.spooled, 0);
  const endLive = startLiveTraffic(server.url, hosts);
  await sleep(3000);
  const begin = performance.now();
  const log = { info: () => undefined, warn: () => undefined };
  const senders = spools.map((spool) => {
    const client = new MonitorClient(server.url);
    return new Sender({ spool, client, clock: realClock, random: Math.random, log });
  });
  for (const sender of senders) sender.start();
  while (spools.some((spool) => spool.counts.spooled > 0)) await sleep(50);
  const tookMs = performance.now() - begin;
  const liveMs = await endLive();
  for (const sender of senders) await sender.close(100);
  await server.stop('SIGTERM');
  const store = await openQuietly(engine.url);
  const stored = await storedTimes(store, 'host-0', 'process-1');
  await store.close();
  await engine.close();
  const speed = backlogMs / tookMs;
  const p99 = percentile(liveMs, 0.99);
  return {
    promise: `${name}: a backlog is made up for at ten times real time or more, and live snapshots do not wait`,
    figure: `${hosts} hosts x 60 min (${count} snapshots of ${processes} processes) in ${(tookMs / 1000).toFixed(0)} s: ${speed.toFixed(0)}x real time; ${liveMs.length} live PUTs meanwhile, p99 ${p99.toFixed(0)} ms; ${stored.times.size} of ${backlogMs / intervalMs} of a host stored, ${stored.repeated} twice`,
    holds: speed >= 10 && p99 <= 500 && stored.times.size === backlogMs / intervalMs && stored.repeated === 0,
  };
}

async function fillSpool(host: string, now: number): Promise<Spool> {
  const spool = await Spool.open(new FolderDisk(temporaryFolder()), spoolLimits(intervalMs));
  for (let ago = backlogMs; ago > 0; ago -= intervalMs)
    await spool.put(now - ago, gzipBody(bodyOf(host, now - ago, processes)));
  return spool;
}

/** @returns how to end it, with the milliseconds that each PUT took */
function startLiveTraffic(url: string, hosts: number): () => Promise<number[]> {
  const child = spawn(process.execPath, ['--import', 'tsx', liveTraffic, url, String(hosts), String(processes)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return async () => {
    child.stdin.write('end\n');
    const [line] = await once(child.stdout, 'data');
    return (JSON.parse(String(line)) as number[]).map((ms) => (ms < 0 ? Infinity : ms));
  };
}
