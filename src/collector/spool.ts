import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MonitorError } from '../core/error.ts';
import { type FileLock, takeLock } from '../platform/file-lock.ts';
import { type Disk, FolderDisk, ignoreMissing } from './disk.ts';
import { emptyLedger, type Ledger, LedgerFile, leavingAtOnce } from './ledger.ts';

export interface SpoolLimits {
  bytes: number;
  /** 72 h of them at the collector's interval. Not an age: the wall clock may jump. */
  snapshots: number;
}

const maxBytes = 256 * 1024 * 1024;
const maxAgeMs = 72 * 3_600_000;
const maxQuarantined = 1000;
const quarantineFolder = 'quarantine';

export function spoolLimits(intervalMs: number): SpoolLimits {
  return { bytes: maxBytes, snapshots: Math.ceil(maxAgeMs / intervalMs) };
}

/** One spooled snapshot. All that is known of it stands in its file name, so that nothing need be opened. */
export interface SpoolEntry {
  sequence: number;
  time: number;
  bytes: number;
}

/** Over all runs: taken = stored + expired + dropped + quarantined + spooled, always. */
export interface SpoolCounts {
  taken: number;
  stored: number;
  expired: number;
  dropped: number;
  quarantined: number;
  spooled: number;
}

/** How a snapshot leaves the spool. */
export type Leaving = 'stored' | 'dropped' | 'quarantined';

/**
 * A folder of files, one gzip snapshot each, named by time and sequence. A file is complete or not there:
 * written under another name, synced, then renamed. Deleting works on a full disk, a damaged file costs
 * one snapshot, and a start reads nothing but the folder's listing and the ledger. What leaves is written
 * into the ledger before its file is removed, so that the accounting stays exact whenever the process ends.
 */
export class Spool {
  readonly #disk: Disk;
  #limits: SpoolLimits;
  /** Null: there was no room for it when the spool was opened. */
  readonly #file: LedgerFile | null;
  #ledger: Ledger;
  /** Oldest first. */
  #entries: SpoolEntry[];
  #bytes: number;
  /** Changes of the ledger follow each other on it. */
  #tail: Promise<unknown> = Promise.resolve();

  private constructor(disk: Disk, limits: SpoolLimits, file: LedgerFile | null, ledger: Ledger, entries: SpoolEntry[]) {
    this.#file = file;
    this.#disk = disk;
    this.#limits = limits;
    this.#ledger = ledger;
    this.#entries = entries;
    this.#bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  }

  /** For snapshots that come more often than they did. */
  widen({ bytes, snapshots }: SpoolLimits): void {
    this.#limits = {
      bytes: Math.max(bytes, this.#limits.bytes),
      snapshots: Math.max(snapshots, this.#limits.snapshots),
    };
  }

  static async open(disk: Disk, limits: SpoolLimits): Promise<Spool> {
    const names = await disk.list();
    // What cannot be removed, such as a folder of that name, is in nobody's way.
    for (const name of names.filter((each) => each.endsWith('.tmp'))) await disk.remove(name).catch(() => undefined);
    const found = entriesOf(names);
    const { file, ledger: kept } = await openLedger(disk);
    const ledger = kept ?? ledgerOf(found);
    const gone = new Set(ledger.leaving);
    const stuck: number[] = [];
    for (const entry of found.filter(({ sequence }) => gone.has(sequence)))
      await disk.remove(nameOf(entry)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') stuck.push(entry.sequence);
      });
    // Before the ledger forgets them: a power cut must not bring them back.
    await disk.sync();
    const entries = found.filter(({ sequence }) => !gone.has(sequence));
    reconcile(ledger, entries);
    ledger.leaving = stuck;
    const spool = new Spool(disk, limits, file, ledger, entries);
    await spool.#writeLedger(ledger);
    return spool;
  }

  get counts(): SpoolCounts {
    return countsOf(this.#ledger, this.#entries);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** When the last snapshots were lost that followed each other, epoch milliseconds; null: none ever. */
  get gap(): { from: number; to: number } | null {
    return this.#ledger.gap;
  }

  /** Resolves once the snapshot is on disk. One that cannot be kept has not been taken: see `pass` and `lose`. */
  async put(time: number, data: Uint8Array): Promise<SpoolEntry> {
    return this.#inTurn(async () => {
      const entry = { sequence: this.#ledger.sequence + 1, time, bytes: data.length };
      await this.#writeWhole(nameOf(entry), data);
      this.#ledger.sequence = entry.sequence;
      this.#entries.push(entry);
      this.#bytes += entry.bytes;
      // The snapshot is kept, whatever becomes of the oldest.
      await this.#dropExcess().catch(() => undefined);
      return entry;
    });
  }

  /** A snapshot that could not be kept, as on a full disk, but reached the server past the spool. */
  async pass(how: 'stored' | 'expired'): Promise<void> {
    await this.#inTurn(async () => {
      const ledger = this.#ledger;
      await this.#writeLedger({ ...ledger, sequence: ledger.sequence + 1, [how]: ledger[how] + 1 });
    });
  }

