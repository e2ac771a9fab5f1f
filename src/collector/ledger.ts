import { crc32 } from 'node:zlib';
import { type Disk, ignoreMissing } from './disk.ts';

/** What became of the snapshots that are not in the spool any more, over all runs of the collector. */
export interface Ledger {
  /** Number of the last snapshot taken; they are numbered from 1. */
  sequence: number;
  stored: number;
  /** Lost to the limits, to a full disk, or because their files vanished. */
  dropped: number;
  /** Refused by the server for good, or unreadable: kept aside. */
  quarantined: number;
  /** The last stretch of dropped snapshots that followed each other: epoch milliseconds, and its last number. */
  gap: { from: number; to: number; sequence: number } | null;
  /** Counted already; their files are removed next, also by the next run. */
  leaving: number[];
}

export const ledgerName = 'ledger.json';
const temporaryName = 'ledger.json.tmp';

export function emptyLedger(): Ledger {
  return { sequence: 0, stored: 0, dropped: 0, quarantined: 0, gap: null, leaving: [] };
}

/** Null when there is none or it is damaged: a single flipped digit would make the accounting lie. */
export async function readLedger(disk: Disk): Promise<Ledger | null> {
  try {
    const { ledger, crc } = JSON.parse(Buffer.from(await disk.read(ledgerName)).toString()) as {
      ledger: Ledger;
      crc: number;
    };
    return crc === crc32(JSON.stringify(ledger)) ? ledger : null;
  } catch {
    return null;
  }
}

export async function writeLedger(disk: Disk, ledger: Ledger): Promise<void> {
  const text = JSON.stringify({ ledger, crc: crc32(JSON.stringify(ledger)) });
  try {
    await disk.write(temporaryName, Buffer.from(text));
    await disk.rename(temporaryName, ledgerName);
    await disk.sync();
  } catch (error) {
    await disk.remove(temporaryName).catch(ignoreMissing);
    throw error;
  }
}
