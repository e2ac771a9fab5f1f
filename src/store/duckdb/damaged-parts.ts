import type { DuckDBConnection } from '@duckdb/node-api';
import { messageOf } from '../../core/error.ts';
import type { Part, PartFiles } from './part-files.ts';
import { deletePartsSql, type Parts } from './parts.ts';

interface Options {
  parts: Parts;
  files: PartFiles;
  /** For deletions. */
  connection: DuckDBConnection;
  /** For the names of what is set aside. */
  stamp: string;
}

/** Finds the files that cannot be read: a damaged one costs its own rows, and no question more than once. */
export class DamagedParts {
  readonly #options: Options;
  #said: string[] = [];
  #looking: Promise<number> | null = null;

  constructor(options: Options) {
    this.#options = options;
  }

  /** What has been found since that was asked, as sentences. */
  said(): string[] {
    const said = this.#said;
    this.#said = [];
    return said;
  }

  /**
   * Looks at every file. @param how far: its size, or every byte of it
   * @returns how many are left out from now on
   */
  look(how: 'size' | 'bytes'): Promise<number> {
    this.#looking ??= this.#look(how).finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #look(how: 'size' | 'bytes'): Promise<number> {
    const { parts, files } = this.#options;
    let found = 0;
    for (const part of parts.all()) {
      const state = await (how === 'size' ? files.isThere(part) : files.isWhole(part));
      if (state === 'there' || !parts.all().includes(part)) continue;
      found++;
      parts.leaveOut(part);
      await (state === 'missing' ? this.#miss(part) : this.#setAside(part)).catch((error: unknown) =>
        this.#said.push(`${files.path(part)} cannot be read: ${messageOf(error)}`),
      );
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
    const { files, connection, stamp } = this.#options;
    const aside = await files.setAside(part, stamp);
    await connection.run(deletePartsSql([part]));
    this.#said.push(`${files.path(part)} was damaged and is in ${aside} now, with ${contents(part)}`);
  }
}

/** `108,000 rows of 2026-11-22T10:00Z to 11:00Z`. */
function contents({ family, rows, since, until }: Part): string {
  const what = {
    usage: 'rows',
    minute: 'roll-ups of a minute',
    hour: 'roll-ups of an hour',
    bucket: 'buckets of percentiles',
  }[family];
  const iso = (time: number) => `${new Date(time).toISOString().slice(0, 16)}Z`;
  return `${rows.toLocaleString('en')} ${what} of ${iso(since)} to ${iso(until)}`;
}
