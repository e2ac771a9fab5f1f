import type { ProcessColumnId } from '../../core/metric.ts';
import type { Row } from './readers.ts';
import { scaleOf } from './schema.ts';

/**
 * SQL of the DuckDB store, and its rows as the store's types. Only numbers are ever put into the text, names are
 * looked up in the dictionaries first, and addresses and metrics are quoted.
 */

/** A number as SQL text; times beyond what a BIGINT holds are clamped. */
export function num(value: number): string {
  return String(Math.max(-9e15, Math.min(9e15, value)));
}

export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A level of a column, as it is stored. */
export function level(id: ProcessColumnId, value: number): string {
  // 64.1 * 1000 is a little less than 64100.
  return num(Math.round(value * scaleOf(id)));
}

export function finite(value: Row[string] | undefined): number | null {
  return typeof value === 'number' ? value : null;
}
