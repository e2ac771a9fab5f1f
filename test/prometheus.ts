import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  /** An instant query. @throws where Prometheus refuses it */
  query(text: string): Promise<QueryResult[]>;
  get<T>(path: string): Promise<T>;
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
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-prometheus-'));
  const config = parse(readFileSync(join(shipped, 'prometheus.yml'), 'utf8'));
  config.global = { scrape_interval: '1s', evaluation_interval: '1s' };
  config.scrape_configs[0].static_configs = [{ targets: [target] }];
  writeFileSync(join(folder, 'prometheus.yml'), stringify(config));
  writeFileSync(join(folder, 'amberwatch.token'), `${token}\n`);
  copyFileSync(join(shipped, 'amberwatch.rules.yml'), join(folder, 'amberwatch.rules.yml'));
  promtool(['check', 'config', join(folder, 'prometheus.yml')]);
  const url = `http://127.0.0.1:${await freePort()}`;
  const child = spawn(
    'prometheus',
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=${new URL(url).host}`,
    ],
    { stdio: 'ignore' },
  );
  const get = async <T>(path: string): Promise<T> => {
    const answer = (await (await fetch(`${url}${path}`)).json()) as { status: string; data: T; error?: string };
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error}`);
    return answer.data;
  };
  await untilReady(url, child);
  return {
    get,
    query: async (text) => {
      const { result } = await get<{ result: QueryResult[] }>(`/api/v1/query?query=${encodeURIComponent(text)}`);
      return result;
    },
    async close() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
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
