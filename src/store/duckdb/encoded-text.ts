import type { DuckDBBlobValue } from '@duckdb/node-api';

/** Of `encode(text)`: the driver takes the byte order mark off a text that begins with one. */
export function decoded(value: unknown): string {
  return Buffer.from((value as DuckDBBlobValue).bytes).toString();
}
