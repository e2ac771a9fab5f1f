import type { DuckDBConnection, DuckDBInstance, DuckDBType, DuckDBValue } from '@duckdb/node-api';
import { MonitorError, messageOf } from '../../core/error.ts';
import { ReadLane } from '../../core/read-lane.ts';
import type { Reading } from '../../core/store.ts';
import { isDamage } from './open-database.ts';
import type { Parts } from './parts.ts';

/** One row as the driver returns it; times and counts are cast to DOUBLE in SQL, so no bigint comes. */
export type Row = Record<string, number | string | boolean | null>;

/** What stands for `$1`. */
export interface Bound {
  value: DuckDBValue;
  type: DuckDBType;
}

/** A question that names files is made when its turn has come. */
export type Sql = string | (() => string);

/** What a read has to be asked for with; `rows`: about how many it has to look at. */
export interface Cost extends Reading {
  rows?: number;
}

/** A read of more rows than this is heavy: a tenth of a second, about, for the mean of them. */
const heavyRows = 1_000_000;
type LaneName = 'present' | 'light' | 'heavy';
const places = { present: 1, light: 1, heavy: 2 };
const mostWaiting = { light: 200, heavy: 32 };
/** An interruption that comes before the query has begun is lost: it is repeated. */
const interruptEveryMs = 50;

export interface ReadersOptions {
  parts: Parts;
  /** Runs before a query that failed throws; `again`: what was damaged has been set aside. */
  onDamage: (error: unknown) => Promise<'again' | 'damaged'>;
}

/**
 * Connections for queries, each used by one at a time: one for what alarms are made of, one for small questions, two
 * for large ones and for what nobody waits for. Not more, because every running query holds one of libuv's four
 * threads: a commit finds one free, or waits for a small question.
 */
