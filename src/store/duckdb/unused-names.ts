import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { NameTexts } from './name-texts.ts';
import { families } from './part-files.ts';
import { always, type Parts } from './parts.ts';
import type { Readers } from './readers.ts';
import type { SnapshotWriter } from './snapshot-writer.ts';

/** They are looked for once there are more names than this. */
const manyNames = 20_000;
/** Deleted at a time: whoever writes waits for it. */
const deletedAtOnce = 50_000;

interface Options {
  instance: DuckDBInstance;
  readers: Readers;
  parts: Parts;
  names: NameTexts;
  writer: SnapshotWriter;
}

/** Finds the names that no row has any more, beside the writing, and deletes those that are not used again meanwhile. */
export class UnusedNames {
  readonly #options: Options;
  /** Has what was found, in a table of its own; null: nobody looks. */
  #connection: DuckDBConnection | null = null;

  constructor(options: Options) {
    this.#options = options;
  }

  /** @returns how many; unless there are none, `deleteSome` and `end` have to follow */
  async find(): Promise<number> {
    const { readers, writer, instance, parts } = this.#options;
    const [row] = await readers.query('SELECT count(*)::DOUBLE AS names FROM name', { lane: 'background' });
    if ((row?.names as number) <= manyNames || this.#connection !== null) return 0;
    writer.watchNames();
    const connection = await instance.connect();
    this.#connection = connection;
    // What is in buckets is in roll-ups of an hour too.
    const used = families
      .filter((family) => family !== 'bucket')
      .map((family) => `SELECT name FROM ${parts.relation(family, always)}`)
      .join(' UNION ');
    const find = async () => {
      await connection.run(`CREATE TEMP TABLE unused AS SELECT id FROM name WHERE id NOT IN (${used})`);
      return Number((await connection.runAndReadAll('SELECT count(*)::INTEGER FROM unused')).getRows()[0]?.[0]);
    };
    const found = await readers.background(connection, find).catch((error: unknown) => {
      this.end();
      throw error;
    });
    if (found === 0) this.end();
    return found;
  }

  /** Whoever calls has the turn in the chain of commits. @returns whether there may be more */
  async deleteSome(): Promise<boolean> {
    const { writer, names } = this.#options;
    const rows = (await this.#connection?.runAndReadAll(`SELECT id FROM unused LIMIT ${deletedAtOnce}`))?.getRows();
    const ids = (rows ?? []).map(([id]) => id as number);
    if (ids.length === 0) return false;
    const used = writer.usedNames();
    const gone = ids.filter((id) => !used.has(id));
    if (gone.length > 0) await this.#connection?.run(`DELETE FROM name WHERE id IN (${gone.join(', ')})`);
    await this.#connection?.run(`DELETE FROM unused WHERE id IN (${ids.join(', ')})`);
    names.clear();
    return true;
  }

  end(): void {
    this.#connection?.closeSync();
    this.#connection = null;
    this.#options.writer.unwatchNames();
  }
}
