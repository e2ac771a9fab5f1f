import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasPrometheus, type Prometheus, runPrometheus } from '../test/prometheus.ts';
import {
  countOf,
  missing,
  type Samples,
  type Stored,
  samplesOfDuckdb,
  samplesOfInfluxdb,
  samplesOfPrometheus,
} from '../test/prometheus-samples.ts';
import { type Engine, engineNames, type Scenario, scaled, startEngine, type Verdict } from './scenario.ts';
import { ServerProcess } from './server-process.ts';

const everyMs = 5000;
const wholeMs = 300_000;
const series = 10_000;
const sentWithinMs = 90_000;

interface Receiver {
  engine: Engine;
  server: ServerProcess;
}

/** A real Prometheus writes ten thousand series to servers that are killed. */
export const remoteWrite: Scenario = {
  name: 'remote-write',
  behaviour: 'what a Prometheus pushes is here, whenever the server is killed',
  async run(scale) {
    if (!hasPrometheus()) return [];
    const exporter = createServer((_, answer) => answer.end(exposition(scaled(series, scale))));
    await new Promise<void>((resolve) => exporter.listen(0, '127.0.0.1', resolve));
    const receivers = await Promise.all(engineNames.map(startReceiver));
    const prometheus = await startWriter((exporter.address() as AddressInfo).port, receivers);
    try {
      const runMs = Math.max(20_000, wholeMs * scale);
      for (let kill = 0; kill < 2; kill++) {
        await sleep(runMs / 3);
        await Promise.all(receivers.map(({ server }) => server.stop('SIGKILL')));
        await sleep(runMs / 60);
        await Promise.all(receivers.map(({ server }) => server.restart()));
      }
      await sleep(runMs / 3);
      exporter.close();
      exporter.closeAllConnections();
      const had = await samplesOfPrometheus(prometheus, 'made_value', {});
      return await Promise.all(receivers.map((receiver) => verdictOn(receiver, had)));
    } finally {
      await prometheus.close();
      for (const { server, engine } of receivers) {
        await server.stop('SIGKILL');
        await engine.close();
      }
    }
  },
};

let scrapes = 0;

function exposition(count: number): string {
  scrapes++;
  return `# TYPE made_value gauge\n${Array.from({ length: count }, (_, k) => `made_value{n="${k}",zone="z${k % 7}"} ${k * 1000 + scrapes}\n`).join('')}`;
}

async function startReceiver(name: Engine['name']): Promise<Receiver> {
  const engine = await startEngine(name);
  return { engine, server: await ServerProcess.start(engine.url) };
}

function startWriter(port: number, receivers: readonly Receiver[]): Promise<Prometheus> {
  return runPrometheus({
    global: { scrape_interval: `${everyMs / 1000}s` },
    scrape_configs: [{ job_name: 'made', static_configs: [{ targets: [`127.0.0.1:${port}`] }] }],
    remote_write: receivers.map(({ server }, index) => ({
      name: `to-${index}`,
      url: `${server.url}/v1/prometheus/write`,
      queue_config: { batch_send_deadline: '1s', max_backoff: '1s' },
    })),
  });
}

/** Once all that has to come has come, or does not. */
async function verdictOn({ engine, server }: Receiver, had: Samples): Promise<Verdict> {
  const deadline = performance.now() + sentWithinMs;
  let stored = await storedBy(engine, server);
  for (let lost = missing(had, stored.samples).length; lost > 0 && performance.now() < deadline; ) {
    await server.restart();
    await sleep(5000);
    stored = await storedBy(engine, server);
    lost = missing(had, stored.samples).length;
  }
  const [lost, twice] = [missing(had, stored.samples).length, stored.rows - countOf(stored.samples)];
  return {
    promise: `${engine.name}: what a Prometheus has pushed is stored, once, whenever the server is killed`,
    figure: `${had.size} series, ${countOf(had)} samples that Prometheus has, 2 kills: ${lost} missing, ${twice} twice; ${server.failedStarts.length} starts failed`,
    holds: had.size > 0 && lost === 0 && twice === 0 && server.failedStarts.length === 0,
  };
}

async function storedBy(engine: Engine, server: ServerProcess): Promise<Stored> {
  await server.stop('SIGTERM');
  if (engine.influxd === null) return samplesOfDuckdb(engine.url.replace('duckdb:', ''));
  return samplesOfInfluxdb(engine.influxd.url, 'torture');
}
