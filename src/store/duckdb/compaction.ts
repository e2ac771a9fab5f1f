import { setTimeout as sleep } from 'node:timers/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import { MonitorError, messageOf } from '../../core/error.ts';
import {
  type Counted,
  closedAfterMs,
  countedMs,
  groupsOf,
  type HostRows,
  type Stretch,
  slicesOf,
  type Table,
  type Unit,
  unitsOf,
  whereOf,
} from './compaction-units.ts';
import type { DamagedParts } from './damaged-parts.ts';
import { hourMs, layouts, minuteMs } from './layouts.ts';
import type { Family, Part, PartFiles } from './part-files.ts';
import { forgetPartsSql, insertPartsSql, type Parts, takeOutPartsSql } from './parts.ts';
import type { Readers } from './readers.ts';
import { binSql, bucketsSql, rolledSql } from './rollup-sql.ts';
import { num, quoted } from './sql-text.ts';

/** Smaller files of one hour, or one day, become one when there are so many. */
const mostSmall = 8;
/** What comes late for an hour that has been closed waits for as many rows, or for so long. */
const late = { rows: 50_000, ms: 6 * hourMs };
/** Rows that were let go of take memory until the next checkpoint. */
const checkpointRows = 2_000_000;
const interruptEveryMs = 20;
const longestPauseMs = 10_000;

/** A file that is being written. */
type Draft = Omit<Part, 'bytes' | 'crc' | 'rows' | 'lastName'>;

export interface CompactionOptions {
  /** Of its own. */
  connection: DuckDBConnection;
  readers: Readers;
  parts: Parts;
  files: PartFiles;
  damagedParts: DamagedParts;
  checkpoint: () => Promise<void>;
}

/**
 * Closes what is over: rows of an hour become a file, and so do their roll-ups; in one transaction the database is told
 * of the files and lets go of the rows. What comes later for that hour stays where it is until it is closed again.
 */
export class Compaction {
  readonly #options: CompactionOptions;
  readonly #ending = new AbortController();
  #underWay: Promise<unknown> = Promise.resolve();
  /** Whether anything is marked as from the future. */
  #hasFuture = false;
  /** When what had come late was closed last, of each table, by the time that was told. */
  readonly #lateAt = new Map<Table, number>();

  constructor(options: CompactionOptions) {
    this.#options = options;
  }

  /** Resolves once what is under way has stopped, undone. */
  async end(): Promise<void> {
    this.#ending.abort();
    const interrupt = setInterval(() => this.#options.connection.interrupt(), interruptEveryMs);
    await this.#underWay.finally(() => clearInterval(interrupt));
  }

  /**
   * A little at a time, with as long a pause after each: nobody waits for it. What cannot be done is left for the next
   * time, and the rest is done all the same.
   * @returns why something could not be, as sentences
   */
  compact(now: number): Promise<string[]> {
    const compacted = this.#compact(now);
    this.#underWay = compacted.catch(() => undefined);
    return compacted;
  }

  async #compact(now: number): Promise<string[]> {
    const failures = new Set<string>();
    const tried = (work: () => Promise<void>) =>
      this.#paced(work).catch((error: unknown) => {
        if (!this.#isEnded()) failures.add(messageOf(error).split('\n', 1)[0] ?? '');
      });
    await this.#options.files.make();
    await this.#lookForFuture();
    for (const table of Object.keys(closedAfterMs) as Table[]) {
      let rows = 0;
      for (const unit of await this.#units(table, now)) {
        if (this.#isEnded()) return [];
        await tried(() => this.#close(unit));
        rows += unit.rows;
        if (rows >= checkpointRows) await this.#options.checkpoint();
        rows %= checkpointRows;
      }
      if (rows > 0) await this.#options.checkpoint();
    }
    const failed = new Set<number>();
    for (let small = this.#small(failed); small !== null && !this.#isEnded(); small = this.#small(failed)) {
      const parts = small;
      for (const { id } of parts) failed.add(id);
      await tried(() => this.#merge(parts));
    }
    return [...failures].map((text) => `cannot close an hour that is over: ${text}`);
  }

  #isEnded(): boolean {
    return this.#ending.signal.aborted;
  }

  async #paced(work: () => Promise<void>): Promise<void> {
    if (this.#isEnded()) return;
    const begin = performance.now();
    try {
      await this.#options.readers.background(this.#options.connection, work);
    } finally {
      const pauseMs = Math.min(performance.now() - begin, longestPauseMs);
      await sleep(pauseMs, undefined, { signal: this.#ending.signal }).catch(() => undefined);
    }
  }

  async #lookForFuture(): Promise<void> {
    const sql = 'SELECT count(*)::INTEGER AS future FROM snapshot WHERE received IS NOT NULL';
    const [row] = await this.#options.readers.query(sql, { lane: 'background' });
    this.#hasFuture = row?.future !== 0;
  }

  /** What was marked as from the future is kept from when it came, and so it stays. */
  #notFuture(table: Table): string {
    if (table !== 'usage' || !this.#hasFuture) return '';
    return ' AND (host, time) NOT IN (SELECT (host, time) FROM snapshot WHERE received IS NOT NULL)';
  }

  async #units(table: Table, now: number): Promise<readonly Unit[]> {
    const { lengthMs } = layouts[table];
    const until = Math.floor((now - closedAfterMs[table]) / lengthMs) * lengthMs;
    const counted = await this.#options.readers.query(
      `SELECT ${binSql(countedMs[table], 'time')}::DOUBLE AS since, min(host) AS "firstHost", max(host) AS "lastHost",
         count(*)::DOUBLE AS rows
       FROM ${table} WHERE time < ${num(until)}${this.#notFuture(table)} GROUP BY 1 ORDER BY 1`,
      { lane: 'background' },
    );
    return this.#withoutLate(table, unitsOf(table, counted as unknown as Counted[]), now);
  }

