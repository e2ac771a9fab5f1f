/**
 * The real server for a benchmark. Arguments: the store url, or `accept:` for a store that takes every
 * snapshot at once and keeps none; the horizon of the forecasts in milliseconds; `agents`: it listens to agents too,
 * `by-hand`: it closes hours when it is told to, and then alone.
 * Prints its port, or both; answers `lag` on stdin with the event-loop
 * delay since `reset`, `close` once what is over is closed; any other line ends it.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { pino } from 'pino';
import { buildApp } from '../src/api/app.ts';
import type { Store } from '../src/core/store.ts';
import { defaultThresholds } from '../src/core/threshold.ts';
import { openStore } from '../src/store/open.ts';
import { openAccess } from '../test/open-access.ts';
import { overStore } from '../test/over-store.ts';

const hourMs = 3_600_000;
const retentionMs = 96 * hourMs;
const url = process.argv[2] as string;
const clock = { now: () => Date.now(), monotonic: () => performance.now() };

async function acceptingStore(): Promise<Store> {
  const store = await openStore('memory:', { retentionMs, warn: () => undefined });
  return overStore(store, { append: async () => ({ refused: [], beyondBudget: [] }) });
}

const store = url === 'accept:' ? await acceptingStore() : await openStore(url, { retentionMs, warn: () => undefined });
const log = pino({ level: 'error' }, pino.destination(2));
const isByHand = process.argv[4] === 'by-hand';
const app = await buildApp({
  store: isByHand ? overStore(store, { compact: async () => undefined }) : store,
  clock,
  log,
  thresholds: defaultThresholds,
  retentionMs,
  horizonMs: Number(process.argv[3] ?? 600_000),
  access: openAccess(),
  agents: { client: 'address-port', counters: [], reply: 'ok\n', allowed: [] },
  version: 'bench',
});
const address = await app.listen({ host: '127.0.0.1', port: 0 });
const resolutionMs = 5;
const delay = monitorEventLoopDelay({ resolution: resolutionMs });
delay.enable();
const tcpPort = process.argv[4] === 'agents' ? ` ${await app.tcpAgents.listen({ host: '127.0.0.1', port: 0 })}` : '';
process.stdout.write(`${new URL(address).port}${tcpPort}\n`);

createInterface({ input: process.stdin }).on('line', async (line) => {
  if (line === 'reset') delay.reset();
  else if (line === 'lag')
    process.stdout.write(
      `${JSON.stringify({ p99Ms: delay.percentile(99) / 1e6 - resolutionMs, maxMs: delay.max / 1e6 })}\n`,
    );
  else if (line === 'close') {
    await store.compact(Date.now() + hourMs);
    process.stdout.write('closed\n');
  } else {
    await app.close();
    await store.close();
    process.exit();
  }
});
