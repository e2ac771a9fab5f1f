import { ClickHouseError } from '@clickhouse/client';
import { MonitorError, messageOf } from '../../core/error.ts';
import { connectionReason } from '../../core/failure-reason.ts';

/** ClickHouse answers `Code: 47, e.displayText() = DB::Exception: what is wrong`, later `Code: 47. DB::Exception: ...`. */
const refusal = /Code: (\d+)[.,].*?\w+::\w*Exception: ([\s\S]*)/;

/**
 * These pass, and another replica may answer: a table that is being made anew, too many queries or connections, memory,
 * too many parts, a table that is read-only for want of its Keeper, no quorum, the Keeper itself.
 */
const passing = new Set('60 202 209 210 225 241 242 252 279 285 286 319 341 999'.split(' '));
/** That a query took too long. */
const tookTooLong = '159';

/** What ClickHouse has said, with its number; null: it has said nothing. */
export function refusalOf(error: unknown): { code: string; reason: string } | null {
  const text = messageOf(error);
  // Of an error of today's server the client takes off what the older ones are recognised by.
  if (error instanceof ClickHouseError) return { code: error.code, reason: text };
  const [, code, reason = ''] = refusal.exec(text) ?? [];
  return code === undefined ? null : { code, reason };
}

/** `unavailable` for what another replica may do, or this one later. */
export function translated(error: unknown, base: string): MonitorError {
  const said = refusalOf(error);
  if (said === null) {
    const isTls = base.startsWith('https:');
    const why = connectionReason(error, { isTls, caFlag: '--store-ca' });
    return new MonitorError('unavailable', `ClickHouse at ${base} does not answer: ${why}`, { cause: error });
  }
  const { code, reason } = said;
  const kind = code === tookTooLong ? 'timeout' : passing.has(code) ? 'unavailable' : 'internal';
  const short = reason.replace(/, e\.what\(\)[\s\S]*/, '').slice(0, 300);
  return new MonitorError(kind, `ClickHouse at ${base} answered ${code}: ${short}`, { cause: error });
}

/** Whether ClickHouse has refused it with one of these numbers. */
export function isRefusal(error: unknown, codes: readonly string[]): boolean {
  const cause = error instanceof MonitorError ? error.cause : error;
  return codes.includes(refusalOf(cause)?.code ?? '');
}
