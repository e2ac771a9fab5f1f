import { leanColumns } from './lean-usage-sql.ts';
import type { Family } from './part-files.ts';
import { addedBucketsSql, addedSql } from './rollup-sql.ts';

export const minuteMs = 60_000;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;
/** Rows within so long stand together in a file, sorted by series: a question about five minutes skips the rest. */
export const sliceMs = 10 * minuteMs;

/** How rows of a family lie in its files. */
interface Layout {
  /** A file is of so long, at most. */
  lengthMs: number;
  /** About how many rows a file has, at most; what is much smaller is put together. */
  mostRows: number;
  /** Sorted so many at a time, as it fits into the memory that there is, and of so long. */
  sortedRows: number;
  sortedMs: number;
  order: string;
  /** Rows of the table, or of other files, as a file has them. */
  select: (relation: string, where: string) => string;
}

const bySeries = 'host, name, time';

export const layouts: Record<Family, Layout> = {
  // Letting go of a row costs ten bytes of memory until the next checkpoint.
  usage: {
    lengthMs: hourMs,
    mostRows: 6_000_000,
    sortedRows: 300_000,
    sortedMs: sliceMs,
    order: bySeries,
    select: (relation, where) => `SELECT ${relation === 'usage' ? leanColumns : '*'} FROM ${relation} WHERE ${where}`,
  },
  // A roll-up is wide, and while it is added up takes a kilobyte.
  minute: {
    lengthMs: hourMs,
    mostRows: 1_000_000,
    sortedRows: 50_000,
    sortedMs: sliceMs,
    order: bySeries,
    select: addedSql,
  },
  hour: {
    lengthMs: dayMs,
    mostRows: 1_000_000,
    sortedRows: 50_000,
    sortedMs: dayMs,
    order: bySeries,
    select: addedSql,
  },
  bucket: {
    lengthMs: dayMs,
    mostRows: 4_000_000,
    sortedRows: 500_000,
    sortedMs: dayMs,
    order: 'host, name, quantity, time, bucket',
    select: addedBucketsSql,
  },
};
