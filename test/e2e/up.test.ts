import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AlarmsAnswer } from '../../src/wire/alarm.ts';
import type { DetailedAnswer, MeanAnswer } from '../../src/wire/history.ts';
import type { HostsAnswer } from '../../src/wire/host.ts';
import {
  type ClickHouseCluster,
  type ClickHouseServer,
  hasClickHouse,
  hasClickHouseCluster,
  startClickHouse,
  startClickHouseCluster,
} from '../clickhouse-server.ts';
import { freePort, hasInfluxd, type Influxd, startInfluxd } from '../influxd.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { getJson, Program } from './program.ts';

const running: { kill(signal: NodeJS.Signals): unknown }[] = [];
afterEach(() => {
  for (const one of running.splice(0)) one.kill('SIGKILL');
});

function start(args: readonly string[], environment: Record<string, string> = {}): Program {
  const program = new Program(args, environment);
  running.push(program.child);
  return program;
}

/** Seconds of CPU a process has used so far. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** `storeArgs` make a new store each time they are asked for. */
function endToEnd(engine: string, newStoreArgs: () => string[]): void {
  describe(`end to end on ${engine}`, () => {
    test('a busy process is seen, goes RED with its pid, and OK after it ends; nothing is lost on Ctrl-C', async () => {
      const data = temporaryFolder();
      const storeArgs = newStoreArgs();
      const listen = `127.0.0.1:${await freePort()}`;
      const args = [
        'up',
        '--listen',
        listen,
        '--data',
        data,
        '--interval',
        '1s',
        '--poll',
        '500ms',
        '--host',
        'test-host',
        ...storeArgs,
      ];
      const begin = performance.now();
      const up = start(args);
      await up.says(/PROCESS +PID +COUNT +CPU % +MEM % +RSS/, 10_000);
      expect(performance.now() - begin).toBeLessThan(10_000);
      await up.says(/GREEN: nothing is over the line on 1 host|RED|AMBER/);

      const yes = spawn('yes', [], { stdio: ['ignore', 'ignore', 'ignore'] });
      running.push(yes);
      await up.says(new RegExp(`RED +test-host +yes\\[${yes.pid}\\] +cpu [\\d.]+ %, over 80.0 % since`));

      const url = `http://${listen}`;
      const [used, at] = [cpuSeconds(yes.pid as number), performance.now()];
      await untilSeen(url, 'test-host', Date.now() + 4000);
      const measured = ((cpuSeconds(yes.pid as number) - used) / ((performance.now() - at) / 1000)) * 100;
      const mean = await getJson<MeanAnswer>(`${url}/v1/usage/mean?window=4s&process=yes`);
      expect(Math.abs((mean.processes.yes?.cpu ?? 0) - measured)).toBeLessThan(5);

      const { hosts } = await getJson<HostsAnswer>(`${url}/v1/hosts`);
      const ip = hosts[0]?.ip ?? '';
      const byIp = await getJson<MeanAnswer>(`${url}/v1/usage/mean/${ip.replace(/[.:]/g, '-')}`);
      expect(Object.keys(byIp.processes)).toContain('yes');
      expect(Object.keys((await getJson<MeanAnswer>(`${url}/v1/usage/mean/${ip}`)).processes)).toContain('yes');
      const detailed = await getJson<DetailedAnswer>(`${url}/v1/usage/detailed?process=yes`);
      expect(detailed.processes.yes?.at(-1)).toMatchObject({ host: 'test-host', pid: yes.pid, count: 1 });
      const alarms = await getJson<AlarmsAnswer>(`${url}/v1/alarms`);
      expect(alarms.level).toBe('RED');
      expect(alarms.alarms.map((alarm) => alarm.subject.pid)).toContain(yes.pid);

      yes.kill('SIGKILL');
      await up.says(new RegExp(`OK +test-host +yes\\[${yes.pid}\\] +exited; cpu was RED for \\d+s`));
      expect(await up.stop('SIGINT')).toBe(0);
      expect(up.stderr).toBe('');

      const again = start(['serve', '--listen', listen, '--data', data, ...storeArgs]);
      await untilLive(url);
      const after = await getJson<MeanAnswer>(`${url}/v1/usage/mean?process=yes`);
      expect(after.processes.yes?.snapshots).toBeGreaterThanOrEqual(5);
      expect(await again.stop('SIGTERM')).toBe(0);
    });

    test('three processes: the server is killed and comes back, and every snapshot is there', async () => {
      const [serverData, collectorData] = [temporaryFolder(), temporaryFolder()];
      const listen = `127.0.0.1:${await freePort()}`;
      const url = `http://${listen}`;
      const storeArgs = newStoreArgs();
      const serve = () => start(['serve', '--listen', listen, '--data', serverData, ...storeArgs]);
      let server = serve();
      await untilLive(url);
      const host = `three-${engine}`;
      const collector = start([
        'collect',
        '--server',
        url,
        '--data',
        collectorData,
        '--interval',
        '500ms',
        '--host',
        host,
      ]);
      const alerter = start(['alert', '--server', url, '--poll', '500ms']);
      await alerter.says(/GREEN|no host/);
      await vi.waitFor(async () => expect((await timesOf(url, host)).length).toBeGreaterThan(3), waiting);
      await server.stop('SIGKILL');
      await alerter.says(/does not answer.*trying again every 500ms/);
      await vi.waitFor(() => expect(spooled(collectorData)).toBeGreaterThan(4), waiting);
      server = serve();
      await alerter.says(/is back after/);
      await vi.waitFor(() => expect(spooled(collectorData)).toBe(0), { ...waiting, interval: 5 });
      await vi.waitFor(async () => expect((await timesOf(url, host)).length).toBeGreaterThan(12), waiting);
      expect(await collector.stop('SIGTERM')).toBe(0);
      const times = await timesOf(url, host);
      const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
      expect(times.length).toBeGreaterThan(12);
      expect(Math.max(...gaps)).toBeLessThan(1200);
      expect(collector.stderr).toMatch(/does not answer.*kept in the spool/);
      expect(collector.stderr).toMatch(/is back after/);
      expect(await alerter.stop('SIGINT')).toBe(0);
      expect(await server.stop('SIGTERM')).toBe(0);
    });
  });
}

