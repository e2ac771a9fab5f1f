import { setTimeout as sleep } from 'node:timers/promises';
import { hasClickHouse, startClickHouse } from '../test/clickhouse-server.ts';
import { temporaryFolder } from '../torture/scenario.ts';
import { ServerProcess } from '../torture/server-process.ts';
import { Child } from './child.ts';
import { cpuSeconds } from './cpu-seconds.ts';
import { percentile, report } from './report.ts';

const shape = { processes: 300, seconds: 20, format: 'gzip', path: '/v1/usage', batch: 1 };
/** Hosts that report every ten seconds are ten times as many. */
const putsPerSecond = [100, 300];
const rounds = 2;

/** What a row costs the servers in front of one ClickHouse, as one of them and as four with a quarter of the hosts each. */
export async function benchServers(): Promise<void> {
  if (!hasClickHouse()) return;
  for (const perSecond of putsPerSecond) {
    const runs = { one: [] as Spent[], four: [] as Spent[] };
    for (let round = 0; round < rounds; round++) {
      runs.one.push(await secondsOfMillionRows(1, perSecond));
      runs.four.push(await secondsOfMillionRows(4, perSecond));
    }
    tell(perSecond, runs);
  }
}

function tell(perSecond: number, runs: { one: Spent[]; four: Spent[] }): void {
  const median = (of: readonly Spent[], what: keyof Spent) =>
    percentile(
      of.map((each) => each[what]),
      0.5,
    );
  const one = (what: keyof Spent) => ({ name: 'one server', value: median(runs.one, what), unit: 's' });
  report(`servers over one ClickHouse: ${perSecond} PUT/s of 300 processes, processor time`, [
    {
      name: 'a million rows, four servers',
      value: median(runs.four, 'servers'),
      unit: 's',
      reference: one('servers'),
      bar: { is: 'at most', value: 1.25, of: 'ratio' },
    },
    {
      name: 'the same of ClickHouse, with its merges',
      value: median(runs.four, 'clickhouse'),
      unit: 's',
      reference: one('clickhouse'),
    },
  ]);
}

interface Spent {
  servers: number;
  clickhouse: number;
}

/** Without what each takes when nothing comes in. */
async function secondsOfMillionRows(count: number, perSecond: number): Promise<Spent> {
  const clickhouse = await startClickHouse();
  const store = `${clickhouse.url.replace('http:', 'clickhouse:')}/bench`;
  const servers: ServerProcess[] = [];
  for (let k = 0; k < count; k++) servers.push(await ServerProcess.start(store, temporaryFolder(), '--role', 'ingest'));
  const spent = () => servers.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
  const load = (seconds: number, startMs: number) =>
    Promise.all(servers.map(({ url }) => run(url, perSecond / count, seconds, startMs)));
  // Each has taken as many by then: code that runs often is compiled once more.
  await load(15 * count, Date.now() - 3_600_000);
  const idleFrom = spent();
  await sleep(5000);
  const idle = (spent() - idleFrom) / 5;
  const from = spent();
  const clickhouseFrom = cpuSeconds(clickhouse.pid());
  const requests = (await load(shape.seconds, Date.now() - 1_800_000)).reduce((sum, each) => sum + each, 0);
  const seconds = spent() - from - idle * shape.seconds;
  const ofClickHouse = cpuSeconds(clickhouse.pid()) - clickhouseFrom;
  for (const server of servers) await server.stop('SIGTERM');
  await clickhouse.close();
  const millions = (requests * shape.processes) / 1e6;
  return { servers: seconds / millions, clickhouse: ofClickHouse / millions };
}

/** As many hosts as PUTs in a second, on a connection each. */
async function run(url: string, perSecond: number, seconds: number, startMs: number): Promise<number> {
  const part = { hosts: perSecond, connections: perSecond, perSecond };
  const port = Number(new URL(url).port);
  const child = Child.script('load.ts', JSON.stringify({ ...shape, ...part, port, seconds, startMs }));
  await child.line();
  const { requests, errors } = JSON.parse(await child.ask('go')) as { requests: number; errors: number };
  if (errors > 0) throw new Error(`${errors} of ${requests} requests were refused`);
  return requests;
}
