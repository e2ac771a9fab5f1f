import type { TimeWindow } from '../../core/store.ts';
import { type RollupKey, type RollupLength, rollupLengths } from './rollup-points.ts';
import { binMs, countIn, hourMs, type Marks, type SnapshotCounts } from './rollups.ts';

/** The newest are rolled up a while after they have come: so many times ten minutes may be left out of an answer. */
const mostBinsLeft = 3;

/** What the statistics of a window are made of. */
export interface RollupPlan {
  window: TimeWindow;
  /** Read at once: roll-ups that begin in the window, and of how many snapshots each is, by its place. */
  rolled: { length: RollupLength; window: TimeWindow; planned: Map<string, number> }[];
  /** Ten minutes of hosts that came late or are not rolled up yet. */
  missing: { host: string; time: number }[];
}

/** Within one length. */
export function placeOf({ host, time }: Pick<RollupKey, 'host' | 'time'>): string {
  return `${time} ${host}`;
}

/** The coarsest that it has. */
export function resolutionOf({ rolled }: RollupPlan): RollupLength {
  return rolled.some(({ length }) => length === '1h') ? '1h' : '10m';
}

/** The whole ten minutes that a window lies in; what has not ended is left out. */
export function wholeBins({ from, to }: TimeWindow): TimeWindow {
  return { from: Math.floor(from / binMs) * binMs, to: Math.floor(to / binMs) * binMs };
}

/**
 * Hours where there are right ones, ten minutes of what is left, and the values of what has not been rolled up.
 * @param window whole ten minutes
 * @param most what the samples themselves tell: of so many series, and so many
 * @returns null: there are no more than that, or more samples than that have not been rolled up
 */
export function planOf(
  window: TimeWindow,
  counts: SnapshotCounts,
  marks: Marks,
  most: { series: number; samples: number },
): RollupPlan | null {
  const series = seriesByHost(marks);
  const samplesOf = (host: string, time: number, lengthMs: number) =>
    countIn(counts.get(host), time, lengthMs) * (series.get(host) ?? 0);
  const all = { series: 0, samples: 0 };
  for (const host of counts.keys()) {
    all.series += series.get(host) ?? 0;
    all.samples += samplesOf(host, window.from, window.to - window.from);
  }
  if (all.series <= most.series && all.samples <= most.samples) return null;
  for (let left = 0; left <= mostBinsLeft; left++) {
    const plan = planOver({ from: window.from, to: window.to - left * binMs }, counts, marks);
    const isMade = !plan.missing.some(({ time }) => time === plan.window.to - binMs);
    const samples = plan.missing.reduce((sum, { host, time }) => sum + samplesOf(host, time, binMs), 0);
    if (plan.rolled.length > 0 && samples <= most.samples && (isMade || left === mostBinsLeft)) return plan;
  }
  return null;
}

/** How many a host has had at most. */
function seriesByHost(marks: Marks): Map<string, number> {
  const series = new Map<string, number>();
  for (const mark of marks.all()) series.set(mark.host, Math.max(mark.series, series.get(mark.host) ?? 0));
  return series;
}

/** Without a look at how much is missing. @param window whole ten minutes */
export function planOver(window: TimeWindow, counts: SnapshotCounts, marks: Marks): RollupPlan {
  const missing: RollupPlan['missing'] = [];
  const used: { key: RollupKey; snapshots: number }[] = [];
  const isRight = (key: RollupKey, snapshots: number) => {
    if (marks.of(key)?.snapshots !== snapshots) return false;
    used.push({ key, snapshots });
    return true;
  };
  for (const [host, own] of counts)
    for (let time = window.from; time < window.to; ) {
      const mayBeHour = time % hourMs === 0 && time + hourMs <= window.to;
      if (mayBeHour && isRight({ host, length: '1h', time }, countIn(own, time, hourMs))) {
        time += hourMs;
        continue;
      }
      const snapshots = countIn(own, time, binMs);
      if (snapshots > 0 && !isRight({ host, length: '10m', time }, snapshots)) missing.push({ host, time });
      time += binMs;
    }
  return { window, rolled: stretchesOf(used), missing };
}

/** Those of one length that begin within one hour together. */
function stretchesOf(used: readonly { key: RollupKey; snapshots: number }[]): RollupPlan['rolled'] {
  const stretches = new Map<string, RollupPlan['rolled'][number]>();
  for (const { key, snapshots } of used) {
    const { length, time } = key;
    const hour = Math.floor(time / hourMs) * hourMs;
    const id = `${length} ${hour}`;
    const stretch = stretches.get(id) ?? { length, window: { from: time, to: time }, planned: new Map() };
    stretches.set(id, stretch);
    stretch.planned.set(placeOf(key), snapshots);
    stretch.window = {
      from: Math.min(stretch.window.from, time),
      to: Math.max(stretch.window.to, time + rollupLengths[length]),
    };
  }
  return [...stretches.values()];
}
