/** Seeded series with known truth, one value a minute, the line at 80. */

export type Series = (number | null)[];

/** Numbers in 0..1 that are the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Normal noise of this spread. */
function gaussian(next: () => number, spread: number): number {
  return spread * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

function make(count: number, seed: number, spread: number, value: (k: number) => number): Series {
  const next = random(seed);
  return Array.from({ length: count }, (_, k) => Math.min(100, Math.max(0, value(k) + gaussian(next, spread))));
}

/** Memory that climbs from 30 to 95 in `minutes`, then the process is restarted. */
export function leak(count: number, minutes: number, seed = 1): Series {
  return make(count, seed, 0.4, (k) => 30 + (65 * (k % minutes)) / minutes);
}

/** A garbage-collected heap: climbs to 70 and falls, never over the line. */
export function safeSawtooth(count: number, seed = 2): Series {
  return make(count, seed, 0.5, (k) => 25 + (45 * (k % 37)) / 37);
}

/** A peak over the line at the same time of every cycle of `cycle` minutes. */
export function regularPeak(count: number, cycle: number, seed = 3): Series {
  return make(count, seed, 2, (k) => 25 + 65 * Math.exp(-(((k % cycle) - cycle / 2) ** 2) / (2 * (cycle / 20) ** 2)));
}

/** Busy and noisy below the line. */
export function plateau(count: number, seed = 4): Series {
  return make(count, seed, 2, () => 68);
}

/** Quiet, then from `at` on at 95 without a sign before. */
export function step(count: number, at: number, seed = 5): Series {
  return make(count, seed, 1, (k) => (k < at ? 20 : 95));
}

/** Climbs as if it would not stop, and levels off at 74. */
export function trap(count: number, seed = 6): Series {
  return make(count, seed, 0.5, (k) => {
    const phase = k % 300;
    return phase < 120 ? 30 : phase < 190 ? 30 + (44 * (phase - 120)) / 70 : 74;
  });
}

/** The same with every tenth value missing, and a hole of ten in the middle. */
export function withGaps(series: Series, seed = 7): Series {
  const next = random(seed);
  const middle = Math.floor(series.length / 2);
  return series.map((value, k) => (next() < 0.1 || (k >= middle && k < middle + 10) ? null : value));
}