const waiting = { timeout: 30_000, interval: 50 };

/** When the host's `node` processes were in a snapshot that is stored. */
async function timesOf(url: string, host: string): Promise<number[]> {
  const { processes } = await getJson<DetailedAnswer>(`${url}/v1/usage/detailed?host=${host}&process=node`);
  return (processes.node ?? []).map((point) => Date.parse(point.time));
}

/** Resolves once a snapshot of that time or later is stored. */
async function untilSeen(url: string, host: string, time: number): Promise<void> {
  await vi.waitFor(async () => {
    const { hosts } = await getJson<HostsAnswer>(`${url}/v1/hosts`);
    const lastSeen = hosts.find((each) => each.host === host)?.lastSeen ?? '';
    expect(Date.parse(lastSeen)).toBeGreaterThanOrEqual(time);
  }, waiting);
}

/** Snapshots in the only spool of a data folder. */
function spooled(data: string): number {
  const [name = ''] = readdirSync(join(data, 'spool'));
  return readdirSync(join(data, 'spool', name)).filter((file) => file.endsWith('.json.gz')).length;
}

async function untilLive(url: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (
      await fetch(`${url}/health/ready`).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} did not become ready within 10 s`);
}

endToEnd('duckdb', () => []);

describe.skipIf(!hasInfluxd())('with a real InfluxDB 1.x', () => {
  let influxd: Influxd;
  beforeAll(async () => {
    influxd = await startInfluxd();
  });
  afterAll(() => influxd?.close());
  let databases = 0;
  endToEnd('influxdb', () => ['--store', `${influxd.url.replace('http:', 'influxdb:')}/monitoring${++databases}`]);
});

describe.skipIf(!hasClickHouse())('with a real ClickHouse', () => {
  let server: ClickHouseServer;
  beforeAll(async () => {
    server = await startClickHouse();
  });
  afterAll(() => server?.close());
  let databases = 0;
  endToEnd('clickhouse', () => ['--store', `${server.url.replace('http:', 'clickhouse:')}/monitoring${++databases}`]);
});

describe.skipIf(!hasClickHouseCluster())('with two replicas of a real ClickHouse', () => {
  let cluster: ClickHouseCluster;
  beforeAll(async () => {
    cluster = await startClickHouseCluster();
  });
  afterAll(() => cluster?.close());
  let databases = 0;
  endToEnd('clickhouse-replicas', () => ['--store', `clickhouse://${cluster.hosts}/monitoring${++databases}`]);
});