export class Readers {
  readonly #connections: Record<LaneName, DuckDBConnection[]>;
  readonly #lanes = {
    present: new ReadLane(places.present, Number.POSITIVE_INFINITY),
    light: new ReadLane(places.light, mostWaiting.light),
    heavy: new ReadLane(places.heavy, mostWaiting.heavy),
  };
  readonly #parts: Parts;
  readonly #onDamage: (error: unknown) => Promise<'again' | 'damaged'>;
  readonly #running = new Set<Promise<unknown>>();
  readonly #inBackground = new Map<Promise<unknown>, DuckDBConnection>();
  #isClosed = false;
  /** When the last read ended, by `performance.now`; null: none has been since that was asked. */
  #endedAt: number | null = null;

  private constructor(connections: Record<LaneName, DuckDBConnection[]>, { parts, onDamage }: ReadersOptions) {
    this.#connections = connections;
    this.#parts = parts;
    this.#onDamage = onDamage;
  }

  static async connect(instance: DuckDBInstance, options: ReadersOptions): Promise<Readers> {
    const connect = (lane: LaneName) => Promise.all(Array.from({ length: places[lane] }, () => instance.connect()));
    const connections = {
      present: await connect('present'),
      light: await connect('light'),
      heavy: await connect('heavy'),
    };
    return new Readers(connections, options);
  }

  /** @throws MonitorError `unavailable` when too many wait; the signal's reason once it is aborted */
  async query(sql: Sql, cost: Cost, bound?: Bound): Promise<Row[]> {
    const rows: Row[] = [];
    await this.chunks(sql, cost, (columns, names) => addRows(rows, columns, names), bound);
    return rows;
  }

  /** Gives the answer by pieces of some 2,000 rows, as columns: between two of them the thread does other work. */
  chunks(
    sql: Sql,
    { lane, signal, rows = 0 }: Cost,
    take: (columns: DuckDBValue[][], names: readonly string[]) => void,
    bound?: Bound,
  ): Promise<void> {
    const name = lane === 'present' ? 'present' : lane === 'background' || rows > heavyRows ? 'heavy' : 'light';
    const work = async (place: number) => {
      this.#refuseClosed();
      const running = this.#run(this.#connections[name][place] as DuckDBConnection, sql, take, signal, bound);
      this.#running.add(running);
      try {
        await running;
      } finally {
        this.#running.delete(running);
        this.#endedAt = performance.now();
      }
    };
    return this.#lanes[name].run(work, signal, lane === 'background');
  }

  /** Resolves once whatever is being read now has been. */
  async drained(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  /**
   * Does what takes long and nobody waits for when no large question is being answered.
   * @param connection on which it is done
   */
  background<T>(connection: DuckDBConnection, work: () => Promise<T>): Promise<T> {
    const run = async () => {
      this.#refuseClosed();
      const running = work();
      this.#inBackground.set(running, connection);
      try {
        return await running;
      } catch (error) {
        this.#refuseClosed();
        throw error;
      } finally {
        this.#inBackground.delete(running);
        this.#endedAt = performance.now();
      }
    };
    return this.#lanes.heavy.run(run, undefined, true);
  }

  /** Whether something was read, and nothing for so long. */
  isIdle(forMs: number): boolean {
    const isIdle =
      this.#running.size + this.#inBackground.size === 0 &&
      this.#endedAt !== null &&
      performance.now() - this.#endedAt >= forMs;
    if (isIdle) this.#endedAt = null;
    return isIdle;
  }

  /** Stops what is under way, and waits until it has: a connection that is closed under a query aborts the process, or hangs. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const own = Object.values(this.#connections).flat();
    const interrupt = () => {
      for (const connection of [...own, ...this.#inBackground.values()]) connection.interrupt();
    };
    interrupt();
    const timer = setInterval(interrupt, interruptEveryMs);
    await Promise.allSettled([...this.#running, ...this.#inBackground.keys()]);
    clearInterval(timer);
    for (const connection of own) connection.closeSync();
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw new MonitorError('unavailable', 'the store is closed');
  }

  async #run(
    connection: DuckDBConnection,
    sql: Sql,
    take: (columns: DuckDBValue[][], names: readonly string[]) => void,
    signal: AbortSignal | undefined,
    bound: Bound | undefined,
  ): Promise<void> {
    signal?.throwIfAborted();
    const leave = interruptOnAbort(connection, signal);
    const ask = (text: string) => (bound ? connection.run(text, [bound.value], [bound.type]) : connection.run(text));
    try {
      const result = await (typeof sql === 'string' ? ask(sql) : this.#askSteadily(() => ask(sql()), signal));
      const names = result.columnNames();
      for (let chunk = await result.fetchChunk(); chunk && chunk.rowCount > 0; chunk = await result.fetchChunk()) {
        signal?.throwIfAborted();
        take(chunk.getColumns(), names);
      }
    } catch (error) {
      signal?.throwIfAborted();
      this.#refuseClosed();
      throw await this.#translate(error);
    } finally {
      leave();
    }
  }

  /** Once more where rows went from the table into a file meanwhile, and then none do. */
  async #askSteadily<T>(ask: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const view = await this.#parts.view();
    try {
      const first = await ask();
      if (view.isSame()) return first;
    } catch (error) {
      signal?.throwIfAborted();
      this.#refuseClosed();
      if (view.isSame() && (await this.#onDamage(error)) !== 'again') throw error;
    }
    return this.#parts.holding(async () => {
      await this.#parts.view();
      return ask();
    });
  }

  async #translate(error: unknown): Promise<unknown> {
    if (/out of memory|max_temp_directory_size/i.test(messageOf(error)))
      return new MonitorError(
        'invalid',
        'the question needs more memory than one may have; ask for a shorter window or fewer series',
        {
          cause: error,
        },
      );
    if (!isDamage(error)) return error;
    await this.#onDamage(error);
    return new MonitorError(
      'unavailable',
      `the store's file is damaged: ${messageOf(error)}; the next start mends it`,
      { cause: error },
    );
  }
}

function addRows(rows: Row[], columns: DuckDBValue[][], names: readonly string[]): void {
  const count = columns[0]?.length ?? 0;
  for (let i = 0; i < count; i++) {
    const row: Row = {};
    for (let k = 0; k < names.length; k++) row[names[k] as string] = (columns[k] as Row[string][])[i] ?? null;
    rows.push(row);
  }
}

/** @returns what is to be called once the query has ended */
function interruptOnAbort(connection: DuckDBConnection, signal: AbortSignal | undefined): () => void {
  let timer: NodeJS.Timeout | undefined;
  const interrupt = () => {
    connection.interrupt();
    timer = setInterval(() => connection.interrupt(), interruptEveryMs);
  };
  signal?.addEventListener('abort', interrupt, { once: true });
  return () => {
    signal?.removeEventListener('abort', interrupt);
    clearInterval(timer);
  };
}
