import { rowAt, type UsageRow, type UsageTable } from '../src/core/store.ts';

/** A table as objects. */
export function tableRows(table: UsageTable): UsageRow[] {
  return Array.from(table.time, (_, index) => rowAt(table, index));
}
