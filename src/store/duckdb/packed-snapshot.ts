import { type ProcessColumnId, processColumnIds } from '../../core/metric.ts';
import type { Snapshot, SnapshotHeader } from '../../core/snapshot.ts';
import type { LruCache } from '../../platform/lru-cache.ts';
import { scaleOf, sqlType } from './schema.ts';

/**
 * A snapshot as the store's thread takes it: names as ids, numbers in one block of memory that changes
 * hands without being copied. Cloning the arrays instead would cost as much as storing them.
 */
export interface PackedSnapshot {
  header: SnapshotHeader;
  rows: number;
  /**
   * One section of `rows` numbers for `name` and each column of the catalogue, of two halves where it is a 64-bit
   * integer. A null is `packedNull`, in both halves. A name whose id is not known is -1 less its place in `unknown`.
   */
  data: ArrayBuffer;
  unknown: readonly string[];
}

export type PackedColumn = 'name' | ProcessColumnId;

/** Where each section begins and how wide it is, in 32-bit numbers of one row. */
export const packedColumns = layout();
const packedWidth = packedColumns.reduce((sum, { width }) => sum + width, 0);
const placeOf = new Map(packedColumns.map((column) => [column.id, column]));

function layout(): { id: PackedColumn; at: number; width: 1 | 2 }[] {
  let at = 0;
  return (['name', ...processColumnIds] as const).map((id) => {
    const width = id !== 'name' && sqlType(id) === 'BIGINT' ? 2 : 1;
    const place = { id, at, width } as const;
    at += width;
    return place;
  });
}

/** No count or percentage is negative, and as a pid it is none that a system gives. */
export const packedNull = -1;

/** @param ids of the names that are in use */
export function pack({ processes, ...header }: Snapshot, ids: LruCache<string, number>): PackedSnapshot {
  const rows = processes.name.length;
  const data = new ArrayBuffer(rows * packedWidth * Int32Array.BYTES_PER_ELEMENT);
  for (const { id, width } of packedColumns) {
    if (id === 'name') continue;
    const target = section(data, rows, id);
    if (width === 2) packWide(target, processes[id]);
    else packColumn(target, processes[id], scaleOf(id));
  }
  return { header, rows, data, unknown: packNames(section(data, rows, 'name'), processes.name, ids) };
}

/** One column of a packed snapshot, as a view of its memory; low and high halves by turns where it has two. */
export function section(data: ArrayBuffer, rows: number, id: PackedColumn): Int32Array {
  const { at, width } = placeOf.get(id) as { at: number; width: number };
  return new Int32Array(data, rows * at * Int32Array.BYTES_PER_ELEMENT, rows * width);
}

/**
 * Puts in the ids of names that were not known as it was packed.
 * @returns how to take them out again: ids that were not stored are given to others
 */
export function nameUnknown({ data, rows, unknown }: PackedSnapshot, idOf: (name: string) => number): () => void {
  if (unknown.length === 0) return () => undefined;
  const ids = unknown.map(idOf);
  const column = section(data, rows, 'name');
  const before = column.slice();
  for (let i = 0; i < rows; i++) {
    const id = column[i] as number;
    if (id < 0) column[i] = ids[-1 - id] as number;
  }
  return () => column.set(before);
}

/** @returns the names without an id */
function packNames(target: Int32Array, names: readonly string[], ids: LruCache<string, number>): string[] {
  const unknown: string[] = [];
  for (let i = 0; i < target.length; i++) {
    const name = names[i] as string;
    target[i] = ids.get(name) ?? -unknown.push(name);
  }
  return unknown;
}

function packColumn(target: Int32Array, values: readonly (number | null)[], scale: number): void {
  for (let i = 0; i < target.length; i++) {
    const value = values[i] ?? null;
    target[i] = value === null ? packedNull : Math.round(value * scale);
  }
}

function packWide(target: Int32Array, values: readonly (number | null)[]): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? null;
    target[i * 2] = value === null ? packedNull : value;
    target[i * 2 + 1] = value === null ? packedNull : Math.floor(value / 2 ** 32);
  }
}
