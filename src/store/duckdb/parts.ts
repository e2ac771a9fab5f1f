import type { DuckDBConnection } from '@duckdb/node-api';
import type { TimeWindow } from '../../core/store.ts';
import { fromLeanColumns, usageColumns } from './lean-usage-sql.ts';
import type { Family, Part, PartFiles } from './part-files.ts';
import { rollupNames } from './rollup-sql.ts';
import { num, quoted } from './sql-text.ts';

/** A window that has everything in it. */
export const always: TimeWindow = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };

/** Hosts by id that a question is about, where it names them. */
interface OfHosts {
  hosts?: readonly number[];
}

/** What is selected of a file, and of the table where the same rows are while they are young. */
const columnsOf: Record<Family, { file: string; table: string | null }> = {
  usage: { file: fromLeanColumns, table: usageColumns },
  minute: { file: rollupNames, table: null },
  hour: { file: rollupNames, table: rollupNames },
  bucket: { file: '*', table: '*' },
};

/**
 * The files there are, as the database has them, and rows of young and closed as one relation.
 *
 * A question is made of what was there as it began. Where that changed before it was answered, it is asked again: rows
 * that went from the table into a file would be missing or there twice.
 */
export class Parts {
  readonly #files: PartFiles;
  readonly #byId = new Map<number, Part>();
  #nextId: number;
  /** Odd while the database is being told of a change. */
  #epoch = 0;
  #settled: Promise<unknown> = Promise.resolve();
  /** Questions that must not be disturbed again. */
  readonly #holding = new Set<Promise<unknown>>();
  /** Rows of before are not told any more, though the hour that they are in may still be there. */
  #expiredBefore = Number.NEGATIVE_INFINITY;
  #isWhole = true;

  constructor(files: PartFiles, { parts, out }: KnownParts) {
    this.#files = files;
    for (const part of parts) this.#byId.set(part.id, part);
    this.#nextId = Math.max(0, ...parts.map(({ id }) => id), ...out.map(({ id }) => id)) + 1;
  }

  expireBefore(time: number): void {
    this.#expiredBefore = time;
  }

