import { setImmediate } from 'node:timers/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import { messageOf } from '../../core/error.ts';
import type { Part, PartFiles } from './part-files.ts';
import { forgetPartsSql, type KnownParts, type Parts } from './parts.ts';
import { num } from './sql-text.ts';

export interface DamagedPartsOptions {
  parts: Parts;
  files: PartFiles;
  /** For deletions; whoever uses it has the turn in the chain of commits. */
  connection: DuckDBConnection;
  exclusive: <T>(work: () => Promise<T>) => Promise<T>;
  /** For the names of what is set aside. */
  stamp: string;
}

/** Finds the files that cannot be read: a damaged one costs its own rows, and no question more than once. */
export class DamagedParts {
  readonly #options: DamagedPartsOptions;
  #said: string[] = [];
  #looking: Promise<unknown> = Promise.resolve();

  constructor(options: DamagedPartsOptions) {
    this.#options = options;
  }

  /** What has been found since that was asked, as sentences. */
  said(): string[] {
    const said = this.#said;
    this.#said = [];
    return said;
  }

  /** @returns how many of them are left out from now on. @param how far: their size, or every byte */
  look(parts: readonly Part[], how: 'size' | 'bytes' = 'bytes'): Promise<number> {
    const looked = this.#looking.catch(() => undefined).then(() => this.#look(parts, how));
    this.#looking = looked;
    return looked;
  }

  /** After a question has failed: looks at the files that its message is about. */
  lookAfter(error: unknown): Promise<number> {
    const { parts, files } = this.#options;
    const message = messageOf(error);
    const named = parts.all().filter((part) => message.includes(files.path(part)));
    if (named.length > 0) return this.look(named);
    return /parquet|magic bytes|zstd|thrift/i.test(message) ? this.look(parts.all()) : Promise.resolve(0);
  }

  /**
   * At the start: what a kill has left is removed. A file that the database should know of, and does not, is of another
   * database, or of one that was damaged or put back from a copy: it is kept under another name.
   */
  async sortOut({ parts, out }: KnownParts): Promise<void> {
    const { files, connection } = this.#options;
    await files.remove(out);
    if (out.length > 0) await connection.run(forgetPartsSql(out));
    const last = Math.max(0, ...parts.map(({ id }) => id), ...out.map(({ id }) => id));
    const unknown = await files.unknown(parts);
    const left: typeof unknown = [];
    for (const file of unknown) if (file.id > last && (await this.#isElsewhere(file, parts))) left.push(file);
    await files.remove(left);
    const strange = unknown.filter((file) => !left.includes(file));
    for (const file of strange) await files.setAside(file, 'unknown', this.#options.stamp);
    if (strange.length > 0)
      this.#said.push(
        `${strange.length} files in ${files.folder} are not known to the database, as if it were another or older one; they have names that end in .unknown-${this.#options.stamp} now, and nothing of them is told`,
      );
  }

  /** Whether the rows of a file that was never told of are where they came from: in the table, or in other files. */
  async #isElsewhere(file: Pick<Part, 'family' | 'since'>, parts: readonly Part[]): Promise<boolean> {
    if (parts.some(({ family, since, until }) => family === file.family && since <= file.since && file.since < until))
      return true;
    const table = file.family === 'minute' ? 'usage' : file.family;
    const during = `time >= ${num(file.since)} AND time < ${num(file.since + 86_400_000)}`;
    return (
      (await this.#options.connection.runAndReadAll(`SELECT 1 FROM ${table} WHERE ${during} LIMIT 1`)).currentRowCount >
      0
    );
  }

  async #look(parts: readonly Part[], how: 'size' | 'bytes'): Promise<number> {
    const { parts: known, files } = this.#options;
    let found = 0;
    for (const part of parts) {
      await setImmediate();
      try {
        const state = await (how === 'size' ? files.isThere(part) : files.isWhole(part));
        if (state === 'there' || !known.has(part)) continue;
        known.leaveOut(part);
        found++;
        await (state === 'missing' ? this.#miss(part) : this.#setAside(part));
      } catch (error) {
        this.#said.push(`${files.path(part)} cannot be looked at: ${messageOf(error)}`);
      }
    }
    return found;
  }

  /** It may come back with its folder: the database goes on naming it. */
  async #miss(part: Part): Promise<void> {
    this.#said.push(
      `${this.#options.files.path(part)} is missing, with ${contents(part)}; put it back and restart the server`,
    );
  }

  async #setAside(part: Part): Promise<void> {
    const { files, connection, exclusive, stamp } = this.#options;
    await exclusive(async () => void (await connection.run(forgetPartsSql([part]))));
    const aside = await files.setAside(part, 'damaged', stamp);
    this.#said.push(`${files.path(part)} was damaged and is in ${aside} now, with ${contents(part)}`);
  }
}

/** `108,000 rows of 2026-11-22T10:00Z to 2026-11-22T11:00Z`. */
function contents({ family, rows, since, until }: Part): string {
  const what = {
    usage: 'rows',
    minute: 'roll-ups of a minute',
    hour: 'roll-ups of an hour',
    bucket: 'buckets of percentiles',
  }[family];
  const iso = (time: number) =>
    Math.abs(time) <= 8.64e15 ? `${new Date(time).toISOString().slice(0, 16)}Z` : String(time);
  return `${rows.toLocaleString('en')} ${what} of ${iso(since)} to ${iso(until)}`;
}
