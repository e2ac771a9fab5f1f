import { stat } from 'node:fs/promises';
import { formatBytes } from '../../core/format-bytes.ts';
import type { DiskUse } from '../../core/store.ts';
import type { Family, Part, PartFiles } from './part-files.ts';
import type { Parts } from './parts.ts';

interface Options {
  /** Of the database. */
  path: string;
  mostBytes: number | null;
  parts: Parts;
  files: PartFiles;
}

const families: readonly Family[] = ['usage', 'minute', 'hour', 'bucket'];

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
      const sum = (of: (part: Part) => number) => all.reduce((total, part) => total + of(part), 0);
      const [since, until] = [Math.min(...all.map((part) => part.since)), Math.max(...all.map((part) => part.until))];
      return {
        family,
        files: all.length,
        rows: sum(({ rows }) => rows),
        bytes: sum(({ bytes }) => bytes),
        since,
        until,
      };
    });
    return { databaseBytes: await this.#databaseBytes(), mostBytes, closed: closed.filter(({ files }) => files > 0) };
  }

  /**
   * The oldest of what takes most, until all of it is small enough. What is not closed yet cannot be left out.
   * @returns what to forget
   */
  async beyond(): Promise<Part[]> {
    const { mostBytes, parts } = this.#options;
    if (mostBytes === null) return [];
    const kept = new Set(parts.all());
    const gone: Part[] = [];
    const bytes = (all: Iterable<Part>) => [...all].reduce((sum, part) => sum + part.bytes, 0);
    for (let total = (await this.#databaseBytes()) + bytes(kept); total > mostBytes && kept.size > 0; ) {
      const [largest] = families
        .map((family) => [...kept].filter((part) => part.family === family))
        .sort((a, b) => bytes(b) - bytes(a)) as [Part[]];
      const oldest = largest.reduce((first, part) => (part.since < first.since ? part : first));
      kept.delete(oldest);
      gone.push(oldest);
      total -= oldest.bytes;
    }
    return gone;
  }

  /** @returns a sentence about what is forgotten for want of room */
  tooMuch(gone: readonly Part[]): string {
    const until = new Date(Math.max(...gone.map((part) => part.until))).toISOString().slice(0, 16);
    const bytes = gone.reduce((sum, part) => sum + part.bytes, 0);
    return `the store takes more than --max-disk ${formatBytes(this.#options.mostBytes)}: ${formatBytes(bytes)} of the oldest, up to ${until}Z, is forgotten`;
  }

  async #databaseBytes(): Promise<number> {
    const size = async (path: string) => (await stat(path).catch(() => ({ size: 0 }))).size;
    return (await size(this.#options.path)) + (await size(`${this.#options.path}.wal`));
  }
}
