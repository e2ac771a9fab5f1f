import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatDuration } from '../core/duration.ts';
import { MonitorError, messageOf } from '../core/error.ts';
import { FolderDisk } from './disk.ts';
import { type Ledger, readLedger } from './ledger.ts';
import {
  accountsLine,
  countsOf,
  entriesOf,
  nameOf,
  openLockedSpool,
  reconcile,
  type SpoolEntry,
  spoolLimits,
} from './spool.ts';
import { decodeSpooled } from './spooled-batch.ts';

/** What `amberwatch spool` does; each resolves with the lines to print. Reading disturbs no running collector. */

export async function listSpools(folder: string, now: number): Promise<string[]> {
  const names = await spoolNames(folder);
  if (names.length === 0) return [`no spool in ${folder}`];
  return (await Promise.all(names.map((name) => describeSpool(join(folder, name), name, now)))).flat();
}

async function describeSpool(folder: string, name: string, now: number): Promise<string[]> {
  const disk = new FolderDisk(folder);
  const { entries, ledger } = await readQuietly(disk);
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  const oldest =
    entries[0] === undefined ? '' : `, the oldest from ${formatDuration(Math.max(0, now - entries[0].time))} ago`;
  const lines = [`${name}: ${entries.length} snapshots wait, ${(bytes / 1024 / 1024).toFixed(1)} MiB${oldest}`];
  if (ledger === null) return [...lines, '  no accounts yet, or damaged'];
  const { gap } = ledger;
  lines.push(`  ${accountsLine(countsOf(ledger, entries))}`);
  if (gap !== null) lines.push(`  last gap: ${new Date(gap.from).toISOString()} to ${new Date(gap.to).toISOString()}`);
  return lines;
}

const mostTries = 10;

/**
 * Files and accounts that belong together, as the collector's next start would count them: the ledger is written
 * only when something leaves. A collector that runs may change both between two readings.
 */
async function readQuietly(disk: FolderDisk): Promise<{ entries: SpoolEntry[]; ledger: Ledger | null }> {
  let before = await readLedger(disk);
  for (let tries = 1; ; tries++) {
    const found = entriesOf(await disk.list());
    const ledger = await readLedger(disk);
    if (JSON.stringify(ledger) === JSON.stringify(before) || tries >= mostTries) {
      const gone = new Set(ledger?.leaving);
      const entries = found.filter(({ sequence }) => !gone.has(sequence));
      if (ledger !== null) reconcile(ledger, entries);
      return { entries, ledger };
    }
    before = ledger;
  }
}

/** @returns the lines, and how many snapshots are damaged */
export async function verifySpools(folder: string): Promise<{ lines: string[]; damaged: number }> {
  const lines: string[] = [];
  let damaged = 0;
  for (const name of await spoolNames(folder)) {
    const disk = new FolderDisk(join(folder, name));
    const entries = entriesOf(await disk.list());
    for (const entry of entries) {
      // What has left meanwhile has been delivered.
      const problem = await problemOf(disk, entry);
      if (problem === null) continue;
      damaged++;
      lines.push(`${name}/${nameOf(entry)}: ${problem}`);
    }
    lines.push(`${name}: ${entries.length} snapshots looked at`);
  }
  return { lines, damaged };
}

/** Counted as dropped. @throws MonitorError `conflict` while a collector runs, `not_found` for no such spool */
export async function dropSpool(folder: string, name: string): Promise<string[]> {
  const path = join(folder, name);
  await access(path).catch(() => {
    throw new MonitorError('not_found', `there is no spool ${path}; see: amberwatch spool ls`);
  });
  const { spool, unlock } = await openLockedSpool(path, spoolLimits(10_000));
  try {
    const entries = spool.oldest(Infinity);
    await spool.leave(entries, 'dropped');
    return [`${entries.length} snapshots dropped`];
  } finally {
    await unlock();
  }
}

async function spoolNames(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

async function problemOf(disk: FolderDisk, entry: SpoolEntry): Promise<string | null> {
  try {
    decodeSpooled(await disk.read(nameOf(entry)));
    return null;
  } catch (error) {
    const hasLeft = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return hasLeft ? null : `damaged: ${messageOf(error)}`;
  }
}
