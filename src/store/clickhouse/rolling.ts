import { setTimeout as sleep } from 'node:timers/promises';
import type { TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import type { ClickHouseConnection } from './connection.ts';
import { hourMs } from './hour-plan.ts';
import { dueSql, rolledColumns, rollSql, writtenSql } from './hour-sql.ts';
import type { Queries } from './queries.ts';
import { rowBinary, type Value } from './row-binary.ts';
import { rolledTable } from './schema.ts';
import { isOneOf } from './sql-text.ts';
import { handedOver, UniqueRows } from './unique-rows.ts';

/** What comes later is rolled up anew. */
const graceMs = 60_000;
/** Looked through for what is due: of the last hours always, of all that is kept now and then. */
const spanMs = 6 * hourMs;
/** A run ends after so long, and the next goes on. */
const mostRunMs = 300_000;
/** In one statement: it takes memory for each of their names. */
const hostsAtOnce = 50;
const dueAtOnce = 20_000;

export interface RollingOptions {
  /** Of rows. */
  retentionMs: number;
  connection: ClickHouseConnection;
  queries: Queries;
}

/**
 * Rolls up hours that are over, newest first, with as long a rest after each piece as it took. What is due is told by
 * what is stored alone, so that it goes on after a restart, beside another server and for what comes late.
 */
export class Rolling {
  readonly #options: RollingOptions;
  readonly #unique: UniqueRows;
  readonly #stopped = new AbortController();
  #wholeAt = Number.NEGATIVE_INFINITY;
  #under: Promise<void> = Promise.resolve();

  constructor(options: RollingOptions) {
    this.#options = options;
    this.#unique = new UniqueRows(options.queries);
  }

  /** @param now epoch milliseconds: what has not ended by then is left for later */
  roll(now: number): Promise<void> {
    const stopped = (error: unknown) => {
      if (!this.#stopped.signal.aborted) throw error;
    };
    const run = this.#under.catch(() => undefined).then(() => this.#run(now).catch(stopped));
    this.#under = run;
    return run;
  }

  async close(): Promise<void> {
    this.#stopped.abort(new Error('the store is closed'));
    await this.#under.catch(() => undefined);
  }

  async #run(now: number): Promise<void> {
    const ends = performance.now() + mostRunMs;
    const until = Math.floor((now - graceMs) / hourMs) * hourMs;
    const isWhole = Math.abs(now - this.#wholeAt) >= spanMs / 6;
    // A day that is to be dropped is not worth it.
    const oldest = isWhole ? now - this.#options.retentionMs : until - spanMs;
    const span = { from: Math.ceil(oldest / hourMs) * hourMs - 1, to: until - 1 };
    if (isWhole) this.#wholeAt = now;
    // What is left is found by the next run.
    if (!(await this.#rollSpan(span, ends))) this.#wholeAt = Number.NEGATIVE_INFINITY;
  }

  /** @returns false: there was no time for all of it */
  async #rollSpan(span: TimeWindow, ends: number): Promise<boolean> {
    const due = await this.#options.queries.all(dueSql(span, dueAtOnce), this.#reading(), span);
    for (const [hour, hosts] of groupBy(due, (row) => Number(row.hour)))
      for (let from = 0; from < hosts.length; from += hostsAtOnce) {
        const begin = performance.now();
        if (begin > ends) return false;
        const some = hosts.slice(from, from + hostsAtOnce);
        await this.#rollHour(hour, new Map(some.map((row) => [String(row.host), Number(row.snapshots)])));
        await sleep(performance.now() - begin, undefined, { signal: this.#stopped.signal });
      }
    return due.length < dueAtOnce;
  }

  /**
   * That it is done is written last, and of hosts of which all rows were there: a replica may have heard of a snapshot
   * before it has its rows. What comes meanwhile makes more snapshots than are said here, and so it is due again.
   */
  async #rollHour(hour: number, hosts: ReadonlyMap<string, number>): Promise<void> {
    const { connection, queries } = this.#options;
    const condition = isOneOf('host', [...hosts.keys()]);
    const window = { from: hour - 1, to: hour + hourMs - 1 };
    const rows = await this.#unique.relation(rolledColumns, window, condition, this.#reading());
    await connection.insertSelected(rollSql(hour, hosts, handedOver(rows, rolledColumns, connection.about)));
    const marks: Value[][] = [];
    for (const row of await queries.all(writtenSql(hour, condition), this.#reading(), window)) {
      const due = hosts.get(String(row.host)) ?? 0;
      if (Number(row.snapshots) >= due && Number(row.rows) >= Number(row.told))
        marks.push([String(row.host), hour, due, Number(row.names)]);
    }
    const columns = rolledTable.columns.map(({ name }) => name);
    if (marks.length > 0) await connection.insert(rolledTable.name, columns, rowBinary(rolledTable.columns, marks));
  }

  #reading() {
    return { lane: 'background', signal: this.#stopped.signal } as const;
  }
}
