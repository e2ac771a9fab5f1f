import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AlarmsAnswer } from '../../src/wire/alarm.ts';
import { freePort } from '../influxd.ts';
import { hasPrometheus, type Prometheus, promtool, startPrometheus } from '../prometheus.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { Program } from './program.ts';

const script = fileURLToPath(new URL('../fixtures/agent.py', import.meta.url));
const boards = fileURLToPath(new URL('../../deploy/grafana/dashboards/', import.meta.url));
const rules = fileURLToPath(new URL('../../deploy/prometheus/amberwatch.rules.yml', import.meta.url));
const waiting = { timeout: 60_000, interval: 200 };

/** An agent in Python, and the port it has had last. */
class PythonAgent {
  readonly #child: ChildProcess;
  port = '';

  constructor(tcpPort: number, kind: string) {
    this.#child = spawn('python3', [script, String(tcpPort), kind], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout?.on('data', (text) => {
      // Python writes the end of a line apart.
      this.port = /\d+/.exec(String(text))?.[0] ?? this.port;
    });
  }

  get client(): string {
    return `127.0.0.1:${this.port}`;
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}

describe.skipIf(!hasPrometheus())('a real Prometheus', () => {
  const data = temporaryFolder();
  let port: number;
  let tcpPort: number;
  let server: Program;
  let prometheus: Prometheus;
  let token: string;
  const agents: PythonAgent[] = [];

  async function startServer(): Promise<void> {
    const listening = ['--listen', `127.0.0.1:${port}`, '--tcp', `127.0.0.1:${tcpPort}`, '--tcp-counter', 'A_Pressed'];
    const forecast = ['--horizon', '10s', '--threshold', 'leak{}:red=80', '--threshold', 'process_threads=100000'];
    const own = ['--data', data, '--host', 'here', '--interval', '1s', '--poll', '1s', '--io'];
    server = new Program(['up', ...listening, ...forecast, ...own]);
    await server.says(/looking at here/);
  }

  const request = async (path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${token}`, ...init.headers };
    return fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers });
  };
  const valuesOf = async (query: string) => (await prometheus.query(query)).map(({ value }) => Number(value[1]));
  const has = (query: string, values: number[]) =>
    vi.waitFor(async () => expect(await valuesOf(query), query).toEqual(values), waiting);

  beforeAll(async () => {
    port = await freePort();
    tcpPort = await freePort();
    const made = new Program(['token', 'create', '--role', 'admin', '--data', data]);
    await made.exit;
    token = /aw_a_\S+/.exec(made.stdout)?.[0] ?? '';
    await startServer();
    prometheus = await startPrometheus(`127.0.0.1:${port}`, token);
    for (const kind of ['leak', 'messages', 'messages', 'pressed']) agents.push(new PythonAgent(tcpPort, kind));
  });
  afterAll(async () => {
    for (const agent of agents) agent.close();
    await prometheus.close();
    await server.stop('SIGKILL');
  });

  test('has what agents send, over a restart of the server, and exactly as many as there are', {
    timeout: 120_000,
  }, async () => {
    const [, first, second, pressing] = agents as [PythonAgent, PythonAgent, PythonAgent, PythonAgent];
    const isThere = async () => {
      await has('clients_connected', [4]);
      for (const { client } of [first, second]) {
        await has(`cpu{client="${client}"}`, [6]);
        await has(`ram_total{client="${client}"}`, [16558358528]);
        await has(`ram_used{client="${client}"}`, [36.37]);
        await has(`CPU_Utilization{client="${client}"}`, [0.1]);
        await has(`THE_PERCENTAGE_OF_CPU_USAGE{client="${client}",field="THE PERCENTAGE OF CPU USAGE"}`, [14.6]);
      }
    };
    await isThere();
    await has(`A_Pressed_total{client="${pressing.client}"}`, [3]);
    const before = first.port;
    await server.stop('SIGKILL');
    await startServer();
    await vi.waitFor(() => expect(first.port).not.toBe(before), waiting);
    await has(`cpu{client="${first.client}"}`, [6]);
    await isThere();
    await has(`cpu{client="127.0.0.1:${before}"}`, []);
    second.close();
    await has('clients_connected', [3]);
    await has('count(cpu)', [1]);
  });

  test('has an agent go AMBER, and then RED', { timeout: 240_000 }, async () => {
    const { client } = agents[0] as PythonAgent;
    const alarm = (level: string) => `amberwatch_alarm{client="${client}",metric="leak",level="${level}"}`;
    await vi.waitFor(async () => expect(await valuesOf(alarm('AMBER'))).toEqual([1]), { ...waiting, timeout: 200_000 });
    expect(await valuesOf(alarm('RED'))).toEqual([]);
    expect((await valuesOf(`amberwatch_forecast_probability{client="${client}"}`))[0]).toBeGreaterThan(0.1);
    await vi.waitFor(async () => expect(await valuesOf(alarm('RED'))).toEqual([1]), { ...waiting, timeout: 200_000 });
    await has(alarm('AMBER'), []);
    const { alarms } = (await (await request('/v1/alarms')).json()) as AlarmsAnswer;
    const leak = alarms.find(({ metric }) => metric === 'leak');
    expect(leak).toMatchObject({ host: client, level: 'RED' });
    expect(leak?.leadSeconds).toBeGreaterThan(0);
    await vi.waitFor(async () => {
      const firing = await prometheus.query('ALERTS{alertname="AmberwatchRed",metric="leak"}');
      expect(firing).toMatchObject([{ metric: { alertstate: 'firing', client } }]);
    }, waiting);
  });

  test('forgets a host that falls silent with the next scrape, and its rules say so', async () => {
    const snapshot = {
      host: 'ghost',
      time: new Date().toISOString(),
      // Long enough that its alarm is seen: those of a scrape may be some seconds old.
      interval: 4,
      processes: [{ name: 'boo', cpu: 99, memory: 1 }],
    };
    await request('/v1/usage', {
      method: 'PUT',
      body: JSON.stringify(snapshot),
      headers: { 'content-type': 'application/json' },
    });
    await vi.waitFor(async () => expect(await valuesOf('amberwatch_alarm{host="ghost"}')).toEqual([1]), waiting);
    await vi.waitFor(
      async () => expect(await (await request('/v1/alarms')).text()).toContain('"stale":[{"host":"ghost"'),
      waiting,
    );
    // A scrape every second, and what is answered may be a second old.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(
      await prometheus.query('{host="ghost",job="amberwatch",__name__!="ALERTS",__name__!="ALERTS_FOR_STATE"}'),
    ).toEqual([]);
    await has('ALERTS{alertname="AmberwatchHostSilent",host="ghost",alertstate="firing"}', [1]);
    // Its alarm is held until that has told of it.
    await has('ALERTS{alertname="AmberwatchRed",host="ghost",alertstate="firing"}', [1]);
  });

  test('promtool has nothing to say of metrics and rules, and both formats are scraped', async () => {
    expect(promtool(['check', 'rules', rules])).toMatch(/SUCCESS: \d+ rules found/);
    for (const path of ['/metrics', '/metrics?all=1']) {
      const answer = await request(path);
      expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
      expect(promtool(['check', 'metrics'], await answer.text())).toBe('');
    }
    // What Prometheus asks for is OpenMetrics.
    await has('up{job="amberwatch"}', [1]);
    const meta = await prometheus.get<Record<string, { type: string }[]>>('/api/v1/metadata');
    expect(meta.amberwatch_tcp_messages?.[0]?.type).toBe('counter');
    expect(meta.amberwatch_snapshot_put_duration_seconds?.[0]?.type).toBe('summary');
    expect(meta.amberwatch_http_request_duration_seconds?.[0]?.type).toBe('histogram');
    expect(meta.ram_total?.[0]?.type).toBe('unknown');
    const { groups } = await prometheus.get<{
      groups: { rules: { name: string; health: string; lastError: string }[] }[];
    }>('/api/v1/rules');
    for (const { name, health, lastError } of groups.flatMap((group) => group.rules))
      expect([name, health, lastError]).toEqual([name, 'ok', undefined]);
  });

  describe('answers every query of the dashboards', () => {
    for (const file of readdirSync(boards)) {
      const { panels, uid } = JSON.parse(readFileSync(`${boards}${file}`, 'utf8'));
      for (const { title, targets } of panels as { title: string; targets: { expr: string }[] }[])
        test(`${uid}: ${title}`, async () => {
          for (const { expr } of targets) {
            const query = expr.replaceAll('$host', 'here');
            expect(query).not.toMatch(/\$/);
            const found = await prometheus.query(query);
            if (!mayBeEmpty.test(expr)) expect(found.length, query).toBeGreaterThan(0);
          }
        });
    }
  });
});

/** Swap and the disks of this machine are as they are, and nothing has to be wrong with its own host. */
const mayBeEmpty = /^amberwatch_alarm\{host|probability\{host|swap|temperature/;
