import { spawn } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { spoolName } from '../src/cli/wiring/client-access.ts';
import { type Scenario, startEngine, temporaryFolder, until } from './scenario.ts';
import { ServerProcess } from './server-process.ts';
import { openQuietly, storedTimes } from './stored-times.ts';

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const diskBytes = 1024 * 1024;

/** A real collector whose data folder is a file system of 1 MiB that fills up. */
export const fullDisk: Scenario = {
  name: 'full-disk',
  behaviour: 'a full disk does not stop live sending',
  async run() {
    const engine = await startEngine('DuckDB');
    const server = await ServerProcess.start(engine.url);
    const mount = temporaryFolder();
    const command = `mount -t tmpfs -o size=${diskBytes} tmpfs ${mount} && exec ${process.execPath} ${cli} collect --server ${server.url} --data ${mount} --interval 500ms --host full`;
    const collector = spawn('unshare', ['-rm', 'sh', '-c', command], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    collector.stderr.on('data', (text) => {
      said += text;
    });
    const inside = () => `/proc/${collector.pid}/root${mount}`;
    const spool = () => `${inside()}/spool/${spoolName(server.url, 'full')}`;
    const spooled = () => readdirSync(spool()).filter((name) => name.endsWith('.gz')).length;
    const lastSeen = async (): Promise<number> => {
      const answer = (await (await fetch(`${server.url}/v1/hosts`)).json()) as { hosts: { lastSeen: string }[] };
      return Date.parse(answer.hosts[0]?.lastSeen ?? '');
    };
    try {
      await until(async () => (await lastSeen()) > 0, 15_000, `a first snapshot (${said})`);
      fill(`${inside()}/filler`);
      await sleep(1500);
      const before = await lastSeen();
      await sleep(6000);
      const goesOn = ((await lastSeen()) - before) / 500;
      rmSync(`${inside()}/filler`);
      await server.stop('SIGTERM');
      const begin = performance.now();
      await until(() => spooled() >= 2, 20_000, 'the first snapshots on the disk again');
      const healedMs = performance.now() - begin;
      await server.restart();
      await until(() => spooled() <= 1, 60_000, 'an empty spool');
      collector.kill('SIGTERM');
      await new Promise((resolve) => collector.once('exit', resolve));
      await server.stop('SIGTERM');
      const [, taken, stored, dropped] = (
        /snapshots: (\d+) taken = (\d+) stored \+ (\d+) dropped/.exec(said) ?? []
      ).map(Number);
      const store = await openQuietly(engine.url);
      const found = await storedTimes(store, 'full', 'node');
      await store.close();
      return [
        {
          promise: 'a full disk does not stop live sending, and is used again once it has room',
          figure: `full: ${Math.round(goesOn)} of 12 snapshots came in 6 s; room again: spooling after ${(healedMs / 1000).toFixed(1)} s; ${taken} taken, ${stored} stored (${found.times.size} in the store), ${dropped} dropped`,
          holds: goesOn >= 10 && healedMs <= 10_000 && dropped === 0 && found.times.size === taken && stored === taken,
        },
      ];
    } finally {
      collector.kill('SIGKILL');
    }
  },
};

/** To the last byte. */
function fill(path: string): void {
  for (const size of [diskBytes / 4, 4096, 512, 1]) {
    for (let i = 0; i < 4096; i++) {
      try {
        writeFileSync(path, Buffer.alloc(size), { flag: 'a' });
      } catch {
        break;
      }
    }
  }
}
