import { gunzipSync, gzipSync } from 'node:zlib';
import { messageOf } from '../core/error.ts';
import type { Log } from '../platform/log.ts';
import type { Spool, SpoolEntry } from './spool.ts';

/** A backlog goes in arrays of at most so many snapshots and so many decoded bytes: the server takes 1 MiB. */
export const maxBatch = { snapshots: 100, bytes: 900_000 };
/** Decoded size of one spooled snapshot beyond which it is damage, not data. */
const maxDecodedBytes = 16 * 1024 * 1024;
/** There is something else in the place of a snapshot's file. */
const strangeErrors: readonly (string | undefined)[] = ['EINVAL', 'ELOOP', 'EISDIR', 'ENXIO', 'ENODEV'];
/** The file, or all of the folder: that shows when another one is read. */
const fileErrors: readonly (string | undefined)[] = ['EACCES', 'EPERM', 'EIO'];

/** Reads spooled snapshots as the body of one request; what cannot be read is set aside, and costs only itself. */
export class SpooledBatches {
  readonly #spool: Spool;
  readonly #log: Pick<Log, 'info' | 'warn'>;
  /** Sequences of files that could not be read, and not yet told from a folder that cannot. */
  readonly #unreadable = new Set<number>();

  constructor(spool: Spool, log: Pick<Log, 'info' | 'warn'>) {
    this.#spool = spool;
    this.#log = log;
  }

  /** Until it is known why it cannot be read. */
  isUnreadable({ sequence }: SpoolEntry): boolean {
    return this.#unreadable.has(sequence);
  }

  /** Reads the wanted snapshots; one that cannot be decoded is set aside and costs only itself. */
  async load(wanted: readonly SpoolEntry[]): Promise<{ entries: SpoolEntry[]; body: Uint8Array }> {
    const entries: SpoolEntry[] = [];
    const texts: string[] = [];
    let raw: Uint8Array = new Uint8Array(0);
    let bytes = 0;
    for (const entry of wanted) {
      const data = await this.#read(entry);
      const text = data && (await this.#decode(entry, data));
      if (data === null || text === null) continue;
      bytes += Buffer.byteLength(text);
      if (entries.length > 0 && bytes > maxBatch.bytes) break;
      entries.push(entry);
      texts.push(text);
      raw = data;
    }
    return { entries, body: wanted.length === 1 ? raw : gzipSync(`[${texts.join(',')}]`) };
  }

  /** A file that somebody has removed is a snapshot lost; one that cannot be read is set aside, whatever it is. */
  async #read(entry: SpoolEntry): Promise<Uint8Array | null> {
    try {
      const data = await this.#spool.read(entry);
      this.#unreadable.delete(entry.sequence);
      await this.#setUnreadableAside();
      return data;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') await this.#spool.leave([entry], 'dropped');
      else if (strangeErrors.includes(code)) await this.#setAside(entry, messageOf(error));
      else if (fileErrors.includes(code)) this.#unreadable.add(entry.sequence);
      else throw error;
      return null;
    }
  }

  /** Another one could be read: it is these files, and not all of the folder. */
  async #setUnreadableAside(): Promise<void> {
    if (this.#unreadable.size === 0) return;
    const entries = this.#spool.oldest(Infinity, ({ sequence }) => !this.#unreadable.has(sequence));
    this.#unreadable.clear();
    for (const entry of entries) {
      const error = await this.#spool.read(entry).then(() => null, messageOf);
      if (error !== null) await this.#setAside(entry, error);
    }
  }

  async #setAside(entry: SpoolEntry, why: string): Promise<void> {
    this.#log.warn(`spooled snapshot ${entry.sequence} cannot be read and was set aside: ${why}`);
    await this.#spool.leave([entry], 'quarantined');
  }

  async #decode(entry: SpoolEntry, data: Uint8Array): Promise<string | null> {
    try {
      return decodeSpooled(data);
    } catch {
      this.#log.warn(`spooled snapshot ${entry.sequence} is damaged and was set aside`);
      await this.#spool.leave([entry], 'quarantined');
      return null;
    }
  }
}

/**
 * The JSON text of a spooled file.
 * @throws when it is damaged: gzip has a checksum over all of it
 */
export function decodeSpooled(data: Uint8Array): string {
  const text = gunzipSync(data, { maxOutputLength: maxDecodedBytes }).toString();
  JSON.parse(text);
  return text;
}
