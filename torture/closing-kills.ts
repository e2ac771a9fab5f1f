import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { bundled } from './bundled.ts';
import { type Scenario, scaled, temporaryFolder, type Verdict } from './scenario.ts';
import { openQuietly } from './stored-times.ts';

const [stepMs, perLine, processes] = [30_000, 8, 40];
const start = Math.floor(Date.now() / 86_400_000) * 86_400_000 - 200 * 86_400_000;

/** kill -9 while hours are closed, which is all the time. */
export const closingKills: Scenario = {
  name: 'closing-kills',
  behaviour: 'a kill in the middle of a closing loses nothing, doubles nothing and leaves no file behind',
  async run(scale) {
    const path = join(temporaryFolder(), 'closing.db');
    const taken = await kill(path, scaled(300, scale));
    return [await compare(path, taken)];
  },
};

interface Taken {
  kills: number;
  /** First times of what was acknowledged, eight snapshots each. */
  acknowledged: Set<number>;
  said: string[];
}

async function kill(path: string, kills: number): Promise<Taken> {
  const taken: Taken = { kills, acknowledged: new Set(), said: [] };
  const child = await bundled('closing-child');
  let next = start;
  for (let count = 0; count < kills; count++) {
    const running = spawn(process.execPath, [child, `duckdb:${path}`, String(next)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.stderr?.on('data', (text) => taken.said.push(String(text)));
    await take(running, taken.acknowledged);
    await sleep(Math.random() * 600);
    running.kill('SIGKILL');
    await once(running, 'close');
    // The one that was under way may be stored or not: it is sent again, as a collector does.
    next = Math.max(start - stepMs * perLine, ...taken.acknowledged) + stepMs * perLine;
  }
  return taken;
}

/** Resolves with the first line. */
async function take(running: ChildProcess, acknowledged: Set<number>): Promise<void> {
  const lines = createInterface({ input: running.stdout as NodeJS.ReadableStream });
  lines.on('line', (line) => acknowledged.add(Number(line)));
  await Promise.race([once(lines, 'line'), once(running, 'close')]);
}

async function compare(path: string, { kills, acknowledged, said }: Taken): Promise<Verdict> {
  const store = await openQuietly(`duckdb:${path}`, 400 * 86_400_000);
  const expected = new Set(
    [...acknowledged].flatMap((time) => Array.from({ length: perLine }, (_, k) => time + k * stepMs)),
  );
  const last = Math.max(...expected);
  const stored = new Map<number, number>();
  for (let from = start; from <= last; from += 3_600_000) {
    const page = await store.page({ from: from - 1, to: from + 3_600_000 - 1, limit: 100_000, skip: 0 });
    for (const time of page.time) stored.set(time, (stored.get(time) ?? 0) + 1);
  }
  const lost = [...expected].filter((time) => !stored.has(time)).length;
  const wrong = [...stored.values()].filter((rows) => rows !== processes).length;
  // The same by the roll-ups of the hours, and of the last.
  const means = await store.means({ from: start - 1, to: last });
  const rolledUp = means.reduce((sum, { snapshots }) => sum + snapshots, 0);
  const rows = [...stored].reduce((sum, [time, count]) => sum + (time <= last ? count : 0), 0);
  const files = readdirSync(`${path}.parts`);
  const known = (await store.disk())?.closed.reduce((sum, each) => sum + each.files, 0) ?? 0;
  await store.close();
  const figure = `${kills} kills, ${expected.size} snapshots acknowledged: ${lost} lost, ${wrong} not once; ${rolledUp - rows} rows more in the roll-ups; ${files.length} files, ${known} known; said: ${said.length}${said.length > 0 ? ` (${said[0]?.slice(0, 200)})` : ''}`;
  const holds =
    lost === 0 && wrong === 0 && rolledUp === rows && files.length === known && said.length === 0 && known > 0;
  return { promise: 'DuckDB: what is acknowledged survives kill -9 in the middle of a closing, once', figure, holds };
}
