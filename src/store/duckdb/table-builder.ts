import type { DuckDBValue } from '@duckdb/node-api';
import { type ProcessColumnId, processColumnIds } from '../../core/metric.ts';
import type { UsageTable } from '../../core/usage-table.ts';
import { scaleOf } from './schema.ts';

/** In the order of `detailedSql`, and what a stored number is divided by. */
const columns: readonly (readonly [id: 'time' | 'host' | 'name' | ProcessColumnId, divisor: number])[] = [
  ['time', 1],
  ['host', 1],
  ['name', 1],
  ...processColumnIds.map((id) => [id, scaleOf(id)] as const),
];

/** A table of raw rows out of the pieces in which the database gives it. */
export class TableBuilder {
  readonly #columns: Float64Array[];
  rows = 0;

  /** @param most rows that come: pieces that are put together in the end would take twice the memory */
  constructor(most: number) {
    this.#columns = columns.map(() => new Float64Array(most));
  }

  add(piece: readonly DuckDBValue[][]): void {
    for (const [k, [, divisor]] of columns.entries()) {
      const column = this.#columns[k] as Float64Array;
      for (const [index, value] of (piece[k] ?? []).entries())
        column[this.rows + index] = value === null ? Number.NaN : (value as number) / divisor;
    }
    this.rows += piece[0]?.length ?? 0;
  }

  /** The ids of all names. */
  names(): Set<number> {
    return new Set(this.#column('name'));
  }

  build(hostOf: (id: number) => string, nameOf: (id: number) => string): UsageTable {
    const [hosts, names] = [indexed(this.#column('host'), hostOf), indexed(this.#column('name'), nameOf)];
    return {
      hosts: hosts.texts,
      names: names.texts,
      host: hosts.places,
      name: names.places,
      time: this.#column('time'),
      ...(Object.fromEntries(processColumnIds.map((id) => [id, this.#column(id)])) as Record<
        ProcessColumnId,
        Float64Array
      >),
    };
  }

  /** Whole, or of what has come a copy: its memory changes hands. */
  #column(name: (typeof columns)[number][0]): Float64Array {
    const column = this.#columns[columns.findIndex(([each]) => each === name)] as Float64Array;
    return column.length === this.rows ? column : column.slice(0, this.rows);
  }
}

function indexed(ids: Float64Array, textOf: (id: number) => string): { texts: string[]; places: Uint32Array } {
  const placeOf = new Map<number, number>();
  for (const id of ids) if (!placeOf.has(id)) placeOf.set(id, placeOf.size);
  return {
    texts: [...placeOf.keys()].map(textOf),
    places: Uint32Array.from(ids, (id) => placeOf.get(id) as number),
  };
}
