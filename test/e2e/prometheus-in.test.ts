import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { seriesKey } from '../../src/core/series.ts';
import type { AlarmsAnswer } from '../../src/wire/alarm.ts';
import type { SourcesAnswer } from '../../src/wire/source.ts';
import { freePort, hasInfluxd, startInfluxd } from '../influxd.ts';
import { hasPrometheus, runPrometheus } from '../prometheus.ts';
import { countOf, missing, samplesOfDuckdb, samplesOfInfluxdb, samplesOfPrometheus } from '../prometheus-samples.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { getJson, Program } from './program.ts';

const summary = fileURLToPath(new URL('../fixtures/summary_exporter.py', import.meta.url));
const eight = [
  'availableMem',
  'cpuLoad',
  'cpuTemp',
  'diskUsage',
  'inodeUsage',
  'networkThroughput',
  'push_time_seconds',
  'realUsedMem',
];
const labels = { job: 'summary', instance: '106' };

/** What is to end with the tests. */
const closing: (() => unknown)[] = [];

/** Another source of series, which ends with the tests. */
async function startExporter(command: string, args: readonly string[], port: number): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: 'ignore' });
  closing.push(() => child.kill('SIGKILL'));
  await vi.waitFor(async () => expect((await fetch(`http://127.0.0.1:${port}/metrics`)).status).toBe(200), {
    timeout: 20_000,
  });
  return child;
}

/** A server of amberwatch that can be killed and brought back. */
class Server {
  readonly folder = temporaryFolder();
  readonly port: number;
  readonly #store: string | null;
  #program: Program | null = null;

  constructor(port: number, config: object, store: string | null) {
    this.port = port;
    this.#store = store;
    writeFileSync(join(this.folder, 'amberwatch.yaml'), stringify(config));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const args = ['serve', '--listen', `127.0.0.1:${this.port}`, '--data', this.folder, '--log-level', 'info'];
    const store = this.#store === null ? [] : ['--store', this.#store];
    this.#program = new Program([...args, ...store, '--config', join(this.folder, 'amberwatch.yaml')]);
    await vi.waitFor(async () => expect((await fetch(`${this.url}/health/ready`)).status).toBe(200), {
      timeout: 30_000,
    });
  }

  get said(): string {
    return this.#program?.stderr ?? '';
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    await this.#program?.stop(signal);
    this.#program = null;
  }
}

const hasNodeExporter = spawnSync('prometheus-node-exporter', ['--version']).status === 0;
if (!hasNodeExporter && process.env.AMBERWATCH_TEST_REQUIRE_SERVICES === '1')
  throw new Error('prometheus-node-exporter is not installed; on Debian: apt-get install prometheus-node-exporter');

const engines = [
  { engine: 'DuckDB', runs: true },
  { engine: 'InfluxDB', runs: hasInfluxd() },
];

