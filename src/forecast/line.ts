import type { Recent } from '../statistics/recent.ts';

/** A straight line through the newest values. */
export interface TrendLine {
  /** Where it is at the newest value. */
  end: number;
  /** Per step. */
  slope: number;
  /** Standard deviation of what it leaves over. */
  residual: number;
}

/** Least squares over the last `width` values, or all there are. */
export function lineThrough(values: Recent, width: number): TrendLine {
  const { buffer, offset, length } = values;
  const from = values.from(length - width) - offset;
  const count = length - offset - from;
  let sum = 0;
  let weighted = 0;
  let squares = 0;
  for (let k = 0; k < count; k++) {
    const value = buffer[from + k] as number;
    sum += value;
    weighted += value * k;
    squares += value * value;
  }
  const middle = (count - 1) / 2;
  const mean = sum / count;
  const variation = (count * (count * count - 1)) / 12;
  const slope = count > 1 ? (weighted - middle * sum) / variation : 0;
  const left = squares - count * mean * mean - slope * slope * variation;
  return { end: mean + slope * middle, slope, residual: Math.sqrt(Math.max(0, left / count)) };
}
