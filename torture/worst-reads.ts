import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { MonitorClient } from '../src/client/monitor-client.ts';
import { getJson } from '../test/e2e/program.ts';
import { makeForecast } from '../test/make-forecast.ts';
import { makeSnapshot } from '../test/make-snapshot.ts';
import { floodFuture } from './future-flood.ts';
import { bodyOf, gzipBody } from './made-snapshots.ts';
import { residentMiB } from './measure.ts';
import { seededRandom } from './random.ts';
import { percentile, type Scenario, scaled, temporaryFolder, until, type Verdict } from './scenario.ts';
import { ServerProcess } from './server-process.ts';
import { openQuietly } from './stored-times.ts';

const hosts = 50;
const processes = 300;
const minuteMs = 60_000;
const dayMs = 86_400_000;
const atOnce = 20;
const forecastDays = 31;
const forecastSeries = 200;
const idleMs = 60_000;
/** Before each of them is asked, the others are over. */
const settleMs = 2000;
const liveTraffic = fileURLToPath(new URL('live-traffic.ts', import.meta.url));

/** What may be asked that costs most, each with what is asked before it. */
const worst = (now: number): Record<string, string> => ({
  'detailed, 50,000 rows of a year': '/v1/usage/detailed?window=366d&limit=50000',
  'detailed, a name nobody has had for long': '/v1/usage/detailed?window=366d&limit=50000&process=rare',
  'mean of a year, all names': '/v1/usage/mean?window=366d&top=0',
  'mean of two days, one address': '/v1/usage/mean/10.0.0.7?window=2d',
  'series of a year': '/v1/series?window=366d&step=1h&host=host-11&process=process-7&metric=cpuMax',
  'analysis of 3,000 steps': '/v1/series/analysis?window=50h&step=1m&host=host-11&process=process-7&metric=cpuMax',
  'accuracy of 31 days': '/v1/forecasts/accuracy?window=31d',
  'accuracy of 31 days, one host': '/v1/forecasts/accuracy?window=31d&host=host-11',
  'alarms of an hour ago': `/v1/alarms?at=${new Date(now - 3_600_000).toISOString()}`,
  'alarms now': '/v1/alarms',
  hosts: '/v1/hosts',
  metrics: '/metrics',
  forecasts: '/v1/forecasts',
  'get-all': '/ressources-usage/get-all',
  'get-all-detailed': '/ressources-usage/get-all-detailed',
});

/** Every request that costs a lot, twenty at once, beside 50 hosts that report every second. */
export const worstReads: Scenario = {
  name: 'worst-reads',
  behaviour: 'the dearest requests keep no writer waiting',
  async run(scale) {
    const folder = temporaryFolder();
    const url = `duckdb:${join(folder, 'a.db')}`;
    const rows = await fill(url, scale);
    const server = await ServerProcess.start(url, folder, '--retention', '400d');
    const pid = server.pid;
    await untilSummedUp(server.url);
    const base = await restingMiB(pid, scale);
    const memory = { most: base };
    const watch = setInterval(() => {
      memory.most = Math.max(memory.most, residentMiB(pid));
    }, 100);
    const live = new Live(server.url, settleMs * Math.max(0.1, scale));
    const putMs: number[] = [];
    let slowest = 0;
    for (const [name, path] of Object.entries(worst(Date.now()))) {
      const wave = await live.beside(() => reads(server.url + path));
      report(name, wave, memory.most - base);
      putMs.push(...wave.putMs);
      slowest = Math.max(slowest, ...wave.answers.map(({ tookMs }) => tookMs));
    }
    const mixed = await live.beside(async () => {
      const backlog = sleep(200).then(() => putBacklog(server.url));
      return [...(await reads(`${server.url}/v1/usage/mean?window=2d`)), await backlog];
    });
    report('means of two days, and a backlog of old times', mixed, memory.most - base);
    const streams = await live.beside(() =>
      unreadStreams(server.url, scaled(1000, scale), 20_000 * Math.max(0.1, scale)),
    );
    report('event streams that nobody reads', streams, memory.most - base);
    putMs.push(...mixed.putMs, ...streams.putMs);
    await live.end();
    const after = await restingMiB(pid, scale);
    clearInterval(watch);
    await server.stop('SIGTERM');
    return [
      ...verdicts(rows, putMs, slowest, { base, most: memory.most, after }, scale),
      await floodFuture(url, folder, scale),
    ];
  },
};

