import { mkdirSync, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spoolName } from '../src/cli/wiring/client-access.ts';
import { FolderDisk } from '../src/collector/disk.ts';
import { readLedger } from '../src/collector/ledger.ts';
import { entriesOf } from '../src/collector/spool.ts';
import { Program } from '../test/e2e/program.ts';
import {
  type Engine,
  engineNames,
  type Scenario,
  scaled,
  startEngine,
  temporaryFolder,
  until,
  type Verdict,
} from './scenario.ts';
import { ServerProcess } from './server-process.ts';
import { openQuietly, storedTimes } from './stored-times.ts';

/** kill -9 of a real collector, half of them against each store. */
export const collectorKills: Scenario = {
  name: 'collector-kills',
  behaviour: 'a collector that is killed loses nothing it has taken',
  async run(scale) {
    const kills = scaled(500, scale);
    return Promise.all(engineNames.map((name) => killLoop(name, kills)));
  },
};

async function killLoop(name: Engine['name'], kills: number): Promise<Verdict> {
  const engine = await startEngine(name);
  const server = await ServerProcess.start(engine.url);
  const data = temporaryFolder();
  const folder = join(data, 'spool', spoolName(server.url, 'victim'));
  mkdirSync(folder, { recursive: true });
  const taken = new Set<number>();
  // The kernel tells of every file that is renamed into the folder, whatever becomes of it then.
  const watcher = watch(folder, (_, file) => {
    for (const { time } of entriesOf([file ?? ''])) taken.add(time);
  });
  const args = ['collect', '--server', server.url, '--data', data, '--interval', '500ms', '--host', 'victim'];
  for (let kill = 0; kill < kills; kill++) {
    const collector = new Program(args);
    await until(() => collector.stderr.includes('collector is running'), 10_000, 'the start of a collector');
    await sleep(Math.random() * 320);
    await collector.stop('SIGKILL');
  }
  const last = new Program(args);
  await sleep(2000);
  await last.stop('SIGTERM');
  await until(() => entriesOf(readdirSync(folder)).length === 0, 10_000, 'an empty spool');
  watcher.close();
  await server.stop('SIGTERM');
  const store = await openQuietly(engine.url);
  const stored = await storedTimes(store, 'victim', 'node');
  await store.close();
  await engine.close();
  const ledger = await readLedger(new FolderDisk(folder));
  const lost = [...taken].filter((time) => !stored.times.has(time)).length;
  const isExact = ledger?.sequence === taken.size && ledger.stored === taken.size;
  return {
    promise: `${name}: what the collector has taken survives its kill -9, once`,
    figure: `${kills} kills, ${taken.size} taken: ${lost} lost, ${stored.repeated} twice; its accounts say ${ledger?.sequence} taken, ${ledger?.stored} stored`,
    holds: lost === 0 && stored.repeated === 0 && isExact && taken.size > kills,
  };
}
