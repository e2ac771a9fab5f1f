import { setTimeout as sleep } from 'node:timers/promises';
import { dayMs } from '../../core/clock.ts';
import type { TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import type { ClickHouseConnection, Row } from './connection.ts';
import { hourMs } from './hour-plan.ts';
import { dueSql, rolledColumns, rollSql, spansSql, writtenSql } from './hour-sql.ts';
import { sayNewest } from './newest-snapshot.ts';
import type { Queries } from './queries.ts';
import { rowBinary, type Value } from './row-binary.ts';
import { rolledTable } from './schema.ts';
import { isOneOf } from './sql-text.ts';
import { handedOver, onceFinally, UniqueRows } from './unique-rows.ts';

/** What comes later is rolled up anew. */
const graceMs = 60_000;
/** Looked through for what is due: of the last hours always, of all that is kept now and then. */
const spanMs = 6 * hourMs;
/** A run ends after so long, and the next goes on. */
const mostRunMs = 300_000;
/** In one statement: it takes memory for each of their names, and is given up after so many seconds. */
const atOnce = { hosts: 50, rows: 5_000_000 };
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
    const failures: unknown[] = [];
    if (isWhole) {
      this.#wholeAt = now;
      await sayNewest(this.#options.connection, this.#stopped.signal).catch((error: unknown) => failures.push(error));
    }
    const spans = isWhole ? await this.#spans(now, until) : [{ from: until - spanMs - 1, to: until - 1 }];
    for (const span of spans) {
      const isDone = await this.#rollSpan(span, ends, failures);
      // What is left is found by the next run.
      if (!isDone) this.#wholeAt = Number.NEGATIVE_INFINITY;
    }
    if (failures.length > 0) throw failures[0];
  }

  /** All that there are rows of, the newest first: from the first day of which not all are past the retention. */
  async #spans(now: number, until: number): Promise<TimeWindow[]> {
    const oldest = Math.floor((now - this.#options.retentionMs) / dayMs) * dayMs;
    const window = { from: oldest - 1, to: until - 1 };
    const found = await this.#options.queries.all(spansSql(window, spanMs), this.#reading(), window);
    return found
      .map(({ start }) => Number(start))
      .map((start) => ({ from: start - 1, to: Math.min(start + spanMs, until) - 1 }));
  }

  /** Those that cannot be rolled up hold up no others. @returns false: there was no time for all of it */
  async #rollSpan(span: TimeWindow, ends: number, failures: unknown[]): Promise<boolean> {
    if (performance.now() > ends) return false;
    const due = await this.#options.queries.all(dueSql(span, dueAtOnce), this.#reading(), span);
    for (const [hour, hosts] of groupBy(due, (row) => Number(row.hour)))
      for (const some of groupsOf(hosts)) {
        const begin = performance.now();
        if (begin > ends) return false;
        const snapshots = new Map(some.map((row) => [String(row.host), Number(row.snapshots)]));
        await this.#rollHour(hour, snapshots).catch((error: unknown) => failures.push(error));
        await sleep(performance.now() - begin, undefined, { signal: this.#stopped.signal });
      }
    return due.length < dueAtOnce;
  }

  /**
   * That it is done is written last, and of hosts of which all rows were there: a replica may have heard of a snapshot
   * before it has its rows. What comes meanwhile makes more snapshots than are said here, and so it is due again.
   */
  async #rollHour(hour: number, hosts: ReadonlyMap<string, number>, mayBeTwice = false): Promise<void> {
    const { connection, queries } = this.#options;
    const condition = isOneOf('host', [...hosts.keys()]);
    const window = { from: hour - 1, to: hour + hourMs - 1 };
    const rows = mayBeTwice
      ? onceFinally(window, condition)
      : await this.#unique.relation(rolledColumns, window, condition, this.#reading(), condition);
    const sql = rollSql(hour, hosts, handedOver(rows, rolledColumns, connection.about));
    await connection.insertSelected(sql, this.#stopped.signal);
    const written = await queries.all(writtenSql(hour, condition), this.#reading(), window);
    // Sent again while it was being rolled up.
    const isTwice = written.some(({ rows, told }) => Number(told) > 0 && Number(rows) > Number(told));
    if (isTwice && !mayBeTwice) return this.#rollHour(hour, hosts, true);
    const marks: Value[][] = [];
    for (const row of written) {
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

/** Neither more hosts nor more rows than one statement takes, but for a host that has more alone. */
function groupsOf(hosts: readonly Row[]): Row[][] {
  const groups: Row[][] = [];
  let rows = 0;
  for (const host of hosts) {
    const group = groups.at(-1);
    rows += Number(host.told);
    if (group !== undefined && group.length < atOnce.hosts && rows <= atOnce.rows) group.push(host);
    else {
      groups.push([host]);
      rows = Number(host.told);
    }
  }
  return groups;
}
