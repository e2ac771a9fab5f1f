import { setTimeout as sleep } from 'node:timers/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import { MonitorError } from '../../core/error.ts';
import { leanColumns } from './lean-usage-sql.ts';
import type { Family, Part, PartFiles } from './part-files.ts';
import { deletePartsSql, insertPartsSql, type Parts } from './parts.ts';
import type { Readers } from './readers.ts';
import { binSql, bucketsSql, rolledSql, rollupNames } from './rollup-sql.ts';
import { num, quoted } from './sql-text.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
/** Rows within so long stand together in a file, sorted by series: a question about five minutes skips the rest. */
const sliceMs = 10 * minuteMs;
/** Smaller files of one hour, or one day, become one when there are so many. */
const mostSmall = 8;
const interruptEveryMs = 20;

/** How rows of a family lie in a file, and how many one has at most. */
interface Layout {
  /** Of so long a file is, at most. */
  lengthMs: number;
  /** In a file, of what is not sorted by hosts; what is much smaller is put together. */
  mostRows: number;
  columns: string;
  /** Sorted a stretch at a time, of so many rows, as it fits into the memory that there is; and of so long. */
  sortedRows: number;
  sortedMs: number;
  order: string;
}

const bySeries = 'host, name, time';
const layouts: Record<Family, Layout> = {
  usage: {
    lengthMs: hourMs,
    mostRows: 2_000_000,
    columns: leanColumns,
    sortedRows: 300_000,
    sortedMs: sliceMs,
    order: bySeries,
  },
  minute: {
    lengthMs: hourMs,
    mostRows: 350_000,
    columns: rollupNames,
    sortedRows: 50_000,
    sortedMs: sliceMs,
    order: bySeries,
  },
  hour: {
    lengthMs: dayMs,
    mostRows: 400_000,
    columns: rollupNames,
    sortedRows: 50_000,
    sortedMs: dayMs,
    order: bySeries,
  },
  bucket: {
    lengthMs: dayMs,
    mostRows: 4_000_000,
    columns: '*',
    sortedRows: 400_000,
    sortedMs: dayMs,
    order: 'host, name, quantity, time, bucket',
  },
};

/** Tables whose rows leave them for files, and how long after the end of the hour or day. */
const closedAfterMs = { usage: hourMs, hour: 3 * hourMs, bucket: 3 * hourMs };
type Table = keyof typeof closedAfterMs;
/** What is never divided between files without need. */
const stretchMs: Record<Table, number> = { usage: sliceMs, hour: dayMs, bucket: dayMs };

/** Rows of a table that are closed together. */
interface Unit {
  table: Table;
  since: number;
  until: number;
  firstHost: number;
  lastHost: number;
  rows: number;
}

/** A file that is being written. */
type Draft = Omit<Part, 'bytes' | 'crc' | 'rows'>;

export interface CompactionParts {
  /** Of its own. */
  connection: DuckDBConnection;
  readers: Readers;
  parts: Parts;
  files: PartFiles;
  /** What rows are let go of with costs memory until then. */
  checkpoint: () => Promise<void>;
}

/**
 * Closes what is over: rows of an hour become a file, and so do their roll-ups; in one transaction the database is told
 * of the files and lets go of the rows. What comes later for that hour stays where it is until it is closed again.
 */
export class Compaction {
  readonly #options: CompactionParts;
  #isEnded = false;
  #underWay: Promise<unknown> = Promise.resolve();
  /** Whether anything is marked as from the future. */
  #hasFuture = false;

  constructor(options: CompactionParts) {
    this.#options = options;
  }

  /** Resolves once what is under way has stopped, undone. */
  async end(): Promise<void> {
    this.#isEnded = true;
    const interrupt = setInterval(() => this.#options.connection.interrupt(), interruptEveryMs);
    await this.#underWay.finally(() => clearInterval(interrupt));
  }

  /** What was marked as from the future is kept from when it came, and so it stays. */
  #notFuture(table: Table): string {
    if (table !== 'usage' || !this.#hasFuture) return '';
    return ' AND (host, time) NOT IN (SELECT (host, time) FROM snapshot WHERE received IS NOT NULL)';
  }

  /** A little at a time, with as long a pause after each: nobody waits for it. */
  compact(now: number): Promise<void> {
    const compacted = this.#compact(now);
    this.#underWay = compacted.catch(() => undefined);
    return compacted;
  }

  async #compact(now: number): Promise<void> {
    await this.#options.files.make();
    const [row] = await this.#options.readers.query(
      'SELECT count(*)::INTEGER AS future FROM snapshot WHERE received IS NOT NULL',
      { lane: 'background' },
    );
    this.#hasFuture = row?.future !== 0;
    for (const table of Object.keys(closedAfterMs) as Table[])
      for (const unit of await this.#units(table, now)) await this.#paced(() => this.#close(unit));
    for (let small = this.#small(); small !== null && !this.#isEnded; small = this.#small()) {
      const parts = small;
      await this.#paced(() => this.#merge(parts));
    }
  }

