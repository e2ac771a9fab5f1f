import type { Series } from './series.ts';
import type { Selected, SelectQuery, TimeWindow } from './store.ts';

/** The first stretch that is read: what it holds says how long the next may be. */
const firstMs = 300_000;

/**
 * All samples of series in a window, stretch by stretch, so that never many more than may be are in memory: nobody
 * knows before how often a series is sampled.
 * @returns null: there are more than `most`
 */
export async function samplesWithin(
  select: (query: SelectQuery) => Promise<Selected[]>,
  series: readonly Series[],
  window: TimeWindow,
  most: number,
): Promise<Selected[] | null> {
  const all = series.map((each): Selected => ({ series: each, samples: [] }));
  let [count, lengthMs] = [0, firstMs];
  for (let from = window.from; from < window.to && series.length > 0; ) {
    const to = Math.min(window.to, from + lengthMs);
    const before = count;
    for (const [index, { samples }] of (await select({ from, to, series, stepMs: null })).entries()) {
      count += samples.length;
      for (const sample of samples) all[index]?.samples.push(sample);
    }
    if (count > most) return null;
    const room = ((most - count) / Math.max(1, count - before)) * (to - from);
    lengthMs = Math.max(firstMs / 10, Math.min(2 * lengthMs, room));
    from = to;
  }
  return all;
}
