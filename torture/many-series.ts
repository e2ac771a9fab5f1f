import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { packedWriteRequest, remoteWriteHeaders, sent } from '../test/write-request.ts';
import { residentMiB } from './measure.ts';
import { engineNames, percentile, type Scenario, scaled, startEngine, type Verdict } from './scenario.ts';
import { ServerProcess } from './server-process.ts';

const perBody = 500;
const shards = 20;
const hosts = { count: 20, processes: 300, everyMs: 2000 };
const mostMs = 500;

/** A Prometheus whose labels change all the time pushes a million series. */
export const manySeries: Scenario = {
  name: 'many-series',
  behaviour: 'a Prometheus that pushes a million series is bounded, and no other host notices',
  async run(scale) {
    const verdicts: Verdict[] = [];
    for (const name of engineNames) {
      const engine = await startEngine(name);
      const server = await ServerProcess.start(engine.url);
      const live = startLive(server.url);
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      await live.tookMs();
      const before = residentMiB(server.pid);
      const { statuses, said, seconds } = await pushAll(`${server.url}/v1/prometheus/write`, scaled(1_000_000, scale));
      const tookMs = await live.tookMs();
      live.end();
      const resident = residentMiB(server.pid);
      await server.stop('SIGTERM');
      await engine.close();
      const failed = tookMs.filter((ms) => ms < 0).length;
      const figures = [...statuses].sort().map(([status, times]) => `${times} x ${status}`);
      verdicts.push({
        promise: `${name}: a Prometheus that pushes a million series is bounded and told so, and no other host notices`,
        figure: `${scaled(1_000_000, scale)} series in ${seconds.toFixed(0)} s: ${figures.join(', ')} (${said}); ${tookMs.length} PUTs of ${hosts.count} hosts beside them: p50 ${percentile(tookMs, 0.5).toFixed(0)} ms, p99 ${percentile(tookMs, 0.99).toFixed(0)} ms, ${failed} failed; RSS ${before} MiB, then ${resident}`,
        holds: failed === 0 && percentile(tookMs, 0.99) <= mostMs && (scale < 0.2 || statuses.has(400)),
      });
    }
    return verdicts;
  },
};

function startLive(url: string) {
  const path = fileURLToPath(new URL('live-traffic.ts', import.meta.url));
  const args = [url, hosts.count, hosts.processes, hosts.everyMs].map(String);
  const child = spawn(process.execPath, ['--import', 'tsx', path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    /** Since the last time. */
    async tookMs(): Promise<number[]> {
      child.stdin.write('so far\n');
      return JSON.parse((await lines.next()).value as string);
    },
    end: () => void child.kill(),
  };
}

/** As many shards do it, each after the answer to the one before, and again where it is told to. */
async function pushAll(url: string, count: number) {
  const agent = new Agent({ connections: shards });
  const statuses = new Map<number, number>();
  let said = 'nothing was said';
  let next = 0;
  const begin = performance.now();
  const shard = async () => {
    for (let from = next; from < count; from = next) {
      next += perBody;
      const body = packedWriteRequest(
        Array.from({ length: perBody }, (_, k) =>
          sent(
            'http_requests',
            { pod: `web-${from + k}-${((from + k) * 7919) % 999_983}`, path: '/api/v1/things', code: '200' },
            [[k, Date.now()]],
          ),
        ),
      );
      for (let again = true; again; ) {
        const answer = await request(url, { method: 'POST', headers: remoteWriteHeaders, body, dispatcher: agent });
        const text = await answer.body.text();
        statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1);
        again = answer.statusCode === 503;
        if (again) await new Promise((resolve) => setTimeout(resolve, 1000));
        if (answer.statusCode === 400) said = JSON.parse(text).detail;
      }
    }
  };
  await Promise.all(Array.from({ length: shards }, shard));
  await agent.close();
  return { statuses, said, seconds: (performance.now() - begin) / 1000 };
}
