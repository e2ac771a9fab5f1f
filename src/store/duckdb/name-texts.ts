import { LIST, listValue, VARCHAR } from '@duckdb/node-api';
import type { Reading } from '../../core/store.ts';
import { LruCache } from '../../platform/lru-cache.ts';
import { decoded } from './encoded-text.ts';
import type { Bound, Readers } from './readers.ts';

/** Names remembered, in each direction. */
const mostRemembered = 50_000;

/** Ids of these texts of a dictionary; `i` counts from 1. */
export function idsSql(table: 'name' | 'series'): string {
  return `SELECT wanted.i::INTEGER AS i, ${table}.id AS id FROM ${table}
    JOIN (SELECT unnest($1) AS text, generate_subscripts($1, 1) AS i) wanted ON ${table}.text = wanted.text`;
}

export function namesValue(names: readonly string[]): Bound {
  return { value: listValue([...names]), type: LIST(VARCHAR) };
}

/**
 * What is remembered of these keys, and of the others what is found.
 * @param mayRemember asked once it is found
 * @param find those that are not remembered, each once
 */
export async function lookUp<K, V>(
  keys: Iterable<K>,
  remembered: LruCache<K, V>,
  mayRemember: () => boolean,
  find: (missing: readonly K[]) => Promise<(readonly [K, V])[]>,
): Promise<Map<K, V>> {
  const found = new Map<K, V>();
  const missing = new Set<K>();
  for (const key of keys) {
    const value = remembered.get(key);
    if (value === undefined) missing.add(key);
    else found.set(key, value);
  }
  if (missing.size === 0) return found;
  for (const [key, value] of await find([...missing])) {
    found.set(key, value);
    if (mayRemember()) remembered.set(key, value);
  }
  return found;
}

/** Texts of a dictionary by id and ids by text: those in use are remembered, all others are in the database. */
export class NameTexts {
  readonly #readers: Readers;
  readonly #table: 'name' | 'series';
  readonly #texts = new LruCache<number, string>(mostRemembered);
  readonly #ids = new LruCache<string, number>(mostRemembered);
  /** What was read before the last deletion is not remembered after it. */
  #deletions = 0;

  constructor(readers: Readers, table: 'name' | 'series') {
    this.#readers = readers;
    this.#table = table;
  }

  /** What gives the names of these ids; `lost-17` for one that is not there any more. */
  async of(ids: Iterable<number>, reading: Reading): Promise<(id: number) => string> {
    const texts = await lookUp(ids, this.#texts, this.#isWhole(), async (missing) => {
      const sql = `SELECT id, encode(text) AS text FROM ${this.#table} WHERE id IN (${missing.join(', ')})`;
      const rows = await this.#readers.query(sql, reading);
      return rows.map(({ id, text }) => [id as number, decoded(text)]);
    });
    return (id) => texts.get(id) ?? `lost-${id}`;
  }

  async find(name: string, reading: Reading): Promise<number | undefined> {
    return (await this.findAll([name], reading)).get(name);
  }

  /** The ids of those that are stored. */
  async findAll(names: readonly string[], reading: Reading): Promise<Map<string, number>> {
    return lookUp(names, this.#ids, this.#isWhole(), async (missing) => {
      const rows = await this.#readers.query(idsSql(this.#table), reading, namesValue(missing));
      return rows.map(({ i, id }) => [missing[(i as number) - 1] as string, id as number]);
    });
  }

  /** Whether nothing has been deleted since this was asked. */
  #isWhole(): () => boolean {
    const deletions = this.#deletions;
    return () => deletions === this.#deletions;
  }

  /** Some of them have been deleted. */
  clear(): void {
    this.#deletions++;
    this.#texts.clear();
    this.#ids.clear();
  }
}
