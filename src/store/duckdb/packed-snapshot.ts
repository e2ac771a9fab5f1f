import type { ProcessColumns, Snapshot, SnapshotHeader } from '../../core/snapshot.ts';
import type { RecentMap } from '../recent-map.ts';
import { percentScale } from './schema.ts';

/**
 * A snapshot as the store's thread takes it: names as ids, numbers in one block of memory that changes
 * hands without being copied. Cloning the arrays instead would cost as much as storing them.
 */
export interface PackedSnapshot {
  header: SnapshotHeader;
  rows: number;
  /**
   * `rssBytes` in two halves, then one section of `rows` numbers for each of `packedColumns`. A null is
   * `packedNull`, in `rssBytes` in both halves. A name whose id is not known is -1 less its place in `unknown`.
   */
  data: ArrayBuffer;
  unknown: readonly string[];
}

export const packedColumns = ['name', 'cpu', 'cpuMax', 'memory', 'memoryMax', 'count', 'pid'] as const;
export type PackedColumn = (typeof packedColumns)[number];

/** No count or percentage is negative, and as a pid it is none that a system gives. */
export const packedNull = -1;

/** @param ids of the names that are in use */
export function pack({ processes, ...header }: Snapshot, ids: RecentMap<string, number>): PackedSnapshot {
  const rows = processes.name.length;
  const data = new ArrayBuffer(rows * (packedColumns.length + 2) * Int32Array.BYTES_PER_ELEMENT);
  packRss(rssSection(data, rows), processes.rssBytes);
  for (const column of packedColumns) if (column !== 'name') packColumn(section(data, rows, column), processes, column);
  return { header, rows, data, unknown: packNames(section(data, rows, 'name'), processes.name, ids) };
}

/** One column of a packed snapshot, as a view of its memory. */
export function section(data: ArrayBuffer, rows: number, column: PackedColumn): Int32Array {
  return new Int32Array(data, rows * (packedColumns.indexOf(column) + 2) * Int32Array.BYTES_PER_ELEMENT, rows);
}

/** Low and high halves by turns: as the database reads them, 64-bit integers. */
export function rssSection(data: ArrayBuffer, rows: number): Int32Array {
  return new Int32Array(data, 0, rows * 2);
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
function packNames(target: Int32Array, names: readonly string[], ids: RecentMap<string, number>): string[] {
  const unknown: string[] = [];
  for (let i = 0; i < target.length; i++) {
    const name = names[i] as string;
    target[i] = ids.get(name) ?? -unknown.push(name);
  }
  return unknown;
}

function packColumn(target: Int32Array, processes: ProcessColumns, column: Exclude<PackedColumn, 'name'>): void {
  const values = processes[column];
  const scale = column === 'count' || column === 'pid' ? 1 : percentScale;
  for (let i = 0; i < target.length; i++) {
    const value = values[i] ?? null;
    target[i] = value === null ? packedNull : Math.round(value * scale);
  }
}

function packRss(target: Int32Array, values: readonly (number | null)[]): void {
  for (let i = 0; i < values.length; i++) {
    const bytes = values[i] ?? null;
    target[i * 2] = bytes === null ? packedNull : bytes;
    target[i * 2 + 1] = bytes === null ? packedNull : Math.floor(bytes / 2 ** 32);
  }
}
