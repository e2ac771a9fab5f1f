import type { Point } from '../core/sample.ts';

/** Steps of the past a series starts with; at one minute a day. */
export const pastSteps = 1440;

/** One value per step up to `end`, from the first point on; NaN where it is missing. Points are of starts of steps. */
export function regularPast(points: readonly Point[], end: number, stepMs: number): Float64Array {
  const first = points[0]?.time ?? end;
  const past = new Float64Array(Math.round((end - first) / stepMs)).fill(Number.NaN);
  for (const { time, value } of points) past[Math.round((time - first) / stepMs)] = value;
  return past;
}
