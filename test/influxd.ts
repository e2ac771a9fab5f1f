import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Influxd {
  url: string;
  pid: number;
  /** Ends it as a power cut would, or nearly so. */
  kill(): Promise<void>;
  /** Starts it again with the same data and port. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Whether tests with a real InfluxDB can run here. With AMBERWATCH_TEST_REQUIRE_SERVICES=1 they must. */
export function hasInfluxd(): boolean {
  const found = spawnSync('influxd', ['version']).status === 0;
  if (!found && process.env.AMBERWATCH_TEST_REQUIRE_SERVICES === '1') {
    throw new Error(
      'influxd is not installed and AMBERWATCH_TEST_REQUIRE_SERVICES=1; on Debian: apt-get install influxdb',
    );
  }
  return found;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts a real InfluxDB 1.x with a temporary folder on a free port. */
export async function startInfluxd(config = ''): Promise<Influxd> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-influxd-'));
  const [port, rpcPort] = [await freePort(), await freePort()];
  const file = join(folder, 'influxdb.conf');
  writeFileSync(
    file,
    `reporting-disabled = true
bind-address = "127.0.0.1:${rpcPort}"
[meta]
  dir = "${folder}/meta"
[data]
  dir = "${folder}/data"
  wal-dir = "${folder}/wal"
  index-version = "tsi1"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:${port}"
  log-enabled = false
${config}`,
  );
  const url = `http://127.0.0.1:${port}`;
  const start = async () => {
    const child = spawn('influxd', ['-config', file], { stdio: 'ignore' });
    await untilUp(url, child);
    return child;
  };
  let child = await start();
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  };
  return {
    url,
    pid: child.pid as number,
    kill,
    async restart() {
      child = await start();
    },
    async close() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function untilUp(url: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`influxd ended with ${child.exitCode}`);
    const up = await fetch(`${url}/ping`).then(
      (answer) => answer.status === 204,
      () => false,
    );
    if (up) return;
    await sleep(100);
  }
  throw new Error(`influxd did not answer at ${url} within 20 s`);
}