  /** A snapshot that could be neither kept nor stored. */
  async lose(time: number): Promise<void> {
    await this.#inTurn(async () => {
      const sequence = this.#ledger.sequence + 1;
      await this.#writeLedger(withDropped({ ...this.#ledger, sequence }, [{ sequence, time, bytes: 0 }]));
    });
  }

  /** Makes room on a full disk. */
  async dropOldest(): Promise<void> {
    await this.leave(this.#entries.slice(0, 1), 'dropped');
  }

  newest(): SpoolEntry | undefined {
    return this.#entries.at(-1);
  }

  /** Oldest first, at most `count`, without those that `except` holds. */
  oldest(count: number, except: (entry: SpoolEntry) => boolean = () => false): SpoolEntry[] {
    const found: SpoolEntry[] = [];
    for (const entry of this.#entries) {
      if (found.length >= count) break;
      if (!except(entry)) found.push(entry);
    }
    return found;
  }

  read(entry: SpoolEntry): Promise<Uint8Array> {
    return this.#disk.read(nameOf(entry));
  }

  /**
   * Counts, then removes: a snapshot that is counted is never sent again. Others of the name are ignored.
   * @param expired how many of those the server took were too old to be stored: which ones it does not say
   */
  async leave(entries: readonly SpoolEntry[], how: Leaving, expired = 0): Promise<void> {
    await this.#inTurn(async () => {
      const here = entries.filter((entry) => this.#entries.includes(entry));
      let left = expired;
      for (let from = 0; from < here.length; from += leavingAtOnce) {
        const group = here.slice(from, from + leavingAtOnce);
        const old = Math.min(left, group.length);
        left -= old;
        await this.#leave(group, how, old);
      }
    });
  }

  async #dropExcess(): Promise<void> {
    for (let excess = this.#excess(); excess.length > 0; excess = this.#excess())
      await this.#leave(excess.slice(0, leavingAtOnce), 'dropped');
  }

  /** All or, where the ledger cannot be written, nothing. A file that cannot be removed is so at the next start. */
  async #leave(entries: readonly SpoolEntry[], how: Leaving, expired = 0): Promise<void> {
    const counted =
      how === 'dropped'
        ? withDropped(this.#ledger, entries)
        : { ...this.#ledger, [how]: this.#ledger[how] + entries.length - expired };
    counted.expired += expired;
    const stuck = this.#ledger.leaving.slice(-leavingAtOnce);
    await this.#writeLedger({ ...counted, leaving: [...stuck, ...entries.map((entry) => entry.sequence)] });
    const gone = new Set(entries);
    this.#entries = this.#entries.filter((entry) => !gone.has(entry));
    for (const entry of entries) this.#bytes -= entry.bytes;
    for (const entry of entries) await this.#removeFile(entry, how).catch(() => stuck.push(entry.sequence));
    await this.#disk.sync();
    this.#ledger.leaving = stuck;
  }

  async #removeFile(entry: SpoolEntry, how: Leaving): Promise<void> {
    const name = nameOf(entry);
    if (how !== 'quarantined') return this.#disk.remove(name).catch(ignoreMissing);
    await this.#disk.rename(name, `${quarantineFolder}/${name}`).catch(ignoreMissing);
    const files = (await this.#disk.list(quarantineFolder)).sort();
    // What cannot be removed, such as a folder that stood in a snapshot's place, stays.
    for (const file of files.slice(0, Math.max(0, files.length - maxQuarantined)))
      await this.#disk.remove(`${quarantineFolder}/${file}`).catch(() => undefined);
  }

  /** The oldest that are too many. The newest always stays. */
  #excess(): SpoolEntry[] {
    let bytes = this.#bytes;
    let count = 0;
    while (
      this.#entries.length - count > 1 &&
      (bytes > this.#limits.bytes || this.#entries.length - count > this.#limits.snapshots)
    ) {
      bytes -= this.#entries[count]?.bytes ?? 0;
      count++;
    }
    return this.#entries.slice(0, count);
  }

  async #writeWhole(name: string, data: Uint8Array): Promise<void> {
    const temporary = `${name}.tmp`;
    try {
      await this.#disk.write(temporary, data);
      await this.#disk.rename(temporary, name);
      await this.#disk.sync();
    } catch (error) {
      for (const half of [temporary, name]) await this.#disk.remove(half).catch(() => undefined);
      throw error;
    }
  }

  async #writeLedger(ledger: Ledger): Promise<void> {
    await this.#file?.write(ledger).catch(ignoreFullDisk);
    this.#ledger = ledger;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

