import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { MonitorError, messageOf } from '../../core/error.ts';
import { isDamage } from './open-database.ts';

/** One row as the driver returns it; times and counts are cast to DOUBLE in SQL, so no bigint comes. */
export type Row = Record<string, number | string | boolean | null>;

/**
 * A few connections for queries, each used by one at a time. Few, because every running query holds one
 * of libuv's four threads and a commit must always find one free.
 */
export class Readers {
  readonly #idle: DuckDBConnection[];
  readonly #onDamage: () => Promise<void>;
  readonly #waiting: ((connection: DuckDBConnection) => void)[] = [];

  private constructor(connections: DuckDBConnection[], onDamage: () => Promise<void>) {
    this.#idle = connections;
    this.#onDamage = onDamage;
  }

  /** `onDamage` runs before a query that met damage in the file throws. */
  static async connect(instance: DuckDBInstance, onDamage: () => Promise<void>, count = 2): Promise<Readers> {
    return new Readers(await Promise.all(Array.from({ length: count }, () => instance.connect())), onDamage);
  }

  async query(sql: string): Promise<Row[]> {
    const connection = this.#idle.pop() ?? (await new Promise<DuckDBConnection>((take) => this.#waiting.push(take)));
    try {
      return (await connection.runAndReadAll(sql)).getRowObjects() as Row[];
    } catch (error) {
      if (!isDamage(error)) throw error;
      await this.#onDamage();
      throw new MonitorError(
        'unavailable',
        `the store's file is damaged: ${messageOf(error)}; the next start mends it`,
        {
          cause: error,
        },
      );
    } finally {
      const next = this.#waiting.shift();
      if (next) next(connection);
      else this.#idle.push(connection);
    }
  }

  close(): void {
    for (const connection of this.#idle) connection.closeSync();
  }
}
