import { type ProcessColumnId, processColumn, processColumnIds, snakeCase } from '../../core/metric.ts';

/**
 * Process rows as closed hours have them, in a third of the space: what follows from other columns is left out. The
 * peak of a single instance is its value, and resident bytes are whole pages.
 */

const pageBytes = 4096;

/** How a column is written, and read again. */
interface LeanColumn {
  write: string;
  read: string;
}

function leanColumn(id: ProcessColumnId): LeanColumn {
  const name = snakeCase(id);
  const { insteadOfMissing, unit, kind } = processColumn(id);
  if (insteadOfMissing !== undefined) return leanPeak(name, snakeCase(insteadOfMissing));
  if (unit === 'bytes' && kind === 'gauge') return leanBytes(name);
  return { write: name, read: name };
}

/** -1: not known, where the value is. */
function leanPeak(peak: string, value: string): LeanColumn {
  return {
    write: `CASE WHEN count = 1 AND ${peak} IS NOT DISTINCT FROM ${value} THEN NULL WHEN ${peak} IS NULL THEN -1 ELSE ${peak} END`,
    read: `CASE WHEN ${peak} IS NULL AND count = 1 THEN ${value} WHEN ${peak} = -1 THEN NULL ELSE ${peak} END`,
  };
}

/** Below 0: bytes that are no whole pages. */
function leanBytes(name: string): LeanColumn {
  return {
    write: `CASE WHEN ${name} % ${pageBytes} = 0 THEN ${name} // ${pageBytes} ELSE -1 - ${name} END`,
    read: `CASE WHEN ${name} < 0 THEN -1 - ${name} ELSE ${name} * ${pageBytes} END`,
  };
}

const keys = ['time', 'host', 'name'];

function select(way: keyof LeanColumn): string {
  const columns = processColumnIds.map((id) => `${leanColumn(id)[way]} AS ${snakeCase(id)}`);
  return [...keys, ...columns].join(', ');
}

/** What is selected of `usage` to be written. */
export const leanColumns = select('write');
/** What is selected of a file to have the rows of `usage` again. */
export const fromLeanColumns = select('read');
/** The same of `usage` itself. */
export const usageColumns = [...keys, ...processColumnIds.map(snakeCase)].join(', ');