const namePattern = /^(\d{14})-(\d{9,})-(\d+)\.json\.gz$/;

export function nameOf({ time, sequence, bytes }: SpoolEntry): string {
  return `${String(time).padStart(14, '0')}-${String(sequence).padStart(9, '0')}-${bytes}.json.gz`;
}

/** The snapshots among the files of a spool, oldest first. */
export function entriesOf(names: readonly string[]): SpoolEntry[] {
  return names.flatMap(parseName).sort((a, b) => a.sequence - b.sequence);
}

function parseName(name: string): SpoolEntry[] {
  const match = namePattern.exec(name);
  return match ? [{ time: Number(match[1]), sequence: Number(match[2]), bytes: Number(match[3]) }] : [];
}

/** On a disk that is full from the first start on the accounts are kept in memory alone. */
async function openLedger(disk: Disk): Promise<{ file: LedgerFile | null; ledger: Ledger | null }> {
  try {
    return await LedgerFile.open(disk);
  } catch (error) {
    ignoreFullDisk(error as NodeJS.ErrnoException);
    return { file: null, ledger: null };
  }
}

function ignoreFullDisk(error: NodeJS.ErrnoException): undefined {
  if (!['ENOSPC', 'EDQUOT'].includes(error.code ?? '')) throw error;
}

/** Without a ledger that can be read, what is not here any more is taken for stored. */
function ledgerOf(entries: readonly SpoolEntry[]): Ledger {
  const sequence = entries.at(-1)?.sequence ?? 0;
  return { ...emptyLedger(), sequence, stored: sequence - entries.length };
}

function withDropped(ledger: Ledger, entries: readonly SpoolEntry[]): Ledger {
  let { gap } = ledger;
  for (const { sequence, time } of entries) {
    const goesOn = gap !== null && gap.sequence === sequence - 1;
    gap = { from: goesOn && gap !== null ? Math.min(gap.from, time) : time, to: time, sequence };
  }
  return { ...ledger, gap, dropped: ledger.dropped + entries.length };
}

/** For a person. What is rare is left out where there was none. */
export function accountsLine({ taken, stored, expired, dropped, quarantined, spooled }: SpoolCounts): string {
  const old = expired > 0 ? ` + ${expired} too old for the server` : '';
  return `${taken} taken = ${stored} stored${old} + ${dropped} dropped + ${quarantined} set aside + ${spooled} in the spool`;
}

export function countsOf(ledger: Ledger, entries: readonly SpoolEntry[]): SpoolCounts {
  const { sequence, stored, expired, dropped, quarantined } = ledger;
  return { taken: sequence, stored, expired, dropped, quarantined, spooled: entries.length };
}

/** Files that vanished, or figures that a full disk did not take, are dropped snapshots. */
export function reconcile(ledger: Ledger, entries: readonly SpoolEntry[]): void {
  ledger.leaving = [];
  ledger.sequence = Math.max(ledger.sequence, entries.at(-1)?.sequence ?? 0);
  const known = ledger.stored + ledger.expired + ledger.dropped + ledger.quarantined + entries.length;
  ledger.dropped += Math.max(0, ledger.sequence - known);
  ledger.sequence = Math.max(ledger.sequence, known);
}

/** The spool of a folder, for this process alone. */
export interface LockedSpool {
  spool: Spool;
  /** Another process may use the folder from now on. */
  unlock(): Promise<void>;
}

const lockName = 'in-use-by';

/** @throws MonitorError `conflict` when another process uses the folder. */
export async function openLockedSpool(folder: string, limits: SpoolLimits): Promise<LockedSpool> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await mkdir(join(folder, quarantineFolder), { recursive: true, mode: 0o700 }).catch(ignoreFullDisk);
  const lock = await lockFolder(folder);
  const spool = await Spool.open(new FolderDisk(folder), limits);
  return { spool, unlock: () => lock?.release() ?? Promise.resolve() };
}

/** Two processes on one spool would send each other's snapshots to their own servers. */
async function lockFolder(folder: string): Promise<FileLock | undefined> {
  // A full disk takes no lock, and must not keep the collector from sending past the spool.
  const lock = await takeLock(join(folder, lockName)).catch(ignoreFullDisk);
  if (lock === undefined || 'release' in lock) return lock;
  throw new MonitorError(
    'conflict',
    `process ${lock.holder} uses the spool ${folder}; stop that one or choose another folder with --data`,
  );
}
