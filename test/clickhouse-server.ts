import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './influxd.ts';

export interface ClickHouseServer {
  /** `http://127.0.0.1:port` */
  url: string;
  pid: number;
  /** Ends it as a power cut would, or nearly so. */
  kill(): Promise<void>;
  /** Starts it again with the same data and ports. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Whether tests with a real ClickHouse can run here. With AMBERWATCH_TEST_REQUIRE_SERVICES=1 they must. */
export function hasClickHouse(): boolean {
  const found = spawnSync('sh', ['-c', 'command -v clickhouse-server']).status === 0;
  if (!found && process.env.AMBERWATCH_TEST_REQUIRE_SERVICES === '1') {
    throw new Error(
      'clickhouse-server is not installed and AMBERWATCH_TEST_REQUIRE_SERVICES=1; on Debian: apt-get install clickhouse-server',
    );
  }
  return found;
}

/** Starts a real ClickHouse with a temporary folder on free ports. */
export async function startClickHouse(): Promise<ClickHouseServer> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-clickhouse-'));
  mkdirSync(join(folder, 'data'));
  const [http, tcp, between] = [await freePort(), await freePort(), await freePort()];
  const file = join(folder, 'config.xml');
  writeFileSync(join(folder, 'users.xml'), users);
  writeFileSync(
    file,
    `<yandex>
  <logger><level>warning</level><log>${folder}/log</log><errorlog>${folder}/errors</errorlog></logger>
  <listen_host>127.0.0.1</listen_host><http_port>${http}</http_port><tcp_port>${tcp}</tcp_port>
  <interserver_http_port>${between}</interserver_http_port><interserver_http_host>127.0.0.1</interserver_http_host>
  <path>${folder}/data/</path><tmp_path>${folder}/data/tmp/</tmp_path><users_config>${folder}/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <mark_cache_size>268435456</mark_cache_size><timezone>UTC</timezone>
</yandex>`,
  );
  const url = `http://127.0.0.1:${http}`;
  const start = async () => {
    const child = spawn('clickhouse-server', [`--config-file=${file}`], { stdio: 'ignore' });
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

const users = `<yandex>
  <profiles><default><max_memory_usage>2000000000</max_memory_usage></default></profiles>
  <users><default>
    <password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
  </default></users>
  <quotas><default></default></quotas>
</yandex>`;

async function untilUp(url: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`clickhouse-server ended with ${child.exitCode}`);
    const up = await fetch(`${url}/ping`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (up) return;
    await sleep(100);
  }
  throw new Error(`clickhouse-server did not answer at ${url} within 20 s`);
}