  async #paced(work: () => Promise<void>): Promise<void> {
    if (this.#isEnded) return;
    const begin = performance.now();
    await this.#options.readers.background(work);
    await sleep(Math.min(performance.now() - begin, 10_000), undefined, { ref: false });
  }

  async #units(table: Table, now: number): Promise<Unit[]> {
    const { lengthMs } = layouts[table];
    const until = Math.floor((now - closedAfterMs[table]) / lengthMs) * lengthMs;
    const rows = await this.#options.readers.query(
      `SELECT ${binSql(stretchMs[table], 'time')}::DOUBLE AS since, min(host) AS "firstHost", max(host) AS "lastHost",
         count(*)::DOUBLE AS rows
       FROM ${table} WHERE time < ${num(until)}${this.#notFuture(table)} GROUP BY 1 ORDER BY 1`,
      { lane: 'background' },
    );
    return unitsOf(table, rows as unknown as StretchRows[]);
  }

  async #close(unit: Unit): Promise<void> {
    const { table } = unit;
    const drafts: Draft[] = [];
    await this.#inTransaction(drafts, async (added) => {
      const and = this.#notFuture(table);
      const where = whereOf(unit) + and;
      const stretches = await this.#stretches(table, table, unit);
      const sql = sortedSql(table, table, stretches, and);
      const closed = await this.#copy(this.#draft(drafts, table, unit), sql);
      added.push(closed);
      if (table === 'usage') {
        added.push(await this.#copy(this.#draft(drafts, 'minute', unit), minutesSql(stretches, and)));
        await this.#run(`INSERT INTO hour ${rolledSql(where, hourMs)}`);
        await this.#run(`INSERT INTO bucket ${bucketsSql(where, hourMs)}`);
      }
      const deleted = await this.#run(`DELETE FROM ${table} WHERE ${where}`);
      if (deleted !== closed.rows)
        throw new MonitorError(
          'internal',
          `of ${deleted} rows to be closed ${closed.rows} were written; they stay where they are`,
        );
      return [];
    });
    await this.#options.checkpoint();
  }

  /** All of a unit, in the order of a file, in pieces that can be sorted. */
  async #stretches(family: Family, relation: string, unit: Stretch): Promise<Stretch[]> {
    const { sortedRows, sortedMs } = layouts[family];
    const slices = slicesOf(unit, sortedMs);
    const sql = `SELECT host, count(*)::DOUBLE AS rows FROM ${relation} WHERE ${whereOf(unit)} GROUP BY host ORDER BY host`;
    const hosts = (await this.#options.connection.runAndReadAll(sql)).getRows() as [host: number, rows: number][];
    const groups: [first: number, last: number, rows: number][] = [];
    for (const [host, rows] of hosts) {
      const last = groups.at(-1);
      if (last === undefined || last[2] + rows > sortedRows * slices.length) groups.push([host, host, rows]);
      else groups.splice(-1, 1, [last[0], host, last[2] + rows]);
    }
    return slices.flatMap((slice) => groups.map(([firstHost, lastHost]) => ({ ...slice, firstHost, lastHost })));
  }

  /** Those that are small, of the first hour or day with too many of them; null: none has. */
  #small(): Part[] | null {
    const groups = new Map<string, Part[]>();
    for (const part of this.#options.parts.all()) {
      const { mostRows, lengthMs } = layouts[part.family];
      if (part.rows > mostRows / 4) continue;
      const key = `${part.family} ${Math.floor(part.since / lengthMs)}`;
      const group = groups.get(key) ?? [];
      if (group.reduce((sum, { rows }) => sum + rows, part.rows) <= mostRows) groups.set(key, [...group, part]);
    }
    return [...groups.values()].find((group) => group.length > mostSmall) ?? null;
  }

  async #merge(parts: readonly Part[]): Promise<void> {
    const [first] = parts as [Part];
    const drafts: Draft[] = [];
    await this.#inTransaction(drafts, async (added) => {
      const unit = {
        since: Math.min(...parts.map(({ since }) => since)),
        until: Math.max(...parts.map(({ until }) => until)),
        firstHost: Math.min(...parts.map(({ firstHost }) => firstHost)),
        lastHost: Math.max(...parts.map(({ lastHost }) => lastHost)),
        rows: parts.reduce((sum, { rows }) => sum + rows, 0),
      };
      const files = this.#options.parts.filesSql(parts);
      const sql = sortedSql(first.family, files, await this.#stretches(first.family, files, unit));
      const merged = await this.#copy(this.#draft(drafts, first.family, unit), sql);
      if (merged.rows !== unit.rows)
        throw new MonitorError('internal', `of ${unit.rows} rows of ${parts.length} files ${merged.rows} were read`);
      added.push(merged);
      await this.#run(deletePartsSql(parts));
      return parts;
    });
    await this.#options.readers.drained();
    await this.#options.files.remove(parts);
  }

  /** Files are removed again unless the database may know of them. */
  async #inTransaction(drafts: Draft[], work: (added: Part[]) => Promise<readonly Part[]>): Promise<void> {
    const { parts, files } = this.#options;
    const added: Part[] = [];
    await this.#run('BEGIN');
    try {
      const removed = await work(added);
      await this.#run(insertPartsSql(added));
      await parts.change(
        () => {
          drafts.length = 0;
          return this.#run('COMMIT');
        },
        { added, removed },
      );
    } catch (error) {
      await this.#run('ROLLBACK').catch(() => undefined);
      await files.remove(drafts).catch(() => undefined);
      throw error;
    }
  }

  #draft(drafts: Draft[], family: Family, unit: Omit<Draft, 'id' | 'family'>): Draft {
    const { since, until, firstHost, lastHost } = unit;
    const draft = { id: this.#options.parts.nextId(), family, since, until, firstHost, lastHost };
    drafts.push(draft);
    return draft;
  }

  async #copy(draft: Draft, sql: string): Promise<Part> {
    const { files } = this.#options;
    const to = quoted(files.temporary(draft));
    const rows = await this.#run(`COPY (${sql}) TO ${to} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`);
    return { ...draft, rows, ...(await files.seal(draft)) };
  }

  /** @returns how many rows it changed */
  async #run(sql: string): Promise<number> {
    const result = await this.#options.connection.run(sql);
    return result.rowsChanged;
  }
}

