import { setTimeout as sleep } from 'node:timers/promises';
import { MonitorClient } from '../src/client.ts';
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

const intervalMs = 30_000;
const backlogMs = 3_600_000;
const processes = 300;
/** InfluxDB takes a tenth of what DuckDB does: it gets fewer hosts, and the same two bars. */
const hostsOf = { DuckDB: 200, InfluxDB: 25 };

/** All hosts come back with an hour of snapshots while they go on reporting. */
export const backlog: Scenario = {
  name: 'backlog',
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
  const live = new LiveTraffic(server.url, hosts);
  const begin = performance.now();
  const log = { info: () => undefined, warn: () => undefined };
  const senders = spools.map((spool) => {
    const client = new MonitorClient(server.url);
    return new Sender({ spool, client, clock: realClock, random: Math.random, log });
  });
  for (const sender of senders) sender.start();
  while (spools.some((spool) => spool.counts.spooled > 0)) await sleep(50);
  const tookMs = performance.now() - begin;
  const liveMs = await live.stop();
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

/** Each host reports every 10 s, spread evenly. */
class LiveTraffic {
  readonly #client: MonitorClient;
  readonly #running: Promise<unknown>;
  readonly #tookMs: number[] = [];
  #stopped = false;

  constructor(url: string, hosts: number) {
    this.#client = new MonitorClient(url);
    this.#running = this.#run(hosts);
  }

  async #run(hosts: number): Promise<void> {
    const under: Promise<void>[] = [];
    for (let i = 0; !this.#stopped; i++) {
      under.push(this.#put(`live-${i % hosts}`));
      await sleep(10_000 / hosts);
    }
    await Promise.all(under);
  }

  async #put(host: string): Promise<void> {
    const body = gzipBody(bodyOf(host, Date.now(), processes));
    const begin = performance.now();
    const { status } = await this.#client.put('/v1/usage', body, Date.now());
    this.#tookMs.push(status === 204 ? performance.now() - begin : Infinity);
  }

  async stop(): Promise<number[]> {
    this.#stopped = true;
    await this.#running;
    await this.#client.close();
    return this.#tookMs;
  }
}