/** The least of the second half of a minute: each minute forecasts are made, and what they read is given back 20 s later. */
async function restingMiB(pid: number, scale: number): Promise<number> {
  await sleep(scaled(idleMs / 2, scale));
  let least = residentMiB(pid);
  for (let second = 0; second < scaled(idleMs / 2000, scale); second++) {
    await sleep(1000);
    least = Math.min(least, residentMiB(pid));
  }
  return least;
}

function verdicts(
  rows: number,
  putMs: readonly number[],
  slowest: number,
  { base, most, after }: { base: number; most: number; after: number },
  scale: number,
): Verdict[] {
  const [p99, max] = [percentile(putMs, 0.99), Math.max(...putMs)];
  return [
    {
      promise: `${atOnce} of each of the dearest requests at once: whoever writes does not wait for whoever reads`,
      figure: `${rows} rows; ${putMs.length} PUTs meanwhile, p99 ${p99.toFixed(0)} ms, the slowest ${max.toFixed(0)} ms`,
      holds: p99 <= 500 && max <= 2000,
    },
    {
      promise: 'every one of them is answered or refused within 15 s',
      figure: `the slowest after ${(slowest / 1000).toFixed(1)} s`,
      holds: slowest <= 15_000,
    },
    {
      promise: 'they cost at most 400 MiB of memory, and give it back',
      figure: `RSS ${base} MiB before, at most ${most}, ${after} a minute after`,
      // In small nobody waits until it is given back.
      holds: most - base <= 400 && (after - base <= 100 || scale < 1),
    },
  ];
}

interface Answer {
  status: number;
  tookMs: number;
  bytes: number;
}
interface Wave {
  answers: Answer[];
  putMs: number[];
}

function report(name: string, { answers, putMs }: Wave, grownMiB: number): void {
  const statuses = new Map<number, number>();
  for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  const took = answers.map(({ tookMs }) => tookMs);
  const said = [...statuses].map(([status, count]) => `${count} x ${status}`).join(', ');
  process.stdout.write(
    `        ${name}: ${said}, median ${percentile(took, 0.5).toFixed(0)} ms, slowest ${Math.max(...took).toFixed(0)} ms, ${Math.round(Math.max(...answers.map(({ bytes }) => bytes)) / 1024)} KiB; ${putMs.length} PUTs p99 ${percentile(putMs, 0.99).toFixed(0)} ms, max ${Math.max(...putMs).toFixed(0)} ms; RSS +${grownMiB} MiB\n`,
  );
}

/** Minutes of 50 hosts up to now, and a month of forecasts. */
async function fill(url: string, scale: number): Promise<number> {
  const store = await openQuietly(url, 400 * dayMs);
  const random = seededRandom(9);
  const now = Math.floor(Date.now() / minuteMs) * minuteMs;
  const snapshots = scaled(1340, scale);
  for (let ago = snapshots; ago > 0; ago--) {
    await store.append({
      snapshots: Array.from({ length: hosts }, (_, h) =>
        makeSnapshot({
          host: `host-${h}`,
          ip: `10.0.0.${h}`,
          intervalMs: minuteMs,
          time: now - ago * minuteMs,
          processes: Array.from({ length: processes }, (_, i) => ({
            name: i === 0 && ago === snapshots ? 'rare' : `process-${i}`,
            cpu: random() < 0.7 ? 0 : Math.round(random() * 400) / 10,
            memory: Math.round(random() * 1000) / 100,
            rssBytes: Math.floor(random() * 1e9),
            pid: 1000 + i,
          })),
        }),
      ),
    });
  }
  const steps = scaled(forecastDays * 1440, scale);
  for (let ago = steps; ago > 0; ago--) {
    await store.append({
      forecasts: Array.from({ length: forecastSeries }, (_, i) => {
        const isOver = (ago + i * 37) % 600 < 5;
        const probability = isOver ? null : random() ** 3;
        return makeForecast({
          time: now - ago * minuteMs,
          host: `host-${i % hosts}`,
          process: `process-${1 + Math.floor(i / hosts)}`,
          value: isOver ? 90 : 50,
          probability,
          amberSince: (probability ?? 0) > 0.8 ? now - ago * minuteMs : null,
        });
      }),
    });
  }
  await store.close();
  return snapshots * hosts * processes;
}

