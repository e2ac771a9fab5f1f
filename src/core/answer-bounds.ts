import { MonitorError } from './error.ts';
import type { SelectQuery } from './store.ts';

/** More names than this are not in one answer. */
export const mostNames = 100_000;

/** More series are not in one answer, nor more steps of all of them. */
export const mostSelected = 1000;
export const mostPoints = 200_000;
/** More series of other sources are not looked at for one. */
export const mostNamed = 20_000;

/** @throws MonitorError `invalid` for more names than an answer may have */
export function refuseTooMany(names: number): void {
  if (names > mostNames)
    throw new MonitorError(
      'invalid',
      `the answer would have more than ${mostNames} process names; ask for the first so many (top=500), one host (host=) or a shorter window (window=)`,
    );
}

/** @throws MonitorError `invalid` for more series, or more steps of them, than one answer may have */
export function refuseTooManySeries(
  count: number,
  { from, to, stepMs }: Pick<SelectQuery, 'from' | 'to' | 'stepMs'>,
): void {
  if (count > mostSelected)
    throw new MonitorError(
      'invalid',
      `the selector names more than ${mostSelected} series; write more matchers, such as host="web-01", or ask for a shorter window (window=)`,
    );
  const points = stepMs === null ? 0 : count * Math.ceil((to - from) / stepMs);
  if (points > mostPoints)
    throw new MonitorError(
      'invalid',
      `the selector names ${count} series, and that is up to ${points} points, where at most ${mostPoints} are given; choose a longer step (step=), a shorter window (window=) or fewer series`,
    );
}
