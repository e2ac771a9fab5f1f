import type { Recent } from '../../statistics/recent.ts';
import type { Expert } from '../expert.ts';
import type { History } from '../history.ts';
import { clamp, shrunkShare } from '../probability.ts';

const neighbours = 20;
/** Past instants compared. */
const instants = 1000;
const prior = 0.04;
const priorWeight = 4;

/**
 * The 20 past instants whose last values are nearest to today's, value by value (k nearest neighbours, Fix
 * and Hodges 1951): how many of them breached?
 */
export class Nearest implements Expert {
  readonly opinions: readonly string[];
  readonly signals: readonly string[];
  /** How many values are compared, how many steps they are apart, and how many the instants. */
  readonly #points: number;
  readonly #stride: number;
  readonly #every: number;
  /** Squared distances of the nearest so far, least first, and what came after each. */
  readonly #distances = new Float64Array(neighbours);
  readonly #breached = new Uint8Array(neighbours);

  constructor(name: string, points: number, stride: number, every: number) {
    this.opinions = [name];
    this.signals = [`${name}Distance`];
    this.#points = points;
    this.#stride = stride;
    this.#every = every;
  }

  next(history: History, probabilities: number[], signals: number[]): void {
    const known = this.#search(history.values, history.outcomes, history.last);
    if (known < 3 * neighbours) {
      probabilities.push(prior);
      signals.push(4);
      return;
    }
    let breached = 0;
    for (const outcome of this.#breached) breached += outcome;
    const radius = this.#distances[neighbours - 1] as number;
    probabilities.push(shrunkShare(breached, neighbours, prior, priorWeight));
    signals.push(clamp(Math.sqrt(radius / this.#points) / history.spread300, 0, 4));
  }

  /** Leaves the nearest past instants whose outcome is known; returns how many there were to choose from. */
  #search(values: Recent, outcomes: Recent, last: number): number {
    const stride = this.#stride;
    const every = this.#every;
    const reach = (this.#points - 1) * stride;
    const first = Math.max(outcomes.from(outcomes.length - instants * every), values.offset + reach);
    const { buffer, offset } = values;
    const { buffer: results, offset: resultsFrom } = outcomes;
    const now = last - offset;
    const newestValue = buffer[now] as number;
    let radius = Number.POSITIVE_INFINITY;
    this.#distances.fill(radius);
    let known = 0;
    for (let j = outcomes.length - 1; j >= first; j -= every) {
      const outcome = results[j - resultsFrom] as number;
      if (outcome < 0) continue;
      known++;
      const then = j - offset;
      // Most instants are farther than the nearest 20 by their newest value alone.
      const newest = newestValue - (buffer[then] as number);
      let sum = newest * newest;
      for (let k = stride; k <= reach && sum < radius; k += stride) {
        const difference = (buffer[now - k] as number) - (buffer[then - k] as number);
        sum += difference * difference;
      }
      if (sum < radius) radius = this.#insert(sum, outcome);
    }
    return known;
  }

  /** Puts an instant in its place among the nearest; returns the distance of the farthest of them. */
  #insert(distance: number, outcome: number): number {
    let k = neighbours - 1;
    for (; k > 0 && (this.#distances[k - 1] as number) > distance; k--) {
      this.#distances[k] = this.#distances[k - 1] as number;
      this.#breached[k] = this.#breached[k - 1] as number;
    }
    this.#distances[k] = distance;
    this.#breached[k] = outcome;
    return this.#distances[neighbours - 1] as number;
  }
}
