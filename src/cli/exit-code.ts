import { CommanderError } from 'commander';
import { MonitorError } from '../core/error.ts';

/** What scripts can rely on. */
export const exitCodes = { ok: 0, failure: 1, usage: 2, amber: 3, red: 4, unreachable: 5 } as const;

export const exitCodeHelp = `
Exit codes: 0 green, PAUSED or a clean end, 1 failure, 2 wrong usage or configuration, 3 AMBER or STALE, 4 RED,
5 the server cannot be reached. 3 to 5 come from 'alert --once'.`;

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  return error instanceof MonitorError && error.code === 'invalid' ? exitCodes.usage : exitCodes.failure;
}
