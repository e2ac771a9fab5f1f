import { stat } from 'node:fs/promises';
import { formatBytes } from '../../core/format-bytes.ts';
import type { DiskUse } from '../../core/store.ts';
import { type Family, families, type Part } from './part-files.ts';
import type { Parts } from './parts.ts';
import type { Readers } from './readers.ts';

interface Options {
  /** Of the database. */
  path: string;
  mostBytes: number | null;
  parts: Parts;
  readers: Readers;
}

/** What goes first when there is too much: the history of hours only after all else. */
const forgotten: readonly (readonly Family[])[] = [
  ['usage', 'minute'],
  ['hour', 'bucket'],
];

/** What the store takes on disk. */
export class Disk {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  async use(): Promise<DiskUse> {
    const { mostBytes, parts } = this.#options;
    const closed = families.map((family) => {
      const all = parts.all().filter((part) => part.family === family);
      const rows = all.reduce((sum, part) => sum + part.rows, 0);
      const [since, until] = [Math.min(...all.map((part) => part.since)), Math.max(...all.map((part) => part.until))];
      return { family, files: all.length, rows, bytes: bytesOf(all), since, until };
    });
    const [databaseBytes, usedBytes] = [await this.#databaseBytes(), await this.#usedBytes()];
    return { databaseBytes, usedBytes, mostBytes, closed: closed.filter(({ files }) => files > 0) };
  }

  /**
   * Of what takes most the oldest, until all of it is small enough.
   * @returns what to forget, and a sentence about it; nothing, where the database alone is too large
   */
  async beyond(): Promise<{ gone: Part[]; said: string[] }> {
    const { mostBytes, parts } = this.#options;
    if (mostBytes === null) return { gone: [], said: [] };
    const database = await this.#usedBytes();
    const most = `--max-disk ${formatBytes(mostBytes)}`;
    if (database > mostBytes) {
      const what = `the database alone, with what is not closed yet, takes ${formatBytes(database)}`;
      return { gone: [], said: [`${what}, more than ${most}: nothing that is closed would make room`] };
    }
    const gone = oldestBeyond(parts.all(), mostBytes - database);
    if (gone.length === 0) return { gone, said: [] };
    const until = new Date(Math.max(...gone.map((part) => part.until))).toISOString().slice(0, 16);
    const text = `the store takes more than ${most}: ${formatBytes(bytesOf(gone))} of the oldest, up to ${until}Z, is forgotten`;
    return { gone, said: [text] };
  }

  /** Of the file what is in use: what is free it takes before it grows. */
  async #usedBytes(): Promise<number> {
    const sql = 'SELECT (block_size * used_blocks)::DOUBLE AS bytes FROM pragma_database_size()';
    const [row] = await this.#options.readers.query(sql, { lane: 'present' });
    return Number(row?.bytes ?? 0);
  }

  async #databaseBytes(): Promise<number> {
    const size = async (path: string) => (await stat(path).catch(() => ({ size: 0 }))).size;
    return (await size(this.#options.path)) + (await size(`${this.#options.path}.wal`));
  }
}

function oldestBeyond(parts: readonly Part[], mostBytes: number): Part[] {
  const gone: Part[] = [];
  let left = bytesOf(parts);
  for (const group of forgotten) {
    const kept = new Map(group.map((family) => [family, ofFamily(parts, family)]));
    while (left > mostBytes && [...kept.values()].some((all) => all.length > 0)) {
      const [largest] = [...kept.values()].sort((a, b) => bytesOf(b) - bytesOf(a)) as [Part[]];
      const oldest = largest.shift() as Part;
      gone.push(oldest);
      left -= oldest.bytes;
    }
  }
  return gone;
}

/** Oldest first. */
function ofFamily(parts: readonly Part[], family: Family): Part[] {
  return parts.filter((part) => part.family === family).sort((a, b) => a.since - b.since);
}

function bytesOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}
