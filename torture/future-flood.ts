import { setTimeout as sleep } from 'node:timers/promises';
import { issueToken } from '../src/access/token.ts';
import { TokenFile } from '../src/access/token-file.ts';
import { MonitorClient } from '../src/client/monitor-client.ts';
import { gzipBody } from './made-snapshots.ts';
import { timeOf } from './measure.ts';
import { percentile, scaled, type Verdict } from './scenario.ts';
import { ServerProcess } from './server-process.ts';

const perPut = 100;
const atOnce = 4;
const host = 'ahead';

/** A million snapshots of tomorrow from one write token, and whoever looks meanwhile and after. */
export async function floodFuture(store: string, data: string, scale: number): Promise<Verdict> {
  const tokens = new TokenFile(data);
  const now = Date.now();
  const write = await tokens.issue((book) => issueToken(book, 'write', host, now, null));
  const read = await tokens.issue((book) => issueToken(book, 'read', null, now, null));
  const server = await ServerProcess.start(store, data, '--retention', '400d');
  const asReader = { headers: { authorization: `Bearer ${read}` } };
  const writer = new MonitorClient(server.url, { token: write });
  const statuses = new Map<number, number>();
  const tookMs: number[] = [];
  let isOver = false;
  const look = async () => {
    while (!isOver) {
      for (const path of ['/v1/alarms', '/v1/hosts']) tookMs.push(await timeOf(server.url + path, asReader));
      await sleep(200);
    }
  };
  // The first look after a start reads everything anew; that is another matter.
  for (const path of ['/v1/alarms', '/v1/hosts']) await timeOf(server.url + path, asReader);
  const looking = look();
  const puts = scaled(1_000_000 / perPut, scale);
  let next = 0;
  const flood = async () => {
    while (next < puts) {
      const from = now + 600_000 + next++ * perPut * 60;
      const body = Array.from({ length: perPut }, (_, i) => ({ host, time: iso(from + i * 60), processes: [] }));
      const { status } = await writer.put('/v1/usage', gzipBody(body), Date.now());
      // A token may send so much a minute and no more: that is waited for.
      if (status === 429) await sleep(1000);
      if (status === 429) next--;
      else statuses.set(status ?? 0, (statuses.get(status ?? 0) ?? 0) + perPut);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, flood));
  for (let i = 0; i < 20; i++)
    for (const path of ['/v1/alarms', '/v1/hosts']) tookMs.push(await timeOf(server.url + path, asReader));
  isOver = true;
  await looking;
  await writer.close();
  await server.stop('SIGTERM');
  const slowest = Math.max(...tookMs);
  const [p95, p99] = [percentile(tookMs, 0.95), percentile(tookMs, 0.99)];
  const said = [...statuses].map(([status, count]) => `${count} x ${status}`).join(', ');
  return {
    promise: 'a token that sends a million snapshots of the future makes nobody wait',
    figure: `${puts * perPut} sent: ${said}; ${tookMs.length} looks at alarms and hosts, p99 ${p99.toFixed(0)} ms, slowest ${slowest.toFixed(0)} ms`,
    // In small there are few looks, and one hiccup of a busy machine is none of the flood's: that would be seconds, each time.
    holds: (scale < 1 ? p95 <= 250 && slowest <= 1000 : slowest <= 250) && (statuses.get(204) ?? 0) <= 10_000,
  };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
