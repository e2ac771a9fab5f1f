import { bucketOf, percentilesOfBuckets } from './bucket.ts';
import type { Labels } from './series.ts';
import { addMoments, deviationOf, type Moments, type Statistics } from './statistics.ts';

/** Values are kept to three decimals: so many of the smallest make one. */
const perUnit = 1000;

/** What many values come to: moments and buckets, which add up. */
export class ValueSummary {
  #moments: Moments | null;
  /** How many values are in each bucket, by thousandths. */
  readonly #buckets: Map<number, number>;

  constructor(moments: Moments | null = null, buckets: Map<number, number> = new Map()) {
    this.#moments = moments;
    this.#buckets = buckets;
  }

  /** Null: there is no value. */
  get moments(): Moments | null {
    return this.#moments;
  }

  get buckets(): ReadonlyMap<number, number> {
    return this.#buckets;
  }

  /** @param value not below 0 */
  add(value: number): void {
    this.#addMoments({ count: 1, min: value, max: value, mean: value, squares: 0 });
    this.#addToBucket(bucketOf(Math.round(value * perUnit)), 1);
  }

  merge({ moments, buckets }: ValueSummary): void {
    if (moments === null) return;
    this.#addMoments(moments);
    for (const [bucket, count] of buckets) this.#addToBucket(bucket, count);
  }

  /** Null: there is no value. */
  statistics(labels: Labels): Statistics | null {
    if (this.#moments === null) return null;
    const { squares: _, ...told } = this.#moments;
    const percentiles = percentilesOfBuckets(this.#buckets);
    for (const [name, value] of Object.entries(percentiles))
      percentiles[name as keyof typeof percentiles] = value / perUnit;
    return { labels, ...told, deviation: deviationOf(this.#moments), percentiles };
  }

  #addMoments(moments: Moments): void {
    this.#moments = this.#moments === null ? moments : addMoments(this.#moments, moments);
  }

  #addToBucket(bucket: number, count: number): void {
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + count);
  }
}
