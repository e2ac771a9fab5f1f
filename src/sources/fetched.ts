import type { TimeWindow } from '../core/store.ts';

/** What of a Prometheus is stored, by its own clock. */
export interface Fetched {
  /** All before this is, but for what is missing. */
  until: number;
  /** In no order, none within another. */
  missing: readonly TimeWindow[];
}

/** A scrape has the time at which it began, and is there only when it has ended: so much is asked for again. */
export const overlapMs = 60_000;
/** What is not longer ago, or two intervals, is asked for with what is new. */
const liveReachMs = 5 * 60_000;

/** Before anything was fetched. */
export function nothingFetched(now: number, backfillMs: number): Fetched {
  const until = now - overlapMs;
  return withoutEmpty({ until, missing: [{ from: until - backfillMs, to: until }] });
}

/** What is to be fetched from now on: first what is new, and what was missed as it can be. */
export function resumed({ until, missing }: Fetched, now: number, intervalMs: number): Fetched {
  // Its clock may have been set back.
  if (now - until <= Math.max(liveReachMs, 2 * intervalMs)) return { until: Math.min(until, now), missing };
  const since = now - overlapMs;
  return { until: since, missing: [...missing, { from: until - overlapMs, to: since }] };
}

/** What was taken for past by a clock that was ahead is still to come. */
export function notBeyond({ until, missing }: Fetched, now: number): Fetched {
  const to = Math.min(until, now);
  return withoutEmpty({ until: to, missing: missing.map((window) => ({ ...window, to: Math.min(window.to, to) })) });
}

/** What is too old to be kept is not missing any more. */
export function since({ until, missing }: Fetched, oldest: number): Fetched {
  return withoutEmpty({ until, missing: missing.map(({ from, to }) => ({ from: Math.max(from, oldest), to })) });
}

/** The next part of what is missing: of what was missed last, the oldest. Null: nothing is. */
export function nextMissing({ missing }: Fetched, longestMs: number): TimeWindow | null {
  const last = missing.at(-1);
  return last === undefined ? null : { from: last.from, to: Math.min(last.to, last.from + longestMs) };
}

/** Once that part is there. */
export function withPart({ until, missing }: Fetched, { to }: TimeWindow): Fetched {
  return withoutEmpty({
    until,
    missing: [...missing.slice(0, -1), ...missing.slice(-1).map((last) => ({ ...last, from: to }))],
  });
}

export function missingMs({ missing }: Fetched): number {
  return missing.reduce((sum, { from, to }) => sum + to - from, 0);
}

function withoutEmpty({ until, missing }: Fetched): Fetched {
  return { until, missing: missing.filter(({ from, to }) => from < to) };
}
