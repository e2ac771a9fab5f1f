import { MonitorError } from '../core/error.ts';
import type { DetailedQuery, Store, TimeWindow, UsageFilter, UsageRow } from '../core/store.ts';

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
  rows: UsageRow[];
  next: PageStart | null;
}

export async function readPage(store: Store, start: PageStart, filter: UsageFilter, limit: number): Promise<Page> {
  const query: DetailedQuery = { ...start, ...filter, limit: limit + 1 };
  const rows = await store.detailed(query);
  // One row more than the limit tells whether there is a next page.
  const page = rows.slice(0, limit);
  return { rows: page, next: rows.length > limit ? nextStart(start, page) : null };
}

function nextStart(start: PageStart, page: readonly UsageRow[]): PageStart {
  const last = (page.at(-1) as UsageRow).time;
  const delivered = page.filter((row) => row.time === last).length;
  const sameInstant = page[0]?.time === last && last - 1 === start.from;
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
