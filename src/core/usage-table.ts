import { type ProcessColumnId, processColumnIds } from './metric.ts';
import type { UsageRow } from './usage-row.ts';

/**
 * Raw rows as equally long columns: 50,000 of them are 4 MB, and change hands between threads without being copied.
 * `host` and `name` are places in `hosts` and `names`; NaN is not known.
 */
export type UsageTable = {
  hosts: readonly string[];
  names: readonly string[];
  host: Uint32Array;
  name: Uint32Array;
  time: Float64Array;
} & Record<ProcessColumnId, Float64Array>;

/** Rows as a table. */
export function toTable(rows: readonly UsageRow[]): UsageTable {
  const [hosts, names] = [new Places(), new Places()];
  const column = (metric: 'time' | ProcessColumnId) => Float64Array.from(rows, (row) => row[metric] ?? Number.NaN);
  return {
    host: Uint32Array.from(rows, (row) => hosts.of(row.host)),
    name: Uint32Array.from(rows, (row) => names.of(row.name)),
    hosts: hosts.texts,
    names: names.texts,
    time: column('time'),
    ...(Object.fromEntries(processColumnIds.map((id) => [id, column(id)])) as Record<ProcessColumnId, Float64Array>),
  };
}

/** Texts as the places where they stand. */
class Places {
  readonly texts: string[] = [];
  readonly #places = new Map<string, number>();

  of(text: string): number {
    const place = this.#places.get(text) ?? this.texts.push(text) - 1;
    this.#places.set(text, place);
    return place;
  }
}
