import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.ts';
import { percentile, report } from './report.ts';

const shape = { connections: 64, seconds: 4 };
const rounds = 3;

interface LoadResult {
  messages: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
}

async function load(how: 'asked' | 'streamed' | 'http'): Promise<LoadResult> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const server = Child.script('server.ts', `duckdb:${join(folder, 'bench.db')}`, '600000', 'agents');
  const [http, tcp] = (await server.line()).split(' ').map(Number);
  const child = Child.script('agent-load.ts', JSON.stringify({ ...shape, how, port: how === 'http' ? http : tcp }));
  await child.line();
  const result = JSON.parse(await child.ask('go')) as LoadResult;
  await server.end();
  rmSync(folder, { recursive: true });
  return result;
}

/** Messages of plain agents beside PUTs of the same figures, all stored before they are acknowledged, by turns. */
export async function benchAgents(): Promise<void> {
  const runs: Record<'asked' | 'streamed' | 'http', LoadResult[]> = { asked: [], streamed: [], http: [] };
  for (let i = 0; i < rounds; i++)
    for (const how of ['http', 'asked', 'streamed'] as const) runs[how].push(await load(how));
  const median = (values: readonly number[]) => percentile(values, 0.5);
  const rate = (how: keyof typeof runs) => median(runs[how].map(({ messages, seconds }) => messages / seconds));
  const reference = { name: 'PUT /v1/metrics of the same', value: rate('http'), unit: 'requests/s' };
  report(`agents: messages of seven figures, ${shape.connections} connections, acknowledged after the DuckDB commit`, [
    { name: 'TCP, each after the reply to the one before', value: rate('asked'), unit: 'messages/s', reference },
    { name: 'TCP, without waiting', value: rate('streamed'), unit: 'messages/s', reference },
    {
      name: 'reply p99, each after the one before',
      value: median(runs.asked.map(({ p99Ms }) => p99Ms)),
      unit: 'ms',
      reference: {
        name: 'answer p99 of PUT',
        value: median(runs.http.map(({ p99Ms }) => p99Ms)),
        unit: 'ms',
      },
    },
  ]);
}
