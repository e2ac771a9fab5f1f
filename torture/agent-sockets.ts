import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../test/influxd.ts';
import {
  type Engine,
  engineNames,
  percentile,
  type Scenario,
  scaled,
  startEngine,
  temporaryFolder,
  until,
  type Verdict,
} from './scenario.ts';
import { ServerProcess } from './server-process.ts';
import { reportHosts, slowestShare } from './slow-sockets.ts';

const child = fileURLToPath(new URL('./hostile-agents-child.mjs', import.meta.url));

/** InfluxDB 1.6 takes tens of milliseconds for a hundred new series, and others wait while it does: 175 to 480 ms were seen. */
const mostMs = { DuckDB: 200, InfluxDB: 1000 };

/** A thousand agents that are slow, silent, loud, broken or gone again; and ten thousand that come and go. */
export const agentSockets: Scenario = {
  name: 'agent-sockets',
  behaviour: 'slow and hostile agents on TCP hold up nobody, and the number of those connected is exact',
  async run(scale) {
    const verdicts: Verdict[] = [];
    for (const name of engineNames) verdicts.push(...(await attack(name, scale)));
    return verdicts;
  },
};

async function attack(name: Engine['name'], scale: number): Promise<Verdict[]> {
  const engine = await startEngine(name);
  const tcpPort = await freePort();
  const tcp = ['--tcp', `127.0.0.1:${tcpPort}`, '--tcp-reply', 'ok\\n', '--tcp-client', 'address'];
  const server = await ServerProcess.start(engine.url, temporaryFolder(), ...tcp);
  const count = scaled(1000, scale);
  const hostile = spawn(process.execPath, [child, String(tcpPort), String(count)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(hostile.stdout, 'data');
  const tookMs = await reportHosts(server.url, Math.max(4, 20 * scale));
  const lost = await endAll(hostile, server.url);
  const visits = scaled(10_000, scale);
  const counted = await comeAndGo(server.url, tcpPort, visits);
  await server.stop('SIGTERM');
  await engine.close();
  const share = slowestShare(scale);
  const slow = percentile(tookMs, share);
  return [
    {
      promise: `${name}: slow and hostile agents hold up no PUT`,
      figure: `${count} agents; ${tookMs.length} PUTs beside them: p${share * 100} ${slow.toFixed(0)} ms, ${tookMs.filter((ms) => ms === Infinity).length} failed`,
      holds: slow <= mostMs[name],
    },
    {
      promise: `${name}: the number of connected agents is exact`,
      figure: `${lost} left after ${count} were cut off; ${visits} came and went while 25 stayed: ${counted.join(' and ')} counted, then 0`,
      holds: lost === 0 && counted.every((each) => each === 25),
    },
  ];
}

/** Cuts all of them off at once, and tells how many are counted when it is over. */
async function endAll(hostile: ChildProcess, url: string): Promise<number> {
  hostile.kill('SIGKILL');
  await once(hostile, 'exit');
  await until(async () => (await connected(url)) === 0, 10_000, 'that no agent is counted').catch(() => undefined);
  return connected(url);
}

async function comeAndGo(url: string, port: number, visits: number): Promise<number[]> {
  const staying = await Promise.all(Array.from({ length: 25 }, () => open(port)));
  const counted: number[] = [];
  for (let left = visits; left > 0; left -= 100) {
    const some = await Promise.all(Array.from({ length: Math.min(100, left) }, () => open(port)));
    for (const [index, socket] of some.entries()) leave(socket, index);
  }
  await until(async () => (await connected(url)) === 25, 10_000, 'that 25 are counted').catch(() => undefined);
  counted.push(await connected(url));
  await sleep(1500);
  counted.push(await connected(url));
  for (const socket of staying) socket.destroy();
  await until(async () => (await connected(url)) === 0, 10_000, 'that none is counted');
  return counted;
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined).resume();
  await once(socket, 'connect');
  return socket;
}

function leave(socket: Socket, index: number): void {
  if (index % 3 === 0) socket.write('{"cpu": 1}');
  if (index % 2 === 0) socket.destroy();
  else if (index % 5 === 0) socket.resetAndDestroy();
  else socket.end('{"cpu"');
}

/** As /metrics has it, which may be a second old. */
async function connected(url: string): Promise<number> {
  await sleep(1100);
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^clients_connected (\d+)$/m.exec(text)?.[1] ?? Number.NaN);
}