  /** A file for every row that comes late would be too many. */
  #withoutLate(table: Table, units: readonly Unit[], now: number): readonly Unit[] {
    const { parts } = this.#options;
    const isLate = ({ since, until, rows }: Unit) =>
      rows < late.rows && parts.of(table, { from: since, to: until - 1 }).length > 0;
    if (now - (this.#lateAt.get(table) ?? Number.NEGATIVE_INFINITY) < late.ms)
      return units.filter((unit) => !isLate(unit));
    if (units.some(isLate)) this.#lateAt.set(table, now);
    return units;
  }

  async #close(unit: Unit): Promise<void> {
    const { table } = unit;
    const and = this.#notFuture(table);
    const where = whereOf(unit) + and;
    await this.#inTransaction(async (copy) => {
      const hosts = await this.#hosts(table, where);
      await copy(table, unit, sortedSql(table, table, stretchesOf(table, unit, hosts), and));
      if (table === 'usage') {
        await copy('minute', unit, minutesSql(unit, hosts, and));
        for (const group of groupsOf(unit, hosts, ({ names }) => names, layouts.hour.sortedRows))
          await this.#run(`INSERT INTO hour ${rolledSql(whereOf(group) + and, hourMs)}`);
        for (const group of groupsOf(unit, hosts, ({ rows }) => rows, layouts.bucket.sortedRows))
          await this.#run(`INSERT INTO bucket ${bucketsSql(whereOf(group) + and, hourMs)}`);
      }
      const there = hosts.reduce((sum, { rows }) => sum + rows, 0);
      const deleted = await this.#run(`DELETE FROM ${table} WHERE ${where}`);
      if (deleted !== there) throw changed(there, deleted);
      return [];
    });
  }

  async #hosts(relation: string, where: string): Promise<HostRows[]> {
    const sql = `SELECT host, count(*)::DOUBLE AS rows, count(DISTINCT name)::DOUBLE AS names
      FROM ${relation} WHERE ${where} GROUP BY host ORDER BY host`;
    return (await this.#options.connection.runAndReadAll(sql)).getRowObjects() as unknown as HostRows[];
  }

  /** Those that are small, of the first hour or day with too many of them; null: none has. */
  #small(failed: ReadonlySet<number>): Part[] | null {
    const groups = new Map<string, Part[]>();
    for (const part of this.#options.parts.all()) {
      const { mostRows, lengthMs } = layouts[part.family];
      if (part.rows > mostRows / 4 || failed.has(part.id)) continue;
      const key = `${part.family} ${Math.floor(part.since / lengthMs)}`;
      const group = groups.get(key) ?? [];
      if (group.reduce((sum, { rows }) => sum + rows, part.rows) <= mostRows) groups.set(key, [...group, part]);
    }
    return [...groups.values()].find((group) => group.length > mostSmall) ?? null;
  }

  async #merge(parts: readonly Part[]): Promise<void> {
    const [{ family }] = parts as [Part];
    const { files, readers, damagedParts } = this.#options;
    // What is damaged and can be read would get a sum of its own.
    for (const part of parts)
      if ((await files.isWhole(part)) !== 'there') {
        await damagedParts.look([part]);
        return;
      }
    await this.#inTransaction(async (copy) => {
      const unit = around(parts);
      const relation = this.#options.parts.filesSql(parts);
      const hosts = await this.#hosts(relation, whereOf(unit));
      const merged = await copy(family, unit, sortedSql(family, relation, stretchesOf(family, unit, hosts)));
      const there = parts.reduce((sum, { rows }) => sum + rows, 0);
      if (family === 'usage' && merged.rows !== there) throw changed(there, merged.rows);
      return parts;
    });
    await readers.drained();
    await files.remove(parts);
    await this.#run(forgetPartsSql(parts));
  }

  /** Whatever is copied is in it. @param work returns the parts that it takes the place of */
  async #inTransaction(
    work: (copy: (family: Family, unit: Stretch, sql: string) => Promise<Part>) => Promise<readonly Part[]>,
  ): Promise<void> {
    const { parts } = this.#options;
    const drafts: Draft[] = [];
    const added: Part[] = [];
    const copy = async (family: Family, { since, until, firstHost, lastHost }: Stretch, sql: string) => {
      const draft = { id: parts.nextId(), family, since, until, firstHost, lastHost };
      drafts.push(draft);
      const part = await this.#copy(draft, sql);
      added.push(part);
      return part;
    };
    let mayBeKnown = false;
    const commit = async () => {
      mayBeKnown = true;
      await this.#run('COMMIT').catch(async (error: unknown) => {
        // One that failed on its way may have been made all the same.
        mayBeKnown = await this.#isKnown(added);
        if (!mayBeKnown) throw error;
      });
    };
    await this.#run('BEGIN');
    try {
      const removed = await work(copy);
      await this.#run(insertPartsSql(added));
      if (removed.length > 0) await this.#run(takeOutPartsSql(removed));
      await parts.change(commit, { added, removed });
    } catch (error) {
      await this.#run('ROLLBACK').catch(() => undefined);
      if (!mayBeKnown) await this.#options.files.remove(drafts).catch(() => undefined);
      throw error;
    }
  }

  async #isKnown(added: readonly Part[]): Promise<boolean> {
    const ids = added.map(({ id }) => id).join(', ');
    const sql = `SELECT count(*)::INTEGER AS parts FROM part WHERE id IN (${ids})`;
    const [row] = await this.#options.readers.query(sql, { lane: 'present' });
    return row?.parts === added.length;
  }

  async #copy(draft: Draft, sql: string): Promise<Part> {
    const { files, connection } = this.#options;
    const to = quoted(files.temporary(draft));
    const rows = await this.#run(`COPY (${sql}) TO ${to} (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)`);
    const sealed = await files.seal(draft);
    const largest = await connection.runAndReadAll(`SELECT max(name) FROM read_parquet(${quoted(files.path(draft))})`);
    return { ...draft, rows, lastName: Number(largest.getRows()[0]?.[0] ?? 0), ...sealed };
  }

  /** @returns how many rows it changed */
  async #run(sql: string): Promise<number> {
    const result = await this.#options.connection.run(sql);
    return result.rowsChanged;
  }
}

