import { setTimeout as sleep } from 'node:timers/promises';
import { MonitorClient } from '../src/client/monitor-client.ts';
import { bodyOf, gzipBody } from './made-snapshots.ts';
import { type Engine, engineNames, type Scenario, scaled, startEngine, until, type Verdict } from './scenario.ts';
import { isReady, ServerProcess } from './server-process.ts';
import { openQuietly, storedTimes } from './stored-times.ts';

const hosts = Array.from({ length: 8 }, (_, i) => `host-${i}`);
/** InfluxDB itself is killed once in so many kills of the server. */
const influxKillEvery = 25;

/** kill -9 of the server under load, half of them on each store. */
export const serverKills: Scenario = {
  name: 'server-kills',
  behaviour: 'a server that is killed keeps what it has acknowledged',
  async run(scale) {
    const kills = scaled(500, scale);
    return Promise.all(engineNames.map((name) => killLoop(name, kills)));
  },
};

async function killLoop(name: Engine['name'], kills: number): Promise<Verdict> {
  const engine = await startEngine(name);
  const server = await ServerProcess.start(engine.url);
  const load = new Load(server.url);
  for (let kill = 1; kill <= kills; kill++) {
    // Alive and taking snapshots; then at any moment.
    const before = load.acknowledged;
    await until(() => load.acknowledged > before, 60_000, `an acknowledgement after ${kill} kills`).catch(
      (error: Error) => {
        throw new Error(`${error.message}; failed starts: ${server.failedStarts.join('; ')}`);
      },
    );
    await sleep(Math.random() * 100);
    await server.stop('SIGKILL');
    if (engine.influxd !== null && kill % influxKillEvery === 0) {
      await engine.influxd.kill();
      await engine.influxd.restart();
    }
    server.launch();
  }
  await until(() => isReady(server.url), 30_000, 'the last start');
  await load.stop();
  await server.stop('SIGTERM');
  const { lost, repeated } = await load.compare(engine.url);
  await engine.close();
  return {
    promise: `${name}: what the server has acknowledged survives kill -9, once`,
    figure: `${kills} kills, ${load.acknowledged} acknowledged: ${lost} lost, ${repeated} twice; starts that failed: ${server.failedStarts.length}${server.failedStarts.length > 0 ? ` (${server.failedStarts[0]})` : ''}`,
    holds: lost === 0 && repeated === 0 && load.acknowledged > kills && server.failedStarts.length === 0,
  };
}

/** Eight hosts that send one snapshot after the other, each until it is acknowledged. */
class Load {
  acknowledged = 0;
  readonly #client: MonitorClient;
  readonly #sent = new Map<string, Set<number>>(hosts.map((host) => [host, new Set()]));
  readonly #from = Date.now() - 3_600_000;
  readonly #running: Promise<unknown>;
  #stopped = false;

  constructor(url: string) {
    this.#client = new MonitorClient(url);
    this.#running = Promise.all(hosts.map((host) => this.#run(host)));
  }

  async #run(host: string): Promise<void> {
    for (let time = this.#from; !this.#stopped; time += 10) {
      const body = gzipBody(bodyOf(host, time));
      // The same one again until the server has it: an answer that was lost may have been a yes.
      while ((await this.#client.put('/v1/usage', body, Date.now())).status !== 204) await sleep(40);
      this.#sent.get(host)?.add(time);
      this.acknowledged++;
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#client.close();
  }

  async compare(url: string): Promise<{ lost: number; repeated: number }> {
    const store = await openQuietly(url);
    let [lost, repeated] = [0, 0];
    for (const [host, sent] of this.#sent) {
      const stored = await storedTimes(store, host, 'process-1');
      lost += [...sent].filter((time) => !stored.times.has(time)).length;
      repeated += stored.repeated;
    }
    await store.close();
    return { lost, repeated };
  }
}
