import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { MonitorClient } from '../src/client/monitor-client.ts';
import { bodyOf, gzipBody } from './made-snapshots.ts';
import { type Engine, engineNames, percentile, type Scenario, scaled, startEngine, type Verdict } from './scenario.ts';
import { ServerProcess } from './server-process.ts';

const hosts = 20;

/** Connections that send their request a byte at a time; the server must not wait for them, nor at its end. */
export const slowSockets: Scenario = {
  name: 'slow-sockets',
  behaviour: 'slow connections hold up nobody',
  async run(scale) {
    const attackOn = (name: Engine['name']) => attack(name, scaled(500, scale), scale);
    // Whole, each has the machine for itself; in small, they only wait.
    if (scale < 1) return (await Promise.all(engineNames.map(attackOn))).flat();
    const verdicts: Verdict[] = [];
    for (const name of engineNames) verdicts.push(...(await attackOn(name)));
    return verdicts;
  },
};

async function attack(name: Engine['name'], count: number, scale: number): Promise<Verdict[]> {
  const engine = await startEngine(name);
  const server = await ServerProcess.start(engine.url);
  const sockets = Array.from({ length: count }, (_, i) => new SlowSocket(Number(new URL(server.url).port), i));
  await sleep(1000);
  const tookMs = await reportHosts(server.url, Math.max(4, 20 * scale));
  for (let i = 0; i < 450 && sockets.some((socket) => socket.isOpen); i++) await sleep(100);
  const left = sockets.filter((socket) => socket.isOpen).length;
  for (const socket of sockets) socket.close();
  const again = Array.from({ length: count }, (_, i) => new SlowSocket(Number(new URL(server.url).port), i));
  const underLoad = reportHosts(server.url, 3);
  await sleep(1500);
  const begin = performance.now();
  const code = await server.stop('SIGTERM');
  const stopMs = performance.now() - begin;
  await underLoad;
  for (const socket of again) socket.close();
  await engine.close();
  const share = slowestShare(scale);
  const slow = percentile(tookMs, share);
  return [
    {
      promise: `${name}: slow connections hold up nobody, and are cut`,
      figure: `${count} slow sockets; ${tookMs.length} PUTs of ${hosts} hosts beside them: p${share * 100} ${slow.toFixed(0)} ms, ${tookMs.filter((ms) => ms === Infinity).length} failed; ${left} slow ones open at the end`,
      holds: slow <= mostMs(scale) && left === 0,
    },
    {
      promise: `${name}: the server stops within 5 s under load`,
      figure: `SIGTERM with ${count} slow sockets and ${hosts} hosts sending: exit ${code} after ${(stopMs / 1000).toFixed(1)} s`,
      holds: stopMs <= 5000 && code === 0,
    },
  ];
}

/**
 * In small both engines are attacked at once, beside whatever else the machine does: a PUT took 20 to 380 ms there, also
 * without any slow socket of note. Held up by one it would take seconds.
 */
function mostMs(scale: number): number {
  return scale < 1 ? 1000 : 200;
}

/** Of the few PUTs of a small run p99 is the slowest one or two, and whatever else the machine did in that moment. */
export function slowestShare(scale: number): number {
  return scale < 1 ? 0.95 : 0.99;
}

/** Twenty hosts, each a snapshot every half second; how long each took, in ms, and for ever where it was refused. */
export async function reportHosts(url: string, seconds: number): Promise<number[]> {
  const client = new MonitorClient(url);
  const tookMs: number[] = [];
  const put = async (host: string) => {
    const body = gzipBody(bodyOf(host, Date.now(), 300));
    const begin = performance.now();
    const { status } = await client.put('/v1/usage', body, Date.now());
    tookMs.push(status === 204 ? performance.now() - begin : Infinity);
  };
  const under: Promise<void>[] = [];
  for (let i = 0; i < seconds * hosts * 2; i++) {
    under.push(put(`host-${i % hosts}`));
    await sleep(500 / hosts);
  }
  await Promise.all(under);
  await client.close();
  return tookMs;
}

/** A byte every half second: of the head, of a small body, or of one that claims to be large. */
class SlowSocket {
  isOpen = true;
  readonly #socket: Socket;
  readonly #drip: NodeJS.Timeout;

  constructor(port: number, index: number) {
    this.#socket = connect(port, '127.0.0.1');
    const length = index % 3 === 1 ? 5000 : 500_000;
    const head = `PUT /v1/usage HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n`;
    this.#socket.write(index % 3 === 0 ? head : `${head}content-length: ${length}\r\n\r\n{`);
    this.#drip = setInterval(() => this.#socket.write('x'), 500);
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.close());
    this.#socket.resume();
  }

  close(): void {
    this.isOpen = false;
    clearInterval(this.#drip);
    this.#socket.destroy();
  }
}
