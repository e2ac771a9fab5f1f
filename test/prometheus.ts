import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { freePort } from './influxd.ts';

const shipped = fileURLToPath(new URL('../deploy/prometheus', import.meta.url));

export interface QueryResult {
  metric: Record<string, string>;
  value: [time: number, value: string];
}

export interface Prometheus {
  url: string;
  /** An instant query. @throws where Prometheus refuses it */
  query(text: string): Promise<QueryResult[]>;
  get<T>(path: string): Promise<T>;
  /** What it has logged. */
  log(): string;
  stop(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again with the same data and port. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Whether tests with a real Prometheus can run here. With AMBERWATCH_TEST_REQUIRE_SERVICES=1 they must. */
export function hasPrometheus(): boolean {
  const found = ['prometheus', 'promtool'].every((name) => spawnSync(name, ['--version']).status === 0);
  if (!found && process.env.AMBERWATCH_TEST_REQUIRE_SERVICES === '1')
    throw new Error('prometheus is not installed; on Debian: apt-get install prometheus');
  return found;
}

/** What promtool has to say of this; it throws where that is that something is wrong. */
export function promtool(args: readonly string[], input = ''): string {
  return execFileSync('promtool', args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] });
}

/** A real Prometheus with the configuration that is shipped, but that it looks at this server, and every second. */
export async function startPrometheus(target: string, token: string): Promise<Prometheus> {
  const config = parse(readFileSync(join(shipped, 'prometheus.yml'), 'utf8'));
  config.global = { scrape_interval: '1s', evaluation_interval: '1s' };
  config.scrape_configs[0].static_configs = [{ targets: [target] }];
  return runPrometheus(config, (folder) => {
    writeFileSync(join(folder, 'amberwatch.token'), `${token}\n`);
    copyFileSync(join(shipped, 'amberwatch.rules.yml'), join(folder, 'amberwatch.rules.yml'));
  });
}

/** A real Prometheus with a configuration of one's own; as an agent it answers no question. */
export async function runPrometheus(
  config: object,
  prepare = (_folder: string) => {},
  mode: 'server' | 'agent' = 'server',
): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-prometheus-'));
  writeFileSync(join(folder, 'prometheus.yml'), stringify(config));
  prepare(folder);
  promtool(['check', 'config', join(folder, 'prometheus.yml')]);
  const url = `http://127.0.0.1:${await freePort()}`;
  const start = async () => {
    const child = spawn(
      'prometheus',
      [
        `--config.file=${folder}/prometheus.yml`,
        ...(mode === 'agent'
          ? ['--enable-feature=agent', `--storage.agent.path=${folder}/data`]
          : [`--storage.tsdb.path=${folder}/data`]),
        `--web.listen-address=${new URL(url).host}`,
      ],
      { stdio: ['ignore', 'ignore', openSync(join(folder, 'log'), 'a')] },
    );
    await untilReady(url, child);
    return child;
  };
  let child = await start();
  const stop = async (signal: NodeJS.Signals) => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  };
  const get = async <T>(path: string): Promise<T> => {
    const answer = (await (await fetch(`${url}${path}`)).json()) as { status: string; data: T; error?: string };
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error}`);
    return answer.data;
  };
  return {
    url,
    get,
    query: async (text) => {
      const { result } = await get<{ result: QueryResult[] }>(`/api/v1/query?query=${encodeURIComponent(text)}`);
      return result;
    },
    log: () => readFileSync(join(folder, 'log'), 'utf8'),
    stop,
    async restart() {
      child = await start();
    },
    async close() {
      await stop('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (child.exitCode !== null) throw new Error(`prometheus ended with ${child.exitCode}`);
    const isReady = await fetch(`${url}/-/ready`).then(
      (answer) => answer.status === 200,
      () => false,
    );
    if (isReady) return;
    await sleep(100);
  }
  throw new Error(`prometheus did not answer at ${url} within 20 s`);
}