type StretchRows = Omit<Unit, 'table' | 'until'>;

/** What follows in one hour together as far as one file holds it: rows that lie together are cheap to let go of. */
function unitsOf(table: Table, all: readonly StretchRows[]): Unit[] {
  const { lengthMs, mostRows } = layouts[table];
  const units: Unit[] = [];
  for (const stretch of all) {
    const { since, rows } = stretch;
    const last = units.at(-1);
    const isNext = last !== undefined && Math.floor(last.since / lengthMs) === Math.floor(since / lengthMs);
    if (isNext && last.rows + rows <= mostRows) {
      last.until = since + stretchMs[table];
      last.rows += rows;
      last.firstHost = Math.min(last.firstHost, stretch.firstHost);
      last.lastHost = Math.max(last.lastHost, stretch.lastHost);
      continue;
    }
    const pieces = table === 'usage' ? Math.max(1, Math.ceil(rows / mostRows)) : 1;
    const at = (piece: number) => since + Math.round((stretchMs[table] * piece) / pieces);
    for (let k = 0; k < pieces; k++)
      units.push({ ...stretch, table, since: at(k), until: at(k + 1), rows: rows / pieces });
  }
  return units;
}

type Stretch = Pick<Unit, 'since' | 'until' | 'firstHost' | 'lastHost'>;

function whereOf({ since, until, firstHost, lastHost }: Stretch): string {
  return `time >= ${num(since)} AND time < ${num(until)} AND host BETWEEN ${firstHost} AND ${lastHost}`;
}

function slicesOf(unit: Stretch, lengthMs: number): Stretch[] {
  const slices: Stretch[] = [];
  for (let since = unit.since; since < unit.until; since += lengthMs)
    slices.push({ ...unit, since, until: Math.min(unit.until, since + lengthMs) });
  return slices;
}

/** Out of the table of the family, or of its files. */
function sortedSql(family: Family, relation: string, stretches: readonly Stretch[], and = ''): string {
  const { columns, order } = layouts[family];
  return stretches
    .map(
      (stretch) =>
        `(SELECT ${relation === family ? columns : '*'} FROM ${relation} WHERE ${whereOf(stretch)}${and} ORDER BY ${order})`,
    )
    .join(' UNION ALL ');
}

function minutesSql(stretches: readonly Stretch[], and: string): string {
  return stretches
    .map((stretch) => `(${rolledSql(whereOf(stretch) + and, minuteMs)} ORDER BY ${layouts.minute.order})`)
    .join(' UNION ALL ');
}
