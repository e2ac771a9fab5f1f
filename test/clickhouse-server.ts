import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './influxd.ts';

export interface ClickHouseServer {
  /** `http://127.0.0.1:port` */
  url: string;
  /** For clickhouse-client; 0: it has none. */
  tcpPort: number;
  /** Of the process that runs now. */
  pid(): number;
  /** Ends it as a power cut would, or nearly so. */
  kill(): Promise<void>;
  /** Starts it again with the same data and ports. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface ClickHouseCluster {
  /** Of the cluster `replicated`, or `divided`. */
  replicas: [ClickHouseServer, ClickHouseServer];
  /** `h1,h2` as in the URL of a store. */
  hosts: string;
  close(): Promise<void>;
}

interface Ports {
  http: number;
  tcp: number;
  between: number;
}

/** Whether tests with a real ClickHouse can run here. With AMBERWATCH_TEST_REQUIRE_SERVICES=1 they must. */
export function hasClickHouse(): boolean {
  return isThere('command -v clickhouse-server', 'clickhouse-server');
}

/** Whether tests with two replicas can run here: they need a ZooKeeper. */
export function hasClickHouseCluster(): boolean {
  return hasClickHouse() && isThere(`command -v java && test -f ${zooKeeperJar}`, 'zookeeper');
}

function isThere(command: string, debianPackage: string): boolean {
  const found = spawnSync('sh', ['-c', command]).status === 0;
  if (!found && process.env.AMBERWATCH_TEST_REQUIRE_SERVICES === '1')
    throw new Error(
      `${debianPackage} is not installed and AMBERWATCH_TEST_REQUIRE_SERVICES=1; on Debian: apt-get install ${debianPackage}`,
    );
  return found;
}

/** Where somebody has installed the npm package chdb, today's engine as a library; it is too large to be installed for all. */
export const chdbFolder = process.env.AMBERWATCH_TEST_CHDB;

/** Today's engine behind as much of its HTTP interface as is needed. */
export async function startTodaysClickHouse(): Promise<ClickHouseServer> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-chdb-'));
  const port = await freePort();
  const front = fileURLToPath(new URL('./chdb-front.mjs', import.meta.url));
  const start = () => spawn('node', [front, chdbFolder ?? '', join(folder, 'data'), String(port)], { stdio: 'ignore' });
  return started(folder, `http://127.0.0.1:${port}`, 0, start);
}

/** Starts a real ClickHouse with a temporary folder on free ports. */
export async function startClickHouse(): Promise<ClickHouseServer> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-clickhouse-'));
  return startServer(folder, await freePorts(), '');
}

/** Two of one cluster, with a ZooKeeper between them: replicas of each other, or a shard each. */
export async function startClickHouseCluster(how: 'replicated' | 'divided' = 'replicated'): Promise<ClickHouseCluster> {
  const keeper = await startZooKeeper();
  const ports = [await freePorts(), await freePorts()] as const;
  const peers = ports.map(({ tcp }) => `<replica><host>127.0.0.1</host><port>${tcp}</port></replica>`);
  const shards = how === 'replicated' ? [peers.join('')] : peers;
  const cluster = shards
    .map((own) => `<shard><internal_replication>true</internal_replication>${own}</shard>`)
    .join('');
  const replicas = await Promise.all(
    ports.map((own, index) => {
      const folder = mkdtempSync(join(tmpdir(), 'amberwatch-clickhouse-'));
      return startServer(
        folder,
        own,
        `<zookeeper><node><host>127.0.0.1</host><port>${keeper.port}</port></node><session_timeout_ms>3000</session_timeout_ms></zookeeper>
        <macros><shard>${how === 'divided' ? index + 1 : 1}</shard><replica>r${index + 1}</replica></macros>
        <remote_servers><${how}>${cluster}</${how}></remote_servers>
        <distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>`,
      );
    }),
  );
  return {
    replicas: replicas as [ClickHouseServer, ClickHouseServer],
    hosts: replicas.map(({ url }) => url.slice('http://'.length)).join(','),
    async close() {
      for (const each of replicas) await each.close();
      await keeper.close();
    },
  };
}

async function freePorts(): Promise<Ports> {
  return { http: await freePort(), tcp: await freePort(), between: await freePort() };
}

async function startServer(folder: string, { http, tcp, between }: Ports, more: string): Promise<ClickHouseServer> {
  mkdirSync(join(folder, 'data'));
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
  ${more}
</yandex>`,
  );
  const start = () => spawn('clickhouse-server', [`--config-file=${file}`], { stdio: 'ignore' });
  return started(folder, `http://127.0.0.1:${http}`, tcp, start);
}

async function started(
  folder: string,
  url: string,
  tcpPort: number,
  start: () => ChildProcess,
): Promise<ClickHouseServer> {
  const startOne = async () => {
    const child = start();
    await untilUp(url, child);
    return child;
  };
  let child = await startOne();
  const kill = () => ended(child);
  return {
    url,
    tcpPort,
    pid: () => child.pid as number,
    kill,
    async restart() {
      child = await startOne();
    },
    async close() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exit;
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

const zooKeeperJar = '/usr/share/java/zookeeper.jar';

async function startZooKeeper(): Promise<{ port: number; close(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-zookeeper-'));
  const port = await freePort();
  const file = join(folder, 'zoo.cfg');
  writeFileSync(
    file,
    `tickTime=1000\ndataDir=${folder}/data\nclientPort=${port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n`,
  );
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain';
  const classes = `/etc/zookeeper/conf_example:${zooKeeperJar}`;
  const child = spawn('java', ['-Xmx256m', '-XX:+UseSerialGC', '-cp', classes, main, file], { stdio: 'ignore' });
  await untilZooKeeperAnswers(port, child);
  return {
    port,
    async close() {
      await ended(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** An open port alone is too early. */
async function untilZooKeeperAnswers(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`ZooKeeper ended with ${child.exitCode}`);
    const said = spawnSync('bash', [
      '-c',
      `exec 3<>/dev/tcp/127.0.0.1/${port} && printf srvr >&3 && timeout 1 cat <&3`,
    ]);
    if (said.stdout.toString().includes('Mode:')) return;
    await sleep(100);
  }
  throw new Error(`ZooKeeper did not answer on port ${port} within 20 s`);
}
