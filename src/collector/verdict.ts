import type { PutOutcome } from '../client/monitor-client.ts';
import { backoffMs } from '../platform/back-off.ts';

/** All collectors lose a server at the same moment: their first tries again are spread over this. */
const firstRetryMs = 15_000;

export type Verdict = 'stored' | 'refused' | 'denied' | 'early' | 'later';

/**
 * What an answer to so many snapshots means for them. Only our own servers' answers mean that they are stored: a
 * portal in between says 200 to anything.
 */
export function verdictOf({ status, taken = null }: Pick<PutOutcome, 'status' | 'taken'>, sent: number): Verdict {
  if (status === 204) return 'stored';
  if (status === 200 && taken !== null && taken.stored + taken.expired === sent) return 'stored';
  if (status === 425) return 'early';
  if (status === 400 || status === 413 || status === 422) return 'refused';
  if (status === 401 || status === 403) return 'denied';
  return 'later';
}

/** Milliseconds until the next try after so many failures in a row, with or without an answer. */
export function retryMs(failures: number, outcome: PutOutcome, random: number): number {
  if (outcome.status === null && failures === 1) return random * firstRetryMs;
  return backoffMs(failures, outcome.retryAfterMs, random);
}

/** How a server that does not take snapshots is away, in words. */
export function howAway({ status, detail }: PutOutcome): string {
  if (status === null) return `does not answer: ${detail}`;
  if (status < 300) return `answers ${status}, and not as amberwatch does; is there a portal or proxy in between?`;
  return `answers ${status}: ${detail}`;
}