function changed(before: number, after: number): MonitorError {
  return new MonitorError('internal', `of ${before} rows ${after} were closed; they stay where they are`);
}

function around(parts: readonly Part[]): Stretch {
  return {
    since: Math.min(...parts.map(({ since }) => since)),
    until: Math.max(...parts.map(({ until }) => until)),
    firstHost: Math.min(...parts.map(({ firstHost }) => firstHost)),
    lastHost: Math.max(...parts.map(({ lastHost }) => lastHost)),
  };
}

/** All of a unit, in the order of a file, in pieces that can be sorted. */
function stretchesOf(family: Family, unit: Stretch, hosts: readonly HostRows[]): Stretch[] {
  const { sortedRows, sortedMs } = layouts[family];
  const slices = slicesOf(unit, sortedMs);
  return slices.flatMap((slice) => groupsOf(slice, hosts, ({ rows }) => rows / slices.length, sortedRows));
}

/** Out of the table of the family, or of files. */
function sortedSql(family: Family, relation: string, stretches: readonly Stretch[], and = ''): string {
  const { select, order } = layouts[family];
  return stretches
    .map((stretch) => `(${select(relation, whereOf(stretch) + and)} ORDER BY ${order})`)
    .join(' UNION ALL ');
}

function minutesSql(unit: Stretch, hosts: readonly HostRows[], and: string): string {
  const { order, sortedRows, sortedMs } = layouts.minute;
  const slices = slicesOf(unit, sortedMs);
  // At most one of each name and minute.
  const rolled = ({ rows, names }: HostRows) => Math.min(rows / slices.length, (names * sortedMs) / minuteMs);
  return slices
    .flatMap((slice) => groupsOf(slice, hosts, rolled, sortedRows))
    .map((stretch) => `(${rolledSql(whereOf(stretch) + and, minuteMs)} ORDER BY ${order})`)
    .join(' UNION ALL ');
}
