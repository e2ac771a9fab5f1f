import type { TimeWindow } from '../../core/store.ts';
import { planOver, type RollupPlan } from './rollup-plan.ts';
import { binMs, type Marks, type SnapshotCounts } from './rollups.ts';

/** What the means of a window are made of: roll-ups where every host has right ones, and rows of what is left. */
export interface MeanPlan {
  rolled: RollupPlan['rolled'];
  raw: TimeWindow[];
}

/** So many questions for rows at most. */
const mostRaw = 8;

/** The whole ten minutes within a window. */
export function innerBins({ from, to }: TimeWindow): TimeWindow {
  return { from: Math.ceil(from / binMs) * binMs, to: Math.floor(to / binMs) * binMs };
}

/**
 * @param counts of the whole ten minutes within the window, of the hosts that are meant
 * @param marks of roll-ups that have sums
 * @returns null: rows of most of the window would be read all the same
 */
export function meanPlanOf(window: TimeWindow, counts: SnapshotCounts, marks: Marks): MeanPlan | null {
  const inner = innerBins(window);
  const span = spanOf(counts);
  if (span === null) return null;
  const missing = new Set(planOver(span, counts, marks).missing.map(({ time }) => time));
  const stretches = stretchesWithout(missing, span);
  const rolledMs = stretches.reduce((sum, { from, to }) => sum + to - from, 0);
  const edgesMs = inner.from - window.from + window.to - inner.to;
  const rawMs = span.to - span.from - rolledMs + edgesMs;
  const raw = gapsBetween(stretches, window);
  if (raw.length > mostRaw || rolledMs < rawMs) return null;
  return { rolled: stretches.flatMap((stretch) => planOver(stretch, counts, marks).rolled), raw };
}

/** In which there are snapshots at all; null: there are none. */
function spanOf(counts: SnapshotCounts): TimeWindow | null {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const own of counts.values())
    for (const time of own.keys()) {
      from = Math.min(from, time);
      to = Math.max(to, time + binMs);
    }
  return from < to ? { from, to } : null;
}

function stretchesWithout(missing: ReadonlySet<number>, { from, to }: TimeWindow): TimeWindow[] {
  const stretches: TimeWindow[] = [];
  for (let time = from; time < to; time += binMs) {
    if (missing.has(time)) continue;
    const last = stretches.at(-1);
    if (last?.to === time) last.to = time + binMs;
    else stretches.push({ from: time, to: time + binMs });
  }
  return stretches;
}

function gapsBetween(stretches: readonly TimeWindow[], { from, to }: TimeWindow): TimeWindow[] {
  const begins = [from, ...stretches.map((stretch) => stretch.to)];
  const ends = [...stretches.map((stretch) => stretch.from), to];
  return begins.map((begin, k) => ({ from: begin, to: ends[k] as number })).filter((gap) => gap.from < gap.to);
}