describe('alert --once tells the level by its exit code', () => {
  test('green, red, stale and unreachable', async () => {
    const listen = `127.0.0.1:${await freePort()}`;
    const url = `http://${listen}`;
    const server = start(['serve', '--listen', listen, '--store', 'memory:']);
    await untilLive(url);
    const once = async (...more: string[]) => {
      const program = start(['alert', '--once', '--server', url, ...more]);
      return { code: await program.exit, out: program.stdout, err: program.stderr };
    };
    const put = (host: string, cpu: number, ago = 0) =>
      fetch(`${url}/v1/usage`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          host,
          time: new Date(Date.now() - ago).toISOString(),
          processes: [{ name: 'evil\u009b31m', cpu, memory: 1 }],
        }),
      });
    expect(await once()).toMatchObject({ code: 3, out: expect.stringMatching(/no host has reported yet/) });
    await put('a', 5);
    expect(await once()).toMatchObject({ code: 0, out: expect.stringMatching(/GREEN/), err: '' });
    const { level, hosts, reason } = JSON.parse((await once('--json')).out) as Record<string, unknown>;
    expect([level, hosts, reason]).toEqual(['GREEN', 1, 'GREEN: nothing is over the line on 1 host']);
    await put('b', 5, 60_000);
    expect(await once()).toMatchObject({ code: 3, out: expect.stringMatching(/STALE +b +silent for 1m/) });
    await put('c', 99);
    const { code, out } = await once('--json');
    expect(code).toBe(4);
    expect(
      out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).level),
    ).toEqual(['RED', 'STALE']);
    expect(out).not.toContain('\u009b');
    await server.stop('SIGTERM');
    expect(await once()).toMatchObject({
      code: 5,
      out: '',
      err: expect.stringMatching(/^amberwatch: http:.* does not answer: .*\n$/),
    });
  });
});

describe('what goes wrong is one clear sentence and an exit code', () => {
  test.each<[string, string[], number, RegExp]>([
    ['an unknown flag', ['up', '--colour'], 2, /^error: unknown option '--colour'\n$/],
    ['a flag nearly right', ['up', '--liste', 'x'], 2, /Did you mean --listen\?/],
    ['an unknown command', ['watch'], 2, /^error: unknown command 'watch'/],
    ['no command', [], 2, /Usage: amberwatch/],
    [
      'a bad store url',
      ['serve', '--store', 'mysql://x'],
      2,
      /^amberwatch: store url 'mysql:\/\/x' names no store; use memory:, duckdb:/,
    ],
    [
      'a bad interval',
      ['up', '--interval', 'soon'],
      2,
      /^amberwatch: --interval: interval 'soon' is not a duration; write it like 10s/,
    ],
    [
      'a bad server',
      ['collect', '--server', 'nowhere'],
      2,
      /^amberwatch: server 'nowhere' is not a URL; write it like/,
    ],
    [
      'a bad threshold',
      ['serve', '--threshold', 'cpu'],
      2,
      /^amberwatch: --threshold: threshold 'cpu' names no known metric/,
    ],
    [
      'a data folder that is none',
      ['collect', '--data', '/etc/hostname'],
      1,
      /^amberwatch: cannot use the spool folder \/etc\/hostname\/spool\/.*: .*; choose another with --data/,
    ],
    [
      'a config that is not there',
      ['up', '--config', '/nowhere.yaml'],
      2,
      /^amberwatch: --config \/nowhere.yaml cannot be read/,
    ],
  ])('%s', async (_, args, code, message) => {
    const program = start(args);
    expect(await program.exit).toBe(code);
    expect(program.stderr).toMatch(message);
    expect(program.stderr).not.toMatch(/\n {4}at /);
  });

  test('a port that is taken, and a data folder in use', async () => {
    const listen = `127.0.0.1:${await freePort()}`;
    const data = temporaryFolder();
    const first = start(['serve', '--listen', listen, '--data', data]);
    await untilLive(`http://${listen}`);
    const sameData = start(['serve', '--listen', `127.0.0.1:${await freePort()}`, '--data', data]);
    expect(await sameData.exit).toBe(1);
    expect(sameData.stderr).toMatch(
      new RegExp(
        `^amberwatch: cannot open the store .*: process ${first.child.pid} has it open; stop that one or choose another --data folder\n$`,
      ),
    );
    const samePort = start(['up', '--listen', listen, '--data', temporaryFolder()]);
    expect(await samePort.exit).toBe(1);
    expect(samePort.stderr).toMatch(
      /^amberwatch: cannot listen on 127.0.0.1:\d+: another program uses it; choose another port with --listen/,
    );
    expect(await first.stop('SIGTERM')).toBe(0);
  });

  test('--help teaches', async () => {
    for (const args of [['--help'], ['up', '--help'], ['alert', '--help']]) {
      const program = start(args);
      expect(await program.exit).toBe(0);
      expect(program.stdout).toMatch(/Usage: amberwatch/);
    }
    const help = start(['--help']);
    await help.exit;
    expect(help.stdout).toMatch(/Exit codes: 0 green/);
  });
});
