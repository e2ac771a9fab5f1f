import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { serverName } from '../src/cli/wiring/client-access.ts';
import { MonitorClient } from '../src/client/monitor-client.ts';
import { type ClickHouseServer, hasClickHouseCluster, startClickHouseCluster } from '../test/clickhouse-server.ts';
import { Program } from '../test/e2e/program.ts';
import { Balancer } from './balancer.ts';
import { bodyOf, gzipBody } from './made-snapshots.ts';
import { type Scenario, temporaryFolder, until, type Verdict } from './scenario.ts';
import { isReady, ServerProcess } from './server-process.ts';

const hosts = Array.from({ length: 50 }, (_, i) => `host-${i}`);
const intervalMs = 3000;
const processes = 20;
const wholeMs = 600_000;
const faultMs = 6000;
const restMs = 9000;
const longestPauseMs = 5000;
/** An alarm that comes and goes. */
const flipMs = 20_000;

interface Fault {
  what: string;
  begin(): unknown;
  end(): unknown;
}

/** Each server and each replica is killed and stopped in turn, under load. */
export const cluster: Scenario = {
  name: 'cluster',
  behaviour:
    'two servers over two replicas of ClickHouse: whichever is killed or stopped, nothing is lost or said twice',
  async run(scale) {
    if (!hasClickHouseCluster()) return [];
    const { replicas, hosts: addresses, close } = await startClickHouseCluster();
    const store = `clickhouse://${addresses}/torture`;
    // OK at once: by default it would take half a minute.
    const more = ['--threshold', 'cpu:red=80,hold=0'];
    const servers = await Promise.all(
      [1, 2].map((share) => ServerProcess.start(store, temporaryFolder(), ...more, '--watch-share', `${share}/2`)),
    );
    const balancer = await Balancer.start(servers.map(({ url }) => url));
    const load = new Load(balancer.url);
    const flips = new Flips(balancer.url);
    const asked = new Questions(balancer.url, load);
    await sleep(10_000);
    const faults = [...replicas.flatMap(faultsOfReplica), ...servers.flatMap(faultsOfServer)];
    const endAt = performance.now() + wholeMs * scale;
    let count = 0;
    while (count < 4 || performance.now() < endAt) {
      const fault = faults[(count++ * 3) % faults.length] as Fault;
      await fault.begin();
      await sleep(faultMs);
      await fault.end();
      await sleep(restMs);
      // One fault after the other: one that has come back has to have caught up before another goes.
      await until(() => areTogether(replicas), 90_000, `that the replicas are together again after ${fault.what}`);
    }
    await until(
      async () => (await Promise.all(servers.map(({ url }) => isReady(url)))).every(Boolean),
      60_000,
      'that all are ready',
    );
    await flips.stop();
    await load.stop();
    await asked.stop();
    const verdicts = [await load.verdict(count, replicas), load.pauseVerdict(), flips.verdict(), asked.verdict()];
    balancer.close();
    for (const server of servers) await server.stop('SIGTERM');
    await close();
    return verdicts;
  },
};

async function areTogether(replicas: readonly ClickHouseServer[]): Promise<boolean> {
  const body =
    "SELECT max(absolute_delay) < 2 AND max(is_readonly) = 0 FROM system.replicas WHERE database = 'torture'";
  const ask = ({ url }: ClickHouseServer) =>
    fetch(url, { method: 'POST', body }).then(
      (answer) => answer.text(),
      () => '',
    );
  return (await Promise.all(replicas.map(ask))).every((text) => text === '1\n');
}

function faultsOfReplica(replica: ClickHouseServer, index: number): Fault[] {
  return [
    { what: `kill -9 of replica ${index + 1}`, begin: () => replica.kill(), end: () => replica.restart() },
    {
      what: `SIGSTOP of replica ${index + 1}`,
      begin: () => process.kill(replica.pid(), 'SIGSTOP'),
      end: () => process.kill(replica.pid(), 'SIGCONT'),
    },
  ];
}

