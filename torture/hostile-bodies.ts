import { gzipSync } from 'node:zlib';
import { overStore } from '../test/over-store.ts';
import { buildServer } from './in-process-server.ts';
import { bodyOf } from './made-snapshots.ts';
import { settledRss } from './measure.ts';
import { seededRandom } from './random.ts';
import { type Scenario, scaled } from './scenario.ts';
import { openQuietly } from './stored-times.ts';

const MiB = 1024 * 1024;
/** Until everything has been compiled and every buffer is there. */
const warmUp = 20_000;
const routes = ['/v1/usage', '/v1/usage', '/v1/usage', '/ressources-usage/save-all', '/v1/join'];

/** Bodies made, mutated as JSON, mutated as text, cut off, glued, compressed wrongly. */
export const hostileBodies: Scenario = {
  name: 'hostile-bodies',
  behaviour: 'no body makes the server fail or grow',
  async run(scale) {
    const random = seededRandom(11);
    const count = scaled(1_000_000, scale);
    // It keeps nothing: what grows would be the server itself.
    const store = overStore(await openQuietly('memory:'), {
      append: async () => ({ refused: [], beyondBudget: [] }),
    });
    const app = await buildServer(store);
    await app.ready();
    const statuses = new Map<number, number>();
    const send = async () => {
      const method = random() < 0.02 ? 'POST' : 'PUT';
      const url = routes[Math.floor(random() * routes.length)] as string;
      const { payload, headers } = hostileBody(random);
      const answer = await app.inject({ method: url === '/v1/join' ? 'POST' : method, url, payload, headers });
      statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1);
    };
    const all = async (times: number) => {
      for (let done = 0; done < times; done += 20) await Promise.all(Array.from({ length: 20 }, send));
    };
    await all(warmUp);
    const before = await settledRss();
    await all(count);
    const growth = (await settledRss()) - before;
    await app.close();
    const errors = [...statuses].reduce((sum, [status, times]) => sum + (status >= 500 ? times : 0), 0);
    const figures = [...statuses].sort().map(([status, times]) => `${times} x ${status}`);
    return [
      {
        promise: 'no body makes the server fail, or grow',
        figure: `${count} bodies: ${figures.join(', ')}; RSS ${growth >= 0 ? '+' : ''}${(growth / MiB).toFixed(1)} MiB`,
        holds: errors === 0 && growth <= 20 * MiB,
      },
    ];
  },
};

const oddities = [
  null,
  true,
  -1,
  Infinity,
  1.5,
  2 ** 53,
  '',
  'x'.repeat(300),
  '\u0000\u001b[31m',
  '\ud800',
  '__proto__',
  [],
  {},
  [[]],
  '2026-02-30T00:00:00Z',
  '9999-12-31T23:59:59Z',
  'NaN',
];

function hostileBody(random: () => number): { payload: Buffer | string; headers: Record<string, string> } {
  const pick = <T>(items: readonly T[]) => items[Math.floor(random() * items.length)] as T;
  const body = bodyOf(pick(['a', 'b', '\u202e', "'; DROP TABLE usage; --"]), Date.now(), Math.floor(random() * 4));
  for (let i = 0; i < Math.floor(random() * 4); i++) mutate(body as Record<string, unknown>, random, pick);
  let text = JSON.stringify(random() < 0.2 ? [body, body] : body);
  if (random() < 0.2) text = text.slice(0, Math.floor(random() * text.length));
  if (random() < 0.1) text = text.replace('"host"', '"__proto__":{"x":1},"host"');
  if (random() < 0.1) text = text.replace(/\d/, pick(['-', 'e', '1e999', '"', '\u0000']));
  const headers: Record<string, string> = { 'content-type': random() < 0.97 ? 'application/json' : 'text/plain' };
  const kind = random();
  if (kind < 0.7) return { payload: text, headers };
  headers['content-encoding'] = kind < 0.97 ? 'gzip' : 'br';
  return { payload: kind < 0.85 ? gzipSync(text, { level: 1 }) : Buffer.from(text), headers };
}

function mutate(target: Record<string, unknown>, random: () => number, pick: <T>(items: readonly T[]) => T): void {
  const keys = Object.keys(target);
  const key = keys.length === 0 ? 'x' : pick(keys);
  const value = target[key];
  if (typeof value === 'object' && value !== null && random() < 0.6)
    mutate(value as Record<string, unknown>, random, pick);
  else if (random() < 0.2) delete target[key];
  else target[key] = structuredClone(pick(oddities));
}
