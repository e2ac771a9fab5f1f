import type { Sample, Stretch, StretchQuery } from '../core/sample.ts';
import type { Reads, TimeWindow } from '../core/store.ts';

/** Asks for the run at `until`. */
export interface RunQuery extends StretchQuery {
  /** How long it has to last before it counts. */
  forMs: number;
  /** How long values have to be at or under `clear` to end it. */
  holdMs: number;
}

/** What a window shows of the run at its end. Epoch milliseconds. */
export interface Run {
  /** When it began; null: there is none. */
  since: number | null;
  /** Since when values have been over `clear`, apart from breaks that end no run; null: they are not. */
  heldSince: number | null;
  /** It begins where what is known begins: it may turn out to be older. */
  mayBeOlder: boolean;
}

/** For each query its run, as far as the window shows it. Values nobody knows are passed over. */
export async function findRuns(reads: Reads<[]>, queries: readonly RunQuery[], window: TimeWindow): Promise<Run[]> {
  const stretches = reads.stretches
    ? await reads.stretches(queries, window)
    : await plainStretches(reads, queries, window);
  return queries.map((query, index) => runOf(stretches[index] ?? [], query));
}

async function plainStretches(
  reads: Reads<[]>,
  queries: readonly StretchQuery[],
  window: TimeWindow,
): Promise<Stretch[][]> {
  const selected = await reads.select({ ...window, series: queries.map(({ series }) => series), stepMs: null });
  return queries.map((query, index) => stretchesOf(selected[index]?.samples ?? [], query));
}

/** Samples by time as stretches; without a value for more than `gapMs` is a hole. */
export function stretchesOf(samples: Iterable<Sample>, query: Omit<StretchQuery, 'series'>): Stretch[] {
  const stretches: Stretch[] = [];
  let hasExited = false;
  let sweptAt = Number.NEGATIVE_INFINITY;
  for (const { time, value } of samples) {
    if (time > query.until) break;
    const sinceSweep = time - sweptAt;
    sweptAt = time;
    hasExited ||= value === 'exited';
    if (typeof value !== 'number') continue;
    const level = value > query.red ? 'over' : value > query.clear ? 'between' : 'low';
    const last = stretches.at(-1);
    const isGap = hasExited ? sinceSweep > query.gapMs : last !== undefined && time - last.to > query.gapMs;
    const hole = isGap ? 'gap' : hasExited ? 'exit' : null;
    if (last?.level === level && hole === null) last.to = time;
    else stretches.push({ from: time, to: time, level, hole });
    hasExited = false;
  }
  return stretches;
}

/**
 * The run at the end of these stretches. It begins with the first value over `red`, counts once it has lasted for
 * `forMs` without falling to `clear`, and ends when values have been at or under `clear` for `holdMs`, or with a hole.
 */
export function runOf(stretches: readonly Stretch[], { forMs, holdMs }: Pick<RunQuery, 'forMs' | 'holdMs'>): Run {
  const heldSince = runStart(stretches, 0, holdMs, (level) => level !== 'low');
  return {
    since: runStart(stretches, forMs, holdMs, (level) => level === 'over'),
    heldSince,
    mayBeOlder: isCutOff(stretches, heldSince, holdMs),
  };
}

function runStart(
  stretches: readonly Stretch[],
  forMs: number,
  holdMs: number,
  begins: (level: Stretch['level']) => boolean,
): number | null {
  let pending: number | null = null;
  let firing: number | null = null;
  let lowSince: number | null = null;
  for (const { from, to, level, hole } of stretches) {
    if (hole !== null) [pending, firing, lowSince] = [null, null, null];
    if (level === 'low') {
      pending = null;
      lowSince ??= from;
      if (to - lowSince >= holdMs) firing = null;
      continue;
    }
    lowSince = null;
    if (begins(level)) pending ??= from;
    if (pending !== null && to - pending >= forMs) firing ??= pending;
  }
  return firing ?? pending;
}

/**
 * Whether it, or a break that may turn out to be one of a run, begins where nothing is known of before: one too short
 * to end a run does not tell.
 */
function isCutOff(stretches: readonly Stretch[], heldSince: number | null, holdMs: number): boolean {
  const begin = stretches.findLastIndex(
    ({ from, level }) => heldSince === null || (from === heldSince && level !== 'low'),
  );
  for (let k = begin; k >= 0; k--) {
    const { from, to, level, hole } = stretches[k] as Stretch;
    if (level === 'low' && to - from >= holdMs) return false;
    if (hole !== null) return hole === 'gap';
  }
  return begin >= 0;
}
