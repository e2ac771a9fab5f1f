import { type ProcessColumnId, processColumnIds } from '../src/core/metric.ts';
import type { UsageRow } from '../src/core/usage-row.ts';
import type { UsageTable } from '../src/core/usage-table.ts';

/** A table as objects. */
export function tableRows(table: UsageTable): UsageRow[] {
  return Array.from(table.time, (_, index) => rowAt(table, index));
}

function rowAt(table: UsageTable, index: number): UsageRow {
  const known = (column: Float64Array) => {
    const value = column[index] as number;
    return Number.isNaN(value) ? null : value;
  };
  return {
    host: table.hosts[table.host[index] as number] as string,
    time: table.time[index] as number,
    name: table.names[table.name[index] as number] as string,
    ...(Object.fromEntries(processColumnIds.map((id) => [id, known(table[id])])) as Record<ProcessColumnId, number>),
  };
}
