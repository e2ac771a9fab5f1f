import type { Point } from '../core/sample.ts';

/** One value per step up to `end`, from the first point on; NaN where it is missing. Points are of starts of steps. */
export function regularPast(points: readonly Point[], end: number, stepMs: number): Float64Array {
  const first = points[0]?.time ?? end;
  const past = new Float64Array(Math.round((end - first) / stepMs)).fill(Number.NaN);
  for (const { time, value } of points) past[Math.round((time - first) / stepMs)] = value;
  return past;
}

/** The same without holes: a step without a value has the value before it. */
export function filledPast(points: readonly Point[], end: number, stepMs: number): Float64Array {
  const values = regularPast(points, end, stepMs);
  for (let k = 1; k < values.length; k++) if (Number.isNaN(values[k])) values[k] = values[k - 1] as number;
  return values;
}
