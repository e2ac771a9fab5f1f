import { join } from 'node:path';
import { openStore } from '../src/store/open.ts';
import { makeSnapshot } from '../test/make-snapshot.ts';
import { bodyOf } from './made-snapshots.ts';
import { residentMiB, timeOf } from './measure.ts';
import { percentile, type Scenario, scaled, temporaryFolder } from './scenario.ts';
import { ServerProcess } from './server-process.ts';

const perSnapshot = 5000;

/** A server that has seen five million process names starts, takes snapshots and answers. */
export const manyNames: Scenario = {
  name: 'many-names',
  behaviour: 'millions of process names cost a start neither time nor memory',
  async run(scale) {
    const folder = temporaryFolder();
    const url = `duckdb:${join(folder, 'a.db')}`;
    const count = scaled(1000, scale);
    await fill(url, count);
    const begin = performance.now();
    const server = await ServerProcess.start(url, folder);
    const readyMs = performance.now() - begin;
    const tookMs: number[] = [];
    for (let i = 0; i < 20; i++) {
      const body = JSON.stringify(bodyOf(`host-${i}`, Date.now(), 300));
      tookMs.push(
        await timeOf(`${server.url}/v1/usage`, {
          method: 'PUT',
          body,
          headers: { 'content-type': 'application/json' },
        }),
      );
      tookMs.push(await timeOf(`${server.url}/v1/alarms`));
    }
    const wideMs = await timeOf(`${server.url}/v1/usage/mean?window=2d`);
    const all = await fetch(`${server.url}/v1/usage/mean?window=2d&top=0`);
    const refusal = ((await all.json()) as { detail?: string }).detail ?? 'no refusal';
    const resident = residentMiB(server.pid);
    await server.stop('SIGTERM');
    const isFull = scale >= 1;
    return [
      {
        promise: 'however many process names there are, a start takes seconds and the memory is bounded',
        figure: `${count * perSnapshot} names: ready after ${(readyMs / 1000).toFixed(1)} s, RSS ${resident} MiB; a PUT or a look at the alarms takes ${percentile(tookMs, 0.5).toFixed(0)} ms, at most ${Math.max(...tookMs).toFixed(0)}; the 500 highest means of all of them ${wideMs.toFixed(0)} ms`,
        holds: readyMs <= 5000 && resident <= 600 && Math.max(...tookMs) <= 2000 && wideMs <= 10_000,
      },
      {
        promise: 'nobody is sent more names than a server can hold',
        figure: `all means at once: ${all.status} ${refusal}`,
        holds: !isFull || (all.status === 400 && refusal.includes('more than 100000')),
      },
    ];
  },
};

async function fill(url: string, count: number): Promise<void> {
  const options = { retentionMs: 2 * 86_400_000, warn: () => undefined, newNamesPerDay: 1_000_000_000 };
  const store = await openStore(url, options);
  const from = Date.now() - 3_600_000;
  for (let i = 0; i < count; i++) {
    const processes = Array.from({ length: perSnapshot }, (_, k) => ({ name: `worker-${i}-${k}-${(i * k) % 9973}` }));
    await store.append({ snapshots: [makeSnapshot({ host: `host-${i % 50}`, time: from + i * 3000, processes })] });
  }
  await store.close();
}
