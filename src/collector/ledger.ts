import { crc32 } from 'node:zlib';
import { type Disk, ignoreMissing } from './disk.ts';

/** What became of the snapshots that are not in the spool any more, over all runs of the collector. */
export interface Ledger {
  /** Number of the last snapshot taken; they are numbered from 1. */
  sequence: number;
  stored: number;
  /** Older than the server keeps snapshots when they came. */
  expired: number;
  /** Lost to the limits, to a full disk, or because their files vanished. */
  dropped: number;
  /** Refused by the server for good, or unreadable: kept aside. */
  quarantined: number;
  /** The last stretch of dropped snapshots that followed each other: epoch milliseconds, and its last number. */
  gap: { from: number; to: number; sequence: number } | null;
  /** Counted already; their files are removed next, also by the next run. */
  leaving: number[];
}

/** So many leave at once at most: their numbers must fit into a slot. */
export const leavingAtOnce = 100;

const ledgerName = 'ledger';
const slotBytes = 4096;

export function emptyLedger(): Ledger {
  return { sequence: 0, stored: 0, expired: 0, dropped: 0, quarantined: 0, gap: null, leaving: [] };
}

interface Slot {
  ledger: Ledger;
  /** The higher one is the newer. */
  version: number;
}

/**
 * The ledger's file: two slots that are overwritten by turns, each with a checksum. A crash can tear the one
 * that is being written, never both; and nothing is allocated, so a full disk cannot stop the accounting.
 */
export class LedgerFile {
  readonly #disk: Disk;
  #version: number;

  private constructor(disk: Disk, version: number) {
    this.#disk = disk;
    this.#version = version;
  }

  /** The ledger is null when there is none, or both slots are damaged: a flipped digit would make it lie. */
  static async open(disk: Disk): Promise<{ file: LedgerFile; ledger: Ledger | null }> {
    const newest = await readNewest(disk);
    if (newest === null) await allocate(disk);
    return { file: new LedgerFile(disk, newest?.version ?? 0), ledger: newest?.ledger ?? null };
  }

  /** Resolves once it is on disk. */
  async write(ledger: Ledger): Promise<void> {
    this.#version++;
    const text = JSON.stringify({ ledger, version: this.#version });
    const slot = Buffer.alloc(slotBytes, ' ');
    slot.write(`${crc32(text)} ${text}\n`);
    await this.#disk.overwrite(ledgerName, (this.#version % 2) * slotBytes, slot);
  }
}

export async function readLedger(disk: Disk): Promise<Ledger | null> {
  return (await readNewest(disk))?.ledger ?? null;
}

async function readNewest(disk: Disk): Promise<Slot | null> {
  const bytes = Buffer.from(await disk.read(ledgerName).catch(noneWhenNoFile));
  const slots = [0, slotBytes].map((from) => parseSlot(bytes.subarray(from, from + slotBytes).toString()));
  return slots.reduce((a, b) => (a !== null && (b === null || a.version > b.version) ? a : b), null);
}

/** An error of the moment must not cost the accounts of all runs. */
function noneWhenNoFile(error: NodeJS.ErrnoException): Uint8Array {
  if (!['ENOENT', 'EINVAL', 'ELOOP', 'EISDIR', 'ENXIO'].includes(error.code ?? '')) throw error;
  return new Uint8Array(0);
}

function parseSlot(slot: string): Slot | null {
  const [, crc, text = ''] = /^(\d+) (.*)\n/.exec(slot) ?? [];
  if (Number(crc) !== crc32(text)) return null;
  const { ledger, version } = JSON.parse(text) as Slot;
  // One of 0.1.0 does not know what has expired.
  return { ledger: { ...emptyLedger(), ...ledger }, version };
}

/** Written whole before the first use, so that later writes find their place. */
async function allocate(disk: Disk): Promise<void> {
  const temporary = `${ledgerName}.tmp`;
  try {
    await disk.write(temporary, Buffer.alloc(2 * slotBytes, ' '));
    await disk.rename(temporary, ledgerName);
    await disk.sync();
  } catch (error) {
    await disk.remove(temporary).catch(ignoreMissing);
    throw error;
  }
}
