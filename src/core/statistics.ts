import type { Selector } from './selector.ts';
import type { Labels } from './series.ts';
import type { Resolution, TimeWindow } from './store.ts';

/** Shares of the values that lie below a percentile. */
export const percentileShares = { p50: 0.5, p95: 0.95, p99: 0.99 } as const;
export type Percentile = keyof typeof percentileShares;
export const percentileNames = Object.keys(percentileShares) as Percentile[];

export interface StatisticsQuery extends TimeWindow {
  selector: Selector;
  /** Series that have these labels in common are taken together; absent: each by itself. */
  by?: readonly string[];
  /** Percentiles of the samples themselves, or an error. */
  isExact?: boolean;
}

/** Of the values of a series, or of several, in a window. */
export interface Statistics {
  labels: Labels;
  /** How many values are known: at least one. */
  count: number;
  min: number;
  max: number;
  mean: number;
  /** The standard deviation of all of them (not that of a sample). */
  deviation: number;
  /** Null where nothing is kept that would tell them. */
  percentiles: Record<Percentile, number> | null;
}

export interface StatisticsAnswer {
  /** In no order. */
  statistics: Statistics[];
  /** How far a percentile may be off, as a share of it: 0 where it is of the samples, by linear interpolation. */
  percentileError: number;
  /** What is told, and what of, where that is not the window as the engine otherwise has it. */
  told?: TimeWindow & { resolution: Resolution };
}

/** What adds up. */
export interface Moments {
  count: number;
  min: number;
  max: number;
  mean: number;
  /** The sum of the squared differences from the mean. */
  squares: number;
}

/**
 * Of two sets of values together, without the loss that a sum of squares has for values far from zero.
 * Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, 1979.
 */
export function addMoments(a: Moments, b: Moments): Moments {
  const count = a.count + b.count;
  const apart = b.mean - a.mean;
  return {
    count,
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
    mean: a.mean + (apart * b.count) / count,
    squares: a.squares + b.squares + (apart * apart * a.count * b.count) / count,
  };
}

export function deviationOf({ count, squares }: Moments): number {
  return Math.sqrt(Math.max(0, squares) / count);
}

/** Of at least one value. */
export function statisticsOf(labels: Labels, values: readonly number[]): Statistics {
  const sorted = Float64Array.from(values).sort();
  let moments: Moments | null = null;
  for (const value of values) {
    const one = { count: 1, min: value, max: value, mean: value, squares: 0 };
    moments = moments === null ? one : addMoments(moments, one);
  }
  const { squares: _, ...told } = moments as Moments;
  const percentiles = Object.fromEntries(
    percentileNames.map((name) => [name, percentileOf(sorted, percentileShares[name])]),
  ) as Record<Percentile, number>;
  return { labels, ...told, deviation: deviationOf(moments as Moments), percentiles };
}

/** By linear interpolation between the two nearest ranks: Hyndman and Fan's definition 7, as numpy and Prometheus have it. */
export function percentileOf(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)] as number;
  const above = sorted[Math.ceil(place)] as number;
  return below + (above - below) * (place - Math.floor(place));
}

/** The labels that a group has in common. */
export function labelsOf(labels: Labels, by: readonly string[] | undefined): Labels {
  if (by === undefined) return labels;
  return Object.fromEntries(by.map((label) => [label, Object.hasOwn(labels, label) ? (labels[label] ?? '') : '']));
}
