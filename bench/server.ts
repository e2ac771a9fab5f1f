/**
 * The real server for a benchmark. Arguments: the store url, or `accept:` for a store that takes every
 * snapshot at once and keeps none. Prints its port; answers {"lag":true} on stdin with the event-loop delay.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pino } from 'pino';
import { buildApp } from '../src/api/app.ts';
import type { Store } from '../src/core/store.ts';
import { defaultThresholds } from '../src/core/threshold.ts';
import { openStore } from '../src/store/open.ts';

const retentionMs = 2 * 86_400_000;
const url = process.argv[2] as string;
const clock = { now: () => Date.now(), monotonic: () => performance.now() };

async function acceptingStore(): Promise<Store> {
  const store = await openStore('memory:', { retentionMs, warn: () => undefined });
  return { ...store, write: async () => undefined };
}

const store = url === 'accept:' ? await acceptingStore() : await openStore(url, { retentionMs, warn: () => undefined });
const log = pino({ level: 'error' }, pino.destination(2));
const app = await buildApp({ store, clock, log, thresholds: defaultThresholds, retentionMs, version: 'bench' });
const address = await app.listen({ host: '127.0.0.1', port: 0 });
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
process.stdout.write(`${new URL(address).port}\n`);

process.stdin.setEncoding('utf8');
process.stdin.on('data', async (line: string) => {
  if (line.includes('reset')) delay.reset();
  else if (line.includes('lag')) process.stdout.write(`${JSON.stringify({ p99Ms: delay.percentile(99) / 1e6 - 5, maxMs: delay.max / 1e6 })}\n`);
  else {
    await app.close();
    await store.close();
    process.exit();
  }
});
