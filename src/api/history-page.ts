import { MonitorError } from '../core/error.ts';
import type { PageQuery, Reads, TimeWindow, UsageFilter } from '../core/store.ts';
import type { UsageTable } from '../core/usage-table.ts';

/** Where a page of raw rows begins. */
export interface PageStart extends TimeWindow {
  /** Rows of the first instant after `from` that earlier pages have delivered. */
  skip: number;
}

/** The last instant a Date can hold. */
const latestTime = 8.64e15;
/** More rows than this have no single instant. */
const maxSkip = 1_000_000;

export interface Page {
  table: UsageTable;
  /** Rows of the table that are of this page. */
  rows: number;
  next: PageStart | null;
}

export async function readPage(store: Reads<[]>, start: PageStart, filter: UsageFilter, limit: number): Promise<Page> {
  const query: PageQuery = { ...start, ...filter, limit: limit + 1 };
  const table = await store.page(query);
  // One row more than the limit tells whether there is a next page.
  const rows = Math.min(limit, table.time.length);
  return { table, rows, next: table.time.length > limit ? nextStart(start, table.time.subarray(0, rows)) : null };
}

function nextStart(start: PageStart, times: Float64Array): PageStart {
  const last = times.at(-1) as number;
  const delivered = times.length - times.indexOf(last);
  const sameInstant = times[0] === last && last - 1 === start.from;
  return { from: last - 1, to: start.to, skip: delivered + (sameInstant ? start.skip : 0) };
}

export function formatCursor({ from, to, skip }: PageStart): string {
  return Buffer.from(JSON.stringify([from, to, skip])).toString('base64url');
}

/** @throws MonitorError `invalid` for what formatCursor cannot have given. */
export function parseCursor(text: string): PageStart {
  const [from = -1, to = -1, skip = -1, ...rest] = numbersOf(text);
  const isOurs = 0 <= from && from <= to && to <= latestTime && 0 <= skip && skip <= maxSkip && rest.length === 0;
  if (!isOurs)
    throw new MonitorError('invalid', `cursor '${text}' is not one this server gave; start again without it`);
  return { from, to, skip };
}

function numbersOf(text: string): number[] {
  try {
    const values: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    return Array.isArray(values) && values.every(Number.isSafeInteger) ? values : [];
  } catch {
    return [];
  }
}