describe.skipIf(!hasPrometheus() || !hasNodeExporter)('what a real Prometheus has', () => {
  afterAll(async () => {
    for (const close of closing.reverse()) await close();
  });

  // They wait most of the time.
  test.concurrent.each(engines.filter(({ runs }) => runs))(
    'is here too in $engine, pulled and pushed, whoever is killed in the middle',
    { timeout: 240_000 },
    async ({ engine }) => {
      const influx = engine === 'InfluxDB' ? await startInfluxd() : null;
      if (influx !== null) closing.push(() => influx.close());
      const influx2 = engine === 'InfluxDB' ? await startInfluxd() : null;
      if (influx2 !== null) closing.push(() => influx2.close());
      const [eightPort, nodePort, pullPort, pushPort] = [
        await freePort(),
        await freePort(),
        await freePort(),
        await freePort(),
      ];
      await startExporter('python3', [summary, String(eightPort)], eightPort);
      await startExporter('prometheus-node-exporter', [`--web.listen-address=127.0.0.1:${nodePort}`], nodePort);
      const prometheus = await runPrometheus({
        global: { scrape_interval: '1s', scrape_timeout: '1s', external_labels: { source: 'lab' } },
        scrape_configs: [
          {
            job_name: 'summary',
            static_configs: [{ targets: [`127.0.0.1:${eightPort}`], labels: { instance: '106' } }],
          },
          { job_name: 'node', static_configs: [{ targets: [`127.0.0.1:${nodePort}`] }] },
        ],
        remote_write: [
          {
            url: `http://127.0.0.1:${pushPort}/v1/prometheus/write`,
            queue_config: { batch_send_deadline: '1s', max_backoff: '1s' },
          },
        ],
      });
      closing.push(() => prometheus.close());
      const storeOf = (db: typeof influx) =>
        db === null ? null : `${db.url.replace('http:', 'influxdb:')}/monitoring`;
      const source = {
        name: 'lab',
        url: prometheus.url,
        allow: '127.0.0.1',
        selector: ['{job="summary"}', '{job="node"}'],
        interval: '1s',
      };
      const thresholds = { 'cpuTemp{job="summary"}': '50', 'cpuLoad{instance="106"}': '1000' };
      const pull = new Server(pullPort, { sources: [source], threshold: thresholds }, storeOf(influx));
      const push = new Server(pushPort, {}, storeOf(influx2));
      closing.push(() => pull.stop('SIGKILL'));
      closing.push(() => push.stop('SIGKILL'));
      await Promise.all([pull.start(), push.start()]);
      await sleep(6000);
      await Promise.all([pull.stop('SIGKILL'), push.stop('SIGKILL')]);
      await sleep(4000);
      await Promise.all([pull.start(), push.start()]);
      await sleep(4000);

      // Prometheus is away: that is STALE, and in the detail of readiness.
      await prometheus.stop('SIGTERM');
      await vi.waitFor(
        async () => {
          const { stale } = await getJson<AlarmsAnswer>(`${pull.url}/v1/alarms`);
          expect(stale).toMatchObject([
            { host: '(prometheus lab)', why: expect.stringMatching(/nothing listens there/) },
          ]);
        },
        { timeout: 60_000, interval: 200 },
      );
      const ready = await getJson<{ warnings: string[] }>(`${pull.url}/health/ready`);
      expect(ready.warnings).toEqual([
        expect.stringMatching(/^source lab gives nothing new for .*; 'amberwatch source ls' says why$/),
      ]);
      await prometheus.restart();
      await vi.waitFor(async () => expect((await getJson<AlarmsAnswer>(`${pull.url}/v1/alarms`)).stale).toEqual([]), {
        timeout: 60_000,
        interval: 200,
      });
      await sleep(4000);
      // What it had not written when it was killed it does not have itself.
      await prometheus.stop('SIGKILL');
      await prometheus.restart();
      await sleep(8000);

      // A threshold on two of the eight, and the alarm is named.
      const { alarms } = await getJson<AlarmsAnswer>(`${pull.url}/v1/alarms`);
      const hot = alarms.filter(({ metric }) => eight.includes(metric)).map(({ series }) => series);
      expect([[], [seriesKey({ metric: 'cpuTemp', labels: { ...labels, source: 'lab' } })]]).toContainEqual(hot);
      const { sources } = await getJson<SourcesAnswer>(`${pull.url}/v1/sources`);
      expect(sources).toMatchObject([{ name: 'lab', state: 'ok', failure: null }]);

      // Both ends stop, and what they have is compared.
      const ofPrometheus = await samplesOfPrometheus(prometheus, '{job=~"summary|node"}', { source: 'lab' });
      await sleep(3000);
      await Promise.all([pull.stop('SIGTERM'), push.stop('SIGTERM')]);
      const read = (server: Server, db: typeof influx) =>
        db === null ? samplesOfDuckdb(join(server.folder, 'amberwatch.db')) : samplesOfInfluxdb(db.url, 'monitoring');
      const [pulled, pushed] = [await read(pull, influx), await read(push, influx2)];
      for (const name of eight)
        expect(
          [...ofPrometheus.keys()].some((key) => key.startsWith(`${name}{`)),
          name,
        ).toBe(true);
      expect(countOf(ofPrometheus)).toBeGreaterThan(5000);
      expect(missing(ofPrometheus, pulled.samples)).toEqual([]);
      expect(pulled.rows).toBe(countOf(pulled.samples));
      expect(pushed.rows).toBe(countOf(pushed.samples));
      // Prometheus itself sends nothing of before its start, so what it had not sent when it was killed did not come.
      const unsent = missing(ofPrometheus, pushed.samples);
      const times = new Set(unsent.map((text) => Number(text.split(' ').at(-2))));
      expect(times.size, unsent.join('\n').slice(0, 2000)).toBeLessThanOrEqual(6);
    },
  );

  test.concurrent('is pushed by one in agent mode, with a token of its source', { timeout: 60_000 }, async () => {
    const [exporterPort, port] = [await freePort(), await freePort()];
    await startExporter('python3', [summary, String(exporterPort)], exporterPort);
    const server = new Server(port, {}, null);
    closing.push(() => server.stop('SIGKILL'));
    const made = new Program(['token', 'create', '--role', 'write', '--source', 'edge', '--data', server.folder]);
    await made.exit;
    await server.start();
    const agent = await runPrometheus(
      {
        global: { scrape_interval: '1s', external_labels: { source: 'edge' } },
        scrape_configs: [{ job_name: 'summary', static_configs: [{ targets: [`127.0.0.1:${exporterPort}`] }] }],
        remote_write: [
          {
            url: `${server.url}/v1/prometheus/write`,
            authorization: { credentials: /aw_w_\S+/.exec(made.stdout)?.[0] ?? '' },
            queue_config: { batch_send_deadline: '1s' },
          },
        ],
      },
      undefined,
      'agent',
    );
    closing.push(() => agent.close());
    const admin = new Program(['token', 'create', '--role', 'read', '--data', server.folder]);
    await admin.exit;
    const headers = { authorization: `Bearer ${/aw_r_\S+/.exec(admin.stdout)?.[0]}` };
    await vi.waitFor(
      async () => {
        const answer = await fetch(`${server.url}/v1/series?series=cpuTemp{source="edge"}&window=1m`, { headers });
        expect(((await answer.json()) as { series: unknown[] }).series).toHaveLength(1);
      },
      { timeout: 30_000, interval: 500 },
    );
  });
});