  /** From when on there are closed rows, and closed minutes; what is older only coarser roll-ups know. */
  oldest(): Record<'usage' | 'minute', number> {
    const first = (family: Family) =>
      Math.min(...this.all().flatMap((part) => (part.family === family ? part.since : [])));
    return { usage: Math.max(this.#expiredBefore, first('usage')), minute: first('minute') };
  }

  /** Of the window, roll-ups of what there are no rows of any more. */
  rolledBefore(window: TimeWindow): number {
    const { usage, minute } = this.oldest();
    const rows = (family: Family, to: number) =>
      this.of(family, { from: window.from, to: Math.min(window.to, to) }).reduce((sum, part) => sum + part.rows, 0);
    return rows('minute', usage) + rows('hour', minute);
  }

  /** None is left out: what the others do not use nobody does. */
  isWhole(): boolean {
    return this.#isWhole;
  }

  nextId(): number {
    return this.#nextId++;
  }

  all(): Part[] {
    return [...this.#byId.values()];
  }

  has({ id }: Part): boolean {
    return this.#byId.has(id);
  }

  /** Those of a family with rows in the window, as far as that is known. */
  of(family: Family, { from, to }: TimeWindow, { hosts }: OfHosts = {}): Part[] {
    return this.all().filter(
      (part) =>
        part.family === family &&
        part.until > from &&
        part.since <= to &&
        (hosts?.some((host) => host >= part.firstHost && host <= part.lastHost) ?? true),
    );
  }

  /** Of one family, to stand after FROM: the young rows, and those of the files in the window. */
  relation(family: Family, window: TimeWindow, ofHosts: OfHosts = {}): string {
    const { table } = columnsOf[family];
    const closed = this.closed(family, window, ofHosts);
    // Of what has no table another one without rows has the columns.
    if (closed === null) return table === null ? `(SELECT ${rollupNames} FROM hour WHERE false)` : family;
    return table === null ? closed : `(SELECT ${table} FROM ${family} UNION ALL SELECT * FROM ${closed})`;
  }

  /** Of files alone; null: there are none in the window. */
  closed(family: Family, window: TimeWindow, ofHosts: OfHosts = {}): string | null {
    const parts = this.of(family, window, ofHosts);
    if (parts.length === 0) return null;
    const kept = family === 'usage' && parts.some(({ since }) => since < this.#expiredBefore);
    const where = kept ? ` WHERE time >= ${num(this.#expiredBefore)}` : '';
    return `(SELECT ${columnsOf[family].file} FROM ${this.filesSql(parts)}${where})`;
  }

  filesSql(parts: readonly Part[]): string {
    return `read_parquet([${parts.map((part) => quoted(this.#files.path(part))).join(', ')}])`;
  }

  /** What a question was made of, once no change is under way; `isSame` says afterwards whether it still was. */
  async view(): Promise<{ isSame: () => boolean }> {
    while (this.#epoch % 2 === 1) await this.#settled;
    const epoch = this.#epoch;
    return { isSame: () => this.#epoch === epoch };
  }

  /** Nothing changes until the work is done. */
  async holding<T>(work: () => Promise<T>): Promise<T> {
    let done: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      done = resolve;
    });
    this.#holding.add(held);
    try {
      return await work();
    } finally {
      this.#holding.delete(held);
      done();
    }
  }

  /** Resolves once no question has to be left undisturbed. */
  async undisturbing(): Promise<void> {
    while (this.#holding.size > 0) await Promise.all(this.#holding);
  }

  /** Tells the database of a change, by `commit`, and from then on all questions. */
  async change(commit: () => Promise<unknown>, { added = [], removed = [] }: PartChange): Promise<void> {
    await this.undisturbing();
    this.#epoch++;
    const told = commit().then(() => {
      for (const part of removed) this.#byId.delete(part.id);
      for (const part of added) this.#byId.set(part.id, part);
    });
    this.#settled = told.catch(() => undefined).then(() => this.#epoch++);
    await this.#settled;
    await told;
  }

  /** A file that cannot be read is as if it were not there. */
  leaveOut(part: Part): void {
    this.#byId.delete(part.id);
    this.#isWhole = false;
    this.#epoch += 2;
  }
}

export interface PartChange {
  added?: readonly Part[];
  removed?: readonly Part[];
}

/** What the database knows of. */
export interface KnownParts {
  parts: Part[];
  /** Nobody reads them any more; their files may still be there. */
  out: Part[];
}

export async function loadParts(connection: DuckDBConnection): Promise<KnownParts> {
  const sql = `SELECT id, family, since::DOUBLE AS since, until::DOUBLE AS until, first_host AS "firstHost", last_host AS "lastHost",
    last_name AS "lastName", rows::DOUBLE AS rows, bytes::DOUBLE AS bytes, crc::DOUBLE AS crc, is_out AS "isOut" FROM part`;
  const all = (await connection.runAndReadAll(sql)).getRowObjects() as unknown as (Part & { isOut: boolean })[];
  return { parts: all.filter(({ isOut }) => !isOut), out: all.filter(({ isOut }) => isOut) };
}

export function insertPartsSql(parts: readonly Part[]): string {
  const rows = parts.map(
    ({ id, family, since, until, firstHost, lastHost, lastName, rows, bytes, crc }) =>
      `(${id}, '${family}', ${since}, ${until}, ${firstHost}, ${lastHost}, ${lastName}, ${rows}, ${bytes}, ${crc}, false)`,
  );
  return `INSERT INTO part VALUES ${rows.join(', ')}`;
}

/** Known until their files are removed: after a kill in between the next start does that. */
export function takeOutPartsSql(parts: readonly Part[]): string {
  return `UPDATE part SET is_out = true WHERE ${among(parts)}`;
}

export function forgetPartsSql(parts: readonly Part[]): string {
  return `DELETE FROM part WHERE ${among(parts)}`;
}

function among(parts: readonly Part[]): string {
  return `id IN (${parts.map(({ id }) => id).join(', ')})`;
}
