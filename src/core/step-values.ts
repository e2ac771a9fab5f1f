import type { Point } from './sample.ts';
import type { Aggregate } from './store.ts';

const folds: Record<Aggregate, (values: readonly number[]) => number> = {
  mean: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
  min: (values) => values.reduce((least, value) => Math.min(least, value)),
  max: (values) => values.reduce((most, value) => Math.max(most, value)),
};

/** What points come to over regular steps, each with the start of its step; points are by time. */
export function byStep(points: Iterable<Point>, stepMs: number, aggregate: Aggregate = 'mean'): Point[] {
  const steps = new Map<number, number[]>();
  for (const { time, value } of points) {
    const start = Math.floor(time / stepMs) * stepMs;
    const values = steps.get(start);
    if (values) values.push(value);
    else steps.set(start, [value]);
  }
  return [...steps].map(([time, values]) => ({ time, value: folds[aggregate](values) }));
}

/**
 * By how much a counter has grown in a second, at each sample but the first. One that is less than before has begun
 * anew at 0, as Prometheus' rate takes it (https://prometheus.io/docs/prometheus/latest/querying/functions/#rate).
 */
export function ratesOf(points: readonly Point[]): Point[] {
  const rates: Point[] = [];
  for (const [index, { time, value }] of points.entries()) {
    const before = points[index - 1];
    if (before === undefined || time <= before.time) continue;
    const grown = value < before.value ? value : value - before.value;
    rates.push({ time, value: (grown / (time - before.time)) * 1000 });
  }
  return rates;
}