function faultsOfServer(server: ServerProcess, index: number): Fault[] {
  return [
    { what: `kill -9 of server ${index + 1}`, begin: () => server.stop('SIGKILL'), end: () => server.launch() },
    {
      what: `SIGSTOP of server ${index + 1}`,
      begin: () => process.kill(server.pid, 'SIGSTOP'),
      end: () => process.kill(server.pid, 'SIGCONT'),
    },
  ];
}

/** Fifty hosts that send a snapshot every three seconds, each until it is acknowledged. */
class Load {
  readonly newest = new Map<string, number>();
  readonly #client: MonitorClient;
  readonly #sent = new Map<string, number[]>(hosts.map((host) => [host, []]));
  readonly #running: Promise<unknown>;
  #lastAt = performance.now();
  #longestPause = 0;
  #stopped = false;

  constructor(url: string) {
    this.#client = new MonitorClient(url);
    this.#running = Promise.all(hosts.map((host, index) => this.#run(host, (index * intervalMs) / hosts.length)));
  }

  async #run(host: string, afterMs: number): Promise<void> {
    await sleep(afterMs);
    for (let time = Date.now(); !this.#stopped; time += intervalMs) {
      await sleep(Math.max(0, time - Date.now()));
      const body = gzipBody({ ...bodyOf(host, time, processes, 10), interval: intervalMs / 1000 });
      while ((await this.#client.put('/v1/usage', body, Date.now())).status !== 204) await sleep(100);
      this.#sent.get(host)?.push(time);
      this.newest.set(host, time);
      const now = performance.now();
      this.#longestPause = Math.max(this.#longestPause, now - this.#lastAt);
      this.#lastAt = now;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#client.close();
  }

  pauseVerdict(): Verdict {
    return {
      promise: `the longest pause of ingest is at most ${longestPauseMs / 1000} s`,
      figure: `${(this.#longestPause / 1000).toFixed(1)} s without an acknowledgement`,
      holds: this.#longestPause <= longestPauseMs,
    };
  }

  /** What each replica has by itself, once they have caught up, against what was acknowledged. */
  async verdict(faults: number, replicas: readonly ClickHouseServer[]): Promise<Verdict> {
    const acknowledged = [...this.#sent.values()].flat().length;
    let figure = '';
    let holds = false;
    for (let tries = 0; tries < 60 && !holds; tries++) {
      const found = await Promise.all(replicas.map((replica) => this.#compare(replica)));
      figure = found
        .map(({ lost, repeated }, index) => `replica ${index + 1}: ${lost} lost, ${repeated} more than once`)
        .join('; ');
      holds = found.every(({ lost, repeated }) => lost === 0 && repeated === 0);
      if (!holds) await sleep(1000);
    }
    return {
      promise: 'every acknowledged snapshot is on both replicas, once',
      figure: `${faults} faults, ${acknowledged} acknowledged; ${figure}`,
      holds: holds && acknowledged > 0,
    };
  }

  async #compare({ url }: ClickHouseServer): Promise<{ lost: number; repeated: number }> {
    const sql = `SELECT host, time, any(headers), count() FROM torture.process FINAL ANY LEFT JOIN (
        SELECT host, time, count() AS headers FROM torture.snapshot FINAL GROUP BY host, time) USING (host, time)
      GROUP BY host, time FORMAT TabSeparated`;
    const text = await fetch(url, { method: 'POST', body: sql }).then(
      (answer) => answer.text(),
      () => '',
    );
    const stored = new Map(
      text
        .trim()
        .split('\n')
        .map((line) => line.split('\t'))
        .map(([host, time, headers, rows]) => [`${host} ${time}`, `${headers} ${rows}`]),
    );
    const wanted = [...this.#sent].flatMap(([host, times]) => times.map((time) => `${host} ${time}`));
    const found = wanted.map((key) => stored.get(key));
    const lost = found.filter((each) => each === undefined || each.startsWith('0 ')).length;
    return { lost, repeated: found.filter((each) => each !== undefined && each !== `1 ${processes}`).length };
  }
}

/** A host that goes over the line and under it again, and an alerter that says so. */
class Flips {
  readonly #alerter: Program;
  readonly #log: string;
  readonly #client: MonitorClient;
  readonly #running: Promise<unknown>;
  #count = 0;
  #stopped = false;

  constructor(url: string) {
    const data = temporaryFolder();
    this.#alerter = new Program(['alert', '--server', url, '--poll', '500ms', '--data', data]);
    this.#log = join(data, 'alerter', serverName(url), 'said.ndjson');
    this.#client = new MonitorClient(url);
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    for (let isRed = false; !this.#stopped; isRed = !isRed) {
      const until = Date.now() + flipMs;
      for (let time = Date.now(); time < until; time += 1000) {
        await sleep(Math.max(0, time - Date.now()));
        const body = gzipBody(bodyOf('flip', time, 1, isRed ? 95 : 1));
        while ((await this.#client.put('/v1/usage', body, Date.now())).status !== 204) await sleep(100);
      }
      this.#count++;
    }
    await sleep(5000);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#alerter.stop('SIGTERM');
    await this.#client.close();
  }

  verdict(): Verdict {
    const lines = existsSync(this.#log) ? readFileSync(this.#log, 'utf8').split('\n') : [];
    const said = lines
      .filter((line) => line.includes('"announcement"') && line.endsWith('}'))
      .map((line) => JSON.parse(line).announcement as { level: string; host: string });
    const own = said.filter(({ host, level }) => host === 'flip' && level !== 'AMBER').map(({ level }) => level);
    const isAlternating = own.every((level, index) => level === (index % 2 === 0 ? 'RED' : 'OK'));
    const others = said.filter(({ host }) => host !== 'flip');
    return {
      promise: 'every transition of an alarm is said once, and of no other host anything',
      // The first half was calm: it is no transition.
      figure: `${this.#count - 1} transitions, ${own.length} said, ${isAlternating ? 'in order' : `OUT OF ORDER: ${own.join(' ')}`}; of others ${others.length}${others.length > 0 ? `: ${JSON.stringify(others[0])}` : ''}`,
      holds: own.length === this.#count - 1 && isAlternating && others.length === 0,
    };
  }
}

/** Somebody who asks all the time, and compares with what was acknowledged. */
class Questions {
  readonly #url: string;
  readonly #load: Load;
  readonly #running: Promise<void>;
  #stopped = false;
  #answered = 0;
  #refused = 0;
  #latest = 0;
  readonly #wrong: string[] = [];

  constructor(url: string, load: Load) {
    this.#url = url;
    this.#load = load;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    await sleep(8000);
    while (!this.#stopped) {
      const before = new Map(this.#load.newest);
      await this.#ask('/v1/hosts', ({ hosts: found }: { hosts: { host: string; lastSeen: string }[] }) => {
        const seen = new Map(found.map(({ host, lastSeen }) => [host, Date.parse(lastSeen)]));
        for (const [host, time] of before) {
          const at = seen.get(host);
          if (at === undefined) this.#wrong.push(`${host} is not there`);
          else this.#latest = Math.max(this.#latest, time - at);
        }
      });
      await this.#ask(
        '/v1/usage/mean?window=1m',
        ({ processes: found }: { processes: Record<string, { cpu: number }> }) => {
          const cpu = found['process-1']?.cpu;
          if (cpu === undefined || cpu < 10 || cpu > 15) this.#wrong.push(`a mean of ${cpu}`);
        },
      );
      await sleep(500);
    }
  }

  async #ask<T>(path: string, check: (answer: T) => void): Promise<void> {
    try {
      const answer = await fetch(`${this.#url}${path}`, { signal: AbortSignal.timeout(15_000) });
      if (!answer.ok) throw new Error(String(answer.status));
      check((await answer.json()) as T);
      this.#answered++;
    } catch {
      this.#refused++;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  verdict(): Verdict {
    const wrong = [...new Set(this.#wrong)];
    return {
      promise: 'no answer is wrong rather than late, and none later than three intervals',
      figure: `${this.#answered} answers, ${this.#refused} refused or cut; ${wrong.length === 0 ? 'none wrong' : `WRONG: ${wrong.slice(0, 3).join(', ')}`}; up to ${(this.#latest / 1000).toFixed(1)} s behind what was acknowledged`,
      holds: wrong.length === 0 && this.#answered > 0 && this.#latest <= 3 * intervalMs,
    };
  }
}
