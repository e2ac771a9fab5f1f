import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { FolderDisk } from '../src/collector/disk.ts';
import { Sender } from '../src/collector/sender.ts';
import { Spool, spoolLimits } from '../src/collector/spool.ts';
import { realClock } from './in-process-server.ts';
import { bodyOf, gzipBody } from './made-snapshots.ts';
import { seededRandom } from './random.ts';
import { type Scenario, scaled, until } from './scenario.ts';

const snapshots = 4;

/** Bits flipped and ends cut off anywhere in a spool: its snapshots and its ledger. */
export const spoolDamage: Scenario = {
  name: 'spool-damage',
  behaviour: 'damage in the spool costs the snapshot it is in',
  async run(scale) {
    const random = seededRandom(7);
    // Ten thousand spools are made and removed: in memory where there is such a folder.
    const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'amberwatch-damage-'));
    const template = await makeSpool(join(root, 'template'));
    const trials = scaled(10_000, scale);
    let [failed, costly, uncounted, harmless] = [0, 0, 0, 0];
    for (let trial = 0; trial < trials; trial++) {
      const folder = join(root, 'trial');
      mkdirSync(folder);
      for (const [name, data] of template) writeFileSync(join(folder, name), data);
      damageOne(folder, random);
      const { stored, counts } = await drain(folder).catch(() => ({ stored: -1, counts: null }));
      const lost = snapshots - stored;
      if (counts === null) failed++;
      else if (lost > 1) costly++;
      else if (counts.quarantined !== lost || counts.spooled !== 0) uncounted++;
      else if (lost === 0) harmless++;
      rmSync(folder, { recursive: true });
    }
    rmSync(root, { recursive: true });
    return [
      {
        promise: 'damage in the spool costs the snapshot it is in, counted, and never the start',
        figure: `${trials} flips and truncations: ${failed} starts failed, ${costly} cost more than one, ${uncounted} were not counted, ${harmless} cost none`,
        holds: failed + costly + uncounted === 0,
      },
    ];
  },
};

async function makeSpool(folder: string): Promise<Map<string, Buffer>> {
  mkdirSync(folder);
  const spool = await Spool.open(new FolderDisk(folder), spoolLimits(10_000));
  for (let i = 0; i < snapshots; i++) await spool.put(1e12 + i * 10_000, gzipBody(bodyOf('a', 1e12 + i * 10_000, 20)));
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

function damageOne(folder: string, random: () => number): void {
  const names = readdirSync(folder);
  const path = join(folder, names[Math.floor(random() * names.length)] as string);
  const bytes = readFileSync(path);
  const at = Math.floor(random() * bytes.length);
  bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8));
  if (random() < 0.3) truncateSync(path, at);
  else writeFileSync(path, bytes);
}

/** Opens the spool and delivers all of it to a server that takes everything it can read. */
async function drain(folder: string) {
  const times = new Set<string>();
  const spool = await Spool.open(new FolderDisk(folder), spoolLimits(10_000));
  const client = {
    server: 'http://taker',
    put: async (_path: string, gzip: Uint8Array) => {
      for (const { time } of [JSON.parse(gunzipSync(gzip).toString())].flat()) times.add(time);
      return { status: 204, detail: '', retryAfterMs: null };
    },
    close: async () => undefined,
  };
  const log = { info: () => undefined, warn: () => undefined };
  const sender = new Sender({ spool, client, clock: realClock, random: Math.random, log });
  sender.start();
  await until(() => spool.counts.spooled === 0, 5000, 'an empty spool');
  await sender.close(100);
  return { stored: times.size, counts: spool.counts };
}
