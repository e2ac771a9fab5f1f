import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { syntheticSnapshot } from '../bench/synthetic.ts';
import { type ClickHouseServer, hasClickHouse, startClickHouse } from '../test/clickhouse-server.ts';
import { Program } from '../test/e2e/program.ts';
import { type Scenario, scaled, temporaryFolder } from './scenario.ts';
import { openQuietly } from './stored-times.ts';

const shape = { hosts: 20, processes: 300, stepMs: 15_000 };
const wholeRows = 10_000_000;
const kills = 3;

/** A move that is killed goes on where it was. */
export const moveKills: Scenario = {
  name: 'move-kills',
  behaviour: 'amberwatch move that is killed and run again gives the other store the same, once',
  async run(scale) {
    if (!hasClickHouse()) return [];
    const rows = scaled(wholeRows, scale);
    const folder = temporaryFolder();
    const wanted = await fill(join(folder, 'source.db'), rows);
    const before = hashOf(folder);
    const server = await startClickHouse();
    const to = `${server.url.replace('http:', 'clickhouse:')}/moved`;
    const args = [
      'move',
      '--from',
      `duckdb:${join(folder, 'source.db')}`,
      '--to',
      to,
      '--full-speed',
      '--data',
      temporaryFolder(),
    ];
    const hoursDone: number[] = [];
    for (let kill = 1; kill <= kills; kill++) {
      const program = new Program(args);
      // Some hours have been moved, and it is in the middle of another.
      await program.says(/hours, [1-9][\d,]* rows/, 600_000);
      await sleep(Math.random() * 15_000);
      await program.stop('SIGKILL');
      hoursDone.push([...program.stdout.matchAll(/ of \d+ hours/g)].length);
    }
    const begun = performance.now();
    const last = new Program(args);
    const code = await last.exit;
    const seconds = (performance.now() - begun) / 1000;
    const found = await sumsOf(server);
    await server.close();
    const said = last.stdout.trim().split('\n').at(-1) ?? '';
    return [
      {
        promise: 'a move that was killed three times has moved everything once, and its source is as it was',
        figure: `${wanted.count.toLocaleString('en')} rows, killed after ${hoursDone.join(', ')} hours; ClickHouse has ${found.count.toLocaleString('en')}, sums ${JSON.stringify(found) === JSON.stringify(wanted) ? 'equal' : `DIFFERENT: ${JSON.stringify([wanted, found])}`}; the last run took ${Math.round(seconds)} s and said: ${said}${code === 0 ? '' : ` ${last.stderr.slice(-300)}`}`,
        holds: code === 0 && JSON.stringify(found) === JSON.stringify(wanted) && hashOf(folder) === before,
      },
    ];
  },
};

interface Sums {
  count: number;
  /** Thousandths. */
  cpu: number;
  memory: number;
}

async function fill(path: string, rows: number): Promise<Sums> {
  const sums: Sums = { count: 0, cpu: 0, memory: 0 };
  const steps = Math.ceil(rows / (shape.hosts * shape.processes));
  const store = await openQuietly(`duckdb:${path}`);
  const end = Math.floor(Date.now() / shape.stepMs) * shape.stepMs;
  for (let step = steps; step > 0; step--) {
    const time = end - step * shape.stepMs;
    const snapshots = Array.from({ length: shape.hosts }, (_, host) =>
      syntheticSnapshot(host, time, Math.floor(time / 1000), shape.processes),
    );
    for (const { processes } of snapshots) {
      sums.count += processes.name.length;
      for (const cpu of processes.cpu) sums.cpu += Math.round((cpu ?? 0) * 1000);
      for (const memory of processes.memory) sums.memory += Math.round((memory ?? 0) * 1000);
    }
    await store.append({ snapshots });
  }
  // The hours that are over are files beside it.
  await store.compact(Date.now());
  await store.close();
  return sums;
}

function hashOf(folder: string): string {
  const hash = createHash('sha256');
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort())
    if (statSync(join(folder, path)).isFile()) hash.update(path).update(readFileSync(join(folder, path)));
  return hash.digest('hex');
}

async function sumsOf({ url }: ClickHouseServer): Promise<Sums> {
  const body = 'SELECT count(), sum(cpu), sum(memory) FROM moved.process FINAL';
  const text = await (await fetch(url, { method: 'POST', body })).text();
  const [count = 0, cpu = 0, memory = 0] = text.trim().split('\t').map(Number);
  return { count, cpu, memory };
}
