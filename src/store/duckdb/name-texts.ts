import { type DuckDBBlobValue, LIST, listValue, VARCHAR } from '@duckdb/node-api';
import type { Reading } from '../../core/store.ts';
import { RecentMap } from '../recent-map.ts';
import type { Bound, Readers } from './readers.ts';

/** Names remembered, in each direction. */
const mostRemembered = 50_000;

/** Ids of these texts of a dictionary; `i` counts from 1. */
export function idsSql(table: 'name' | 'series'): string {
  return `SELECT wanted.i::INTEGER AS i, ${table}.id AS id FROM ${table}
    JOIN (SELECT unnest($1) AS text, generate_subscripts($1, 1) AS i) wanted ON ${table}.text = wanted.text`;
}

/** Of `encode(text)`: the driver takes the byte order mark off a text that begins with one. */
export function decoded(value: unknown): string {
  return Buffer.from((value as DuckDBBlobValue).bytes).toString();
}

export function namesValue(names: readonly string[]): Bound {
  return { value: listValue([...names]), type: LIST(VARCHAR) };
}

/** Texts of a dictionary by id and ids by text: those in use are remembered, all others are in the database. */
export class NameTexts {
  readonly #readers: Readers;
  readonly #table: 'name' | 'series';
  readonly #texts = new RecentMap<number, string>(mostRemembered);
  readonly #ids = new RecentMap<string, number>(mostRemembered);
  /** What was read before the last deletion is not remembered after it. */
  #deletions = 0;

  constructor(readers: Readers, table: 'name' | 'series') {
    this.#readers = readers;
    this.#table = table;
  }

  /** What gives the names of these ids; '' for one that is forgotten. */
  async of(ids: Iterable<number>, reading: Reading): Promise<(id: number) => string> {
    const texts = new Map<number, string>();
    const missing: number[] = [];
    for (const id of ids) {
      const text = this.#texts.get(id);
      if (text === undefined) missing.push(id);
      else texts.set(id, text);
    }
    if (missing.length > 0) {
      const deletions = this.#deletions;
      const sql = `SELECT id, encode(text) AS text FROM ${this.#table} WHERE id IN (${missing.join(', ')})`;
      for (const { id, text } of await this.#readers.query(sql, reading)) {
        texts.set(id as number, decoded(text));
        if (deletions === this.#deletions) this.#texts.set(id as number, decoded(text));
      }
    }
    return (id) => texts.get(id) ?? '';
  }

  async find(name: string, reading: Reading): Promise<number | undefined> {
    return (await this.findAll([name], reading)).get(name);
  }

  /** The ids of those that are stored. */
  async findAll(names: readonly string[], reading: Reading): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    const missing = new Set<string>();
    for (const name of names) {
      const id = this.#ids.get(name);
      if (id === undefined) missing.add(name);
      else found.set(name, id);
    }
    if (missing.size === 0) return found;
    const wanted = [...missing];
    const deletions = this.#deletions;
    for (const row of await this.#readers.query(idsSql(this.#table), reading, namesValue(wanted))) {
      const name = wanted[(row.i as number) - 1] as string;
      found.set(name, row.id as number);
      if (deletions === this.#deletions) this.#ids.set(name, row.id as number);
    }
    return found;
  }

  /** Some of them have been deleted. */
  clear(): void {
    this.#deletions++;
    this.#texts.clear();
    this.#ids.clear();
  }
}
