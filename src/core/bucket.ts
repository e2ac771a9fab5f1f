import type { UsageMetric } from './metric.ts';
import { type Percentile, percentileNames, percentileShares } from './statistics.ts';

/**
 * Buckets that percentiles of many values are told by; they add up.
 * DDSketch, Masson, Rim and Lee, VLDB 2019: bucket i has the values in (ratio^(i-1), ratio^i].
 */

/** Quantities of which buckets are kept. */
export const sketched: readonly UsageMetric[] = ['cpu', 'memory'];

/** The ratio of a bucket's two ends: a percentile told by its middle is at most 1 % off. */
export const bucketRatio = 1.02;
/** The bucket of 0, which has no logarithm; no other value is below 1. */
export const zeroBucket = -1;
/** A bucket's middle, as a share of its upper end. */
export const bucketMiddle = 2 / (bucketRatio + 1);

/** How far off a percentile told by the middle of its bucket is at most, as a share of it. */
export const sketchError = (bucketRatio - 1) / (bucketRatio + 1);

/** @param value a whole number */
export function bucketOf(value: number): number {
  return value === 0 ? zeroBucket : Math.ceil(Math.log(value) / Math.log(bucketRatio));
}

/** The middle of a bucket. */
export function valueOfBucket(bucket: number): number {
  return bucket === zeroBucket ? 0 : bucketRatio ** bucket * bucketMiddle;
}

/**
 * The middles of the buckets that percentiles lie in. Rank as DDSketch has it: the value below which
 * share * (count - 1) others lie.
 * @param buckets how many values are in each: at least one
 */
export function percentilesOfBuckets(buckets: ReadonlyMap<number, number>): Record<Percentile, number> {
  const sorted = [...buckets].sort(([a], [b]) => a - b);
  const count = sorted.reduce((sum, [, own]) => sum + own, 0);
  const bucketAt = (share: number) => {
    let upto = 0;
    for (const [bucket, own] of sorted) {
      upto += own;
      if (upto > share * (count - 1)) return bucket;
    }
    return zeroBucket;
  };
  const told = percentileNames.map((name) => [name, valueOfBucket(bucketAt(percentileShares[name]))]);
  return Object.fromEntries(told) as Record<Percentile, number>;
}