/** All hosts report every second, from a process of its own. */
class Live {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #settleMs: number;

  constructor(url: string, settleMs: number) {
    const args = ['--import', 'tsx', liveTraffic, url, String(hosts), String(processes), '1000'];
    this.#child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#settleMs = settleMs;
  }

  /** Does something meanwhile; what was before it is not counted. */
  async beside(work: () => Promise<Answer[]>): Promise<Wave> {
    await sleep(this.#settleMs);
    await this.#lap('lap');
    await sleep(this.#settleMs);
    const answers = await work();
    return { answers, putMs: await this.#lap('lap') };
  }

  async end(): Promise<void> {
    await this.#lap('end');
  }

  async #lap(line: string): Promise<number[]> {
    this.#child.stdin.write(`${line}\n`);
    const { value } = await this.#lines.next();
    return (JSON.parse(value) as number[]).map((ms) => (ms < 0 ? Number.POSITIVE_INFINITY : ms));
  }
}

async function reads(url: string): Promise<Answer[]> {
  const agent = new Agent({ connections: atOnce, headersTimeout: 200_000, bodyTimeout: 200_000 });
  const answers = await Promise.all(Array.from({ length: atOnce }, () => read(url, agent)));
  await agent.close();
  return answers;
}

async function read(url: string, dispatcher: Agent): Promise<Answer> {
  const begin = performance.now();
  let [status, bytes] = [0, 0];
  try {
    const { statusCode, body } = await request(url, { dispatcher });
    for await (const chunk of body) bytes += chunk.length;
    status = statusCode;
  } catch {
    // 0: no answer, or not all of it.
  }
  return { status, tookMs: performance.now() - begin, bytes };
}

/** Of hours ago: what is stored of then has to be looked up. */
async function putBacklog(url: string): Promise<Answer> {
  const client = new MonitorClient(url);
  const from = Date.now() - 10 * 3_600_000;
  const body = Array.from({ length: 20 }, (_, i) => bodyOf('host-3', from + i * 10_000, processes));
  const begin = performance.now();
  const { status } = await client.put('/v1/usage', gzipBody(body), Date.now());
  await client.close();
  return { status: status ?? 0, tookMs: performance.now() - begin, bytes: 0 };
}

/** Listeners that take nothing in. */
async function unreadStreams(url: string, count: number, lastingMs: number): Promise<Answer[]> {
  const { hostname, port } = new URL(url);
  const sockets = Array.from({ length: count }, () => {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write(`GET /v1/alarms/stream HTTP/1.1\r\nhost: ${hostname}:${port}\r\n\r\n`);
    socket.pause();
    return socket;
  });
  const begin = performance.now();
  await sleep(lastingMs / 10);
  const answers = [...(await reads(`${url}/v1/alarms`)), ...(await reads(`${url}/v1/hosts`))];
  await sleep(Math.max(0, lastingMs - (performance.now() - begin)));
  for (const socket of sockets as Socket[]) socket.destroy();
  return answers;
}

/** The hours of forecasts from before the start. */
async function untilSummedUp(url: string): Promise<void> {
  const isDone = async () => {
    const { to } = await getJson<{ to: string }>(`${url}/v1/forecasts/accuracy?window=31d`);
    return Date.now() - Date.parse(to) < 7_200_000;
  };
  await until(isDone, 900_000, 'the sums of all hours');
}
