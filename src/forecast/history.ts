import { type Period, PeriodFinder } from '../statistics/period.ts';
import { Recent } from '../statistics/recent.ts';

/** What a series is judged by. Steps are of the regular series, one value each. */
export interface SeriesShape {
  /** A breach is a value over this. */
  threshold: number;
  horizonSteps: number;
  stepSeconds: number;
}

/** Held for seasons; at one-minute steps nearly three days. */
const valuesHeld = 4096;
/** Held for what is learnt of past outcomes. */
const outcomesHeld = 2100;
/** In steps; what is learnt reaches no further back than outcomes are held. */
export const longestHorizon = 128;
/** Below every spread, so that a constant series divides by something. */
const leastSpread = 1e-3;

/**
 * One regular series up to now, and what is known of its outcomes: of an index that lies a horizon back.
 * The newest index is `last`. A missing value is taken for the one before it, and marked.
 */
export class History {
  readonly shape: SeriesShape;
  readonly values = new Recent(valuesHeld);
  /** value[i] - value[i-1]. */
  readonly steps = new Recent(1100);
  /** How many breaches there were up to and with each index. */
  readonly breachCounts = new Recent(valuesHeld);
  /** The highest of the `horizonSteps` values after each index. As long as it is known. */
  readonly pathMax = new Recent(outcomesHeld);
  /** 1: breached within the horizon, 0: did not, -1: the index was itself missing or over. As long as it is known. */
  readonly outcomes = new Recent(outcomesHeld);
  /** Standard deviations: of the last 60 and 300 steps, of the last 300 values. */
  stepSpread60 = leastSpread;
  stepSpread300 = leastSpread;
  spread300 = leastSpread;
  /** Steps since the last breach; many where there was none. */
  sinceBreach = 1_000_000;
  isPresent = false;
  isBreach = false;
  period: Period = { steps: 0, correlation: 0 };
  /** As long as the longest horizon. */
  readonly #isOrigin = new Recent(longestHorizon);
  readonly #periodFinder = new PeriodFinder();

  constructor(shape: SeriesShape) {
    this.shape = shape;
  }

  /** Index of the newest value. */
  get last(): number {
    return this.values.length - 1;
  }

  get value(): number {
    return this.values.at(this.last);
  }

  /** The newest index whose outcome is known; negative while there is none. */
  get lastKnown(): number {
    return this.last - this.shape.horizonSteps;
  }

  push(value: number | null): void {
    const before = this.last < 0 ? (value ?? 0) : this.value;
    const filled = value ?? before;
    this.isPresent = value !== null;
    this.isBreach = this.isPresent && filled > this.shape.threshold;
    this.values.push(filled);
    this.steps.push(filled - before);
    this.breachCounts.push((this.last > 0 ? this.breachCounts.at(this.last - 1) : 0) + (this.isBreach ? 1 : 0));
    this.#isOrigin.push(this.isPresent && !this.isBreach ? 1 : 0);
    this.sinceBreach = this.isBreach ? 0 : this.sinceBreach + 1;
    this.#learnOutcome();
    this.stepSpread60 = spread(this.steps, 60);
    this.stepSpread300 = spread(this.steps, 300);
    this.spread300 = spread(this.values, 300);
    this.period = this.#periodFinder.next(this.values);
  }

  /** The mean of the last `width` values, or of all there are. */
  mean(width: number): number {
    const { buffer, offset } = this.values;
    const from = this.values.from(this.last - width + 1) - offset;
    let sum = 0;
    for (let k = from; k <= this.last - offset; k++) sum += buffer[k] as number;
    return sum / (this.last - offset - from + 1);
  }

  /** The highest of the values from `from` to `to`, both included. */
  max(from: number, to = this.last): number {
    const { buffer, offset } = this.values;
    let highest = Number.NEGATIVE_INFINITY;
    for (let k = this.values.from(from) - offset; k <= to - offset; k++) {
      if ((buffer[k] as number) > highest) highest = buffer[k] as number;
    }
    return highest;
  }

  /** Whether there was a breach from `from` to `to`, both included; false where that is forgotten. */
  breachedBetween(from: number, to: number): boolean {
    const before = from === 0 ? 0 : this.breachCounts.at(Math.max(from - 1, this.breachCounts.offset));
    return this.breachCounts.at(to) > before;
  }

  #learnOutcome(): void {
    const index = this.lastKnown;
    if (index < 0) return;
    this.pathMax.push(this.max(index + 1));
    const isOrigin = this.#isOrigin.at(index) === 1;
    this.outcomes.push(!isOrigin ? -1 : this.breachedBetween(index + 1, this.last) ? 1 : 0);
  }
}

function spread(numbers: Recent, width: number): number {
  const { buffer, offset, length } = numbers;
  const from = numbers.from(length - width) - offset;
  const to = length - offset;
  let sum = 0;
  for (let k = from; k < to; k++) sum += buffer[k] as number;
  const mean = sum / (to - from);
  let squares = 0;
  for (let k = from; k < to; k++) squares += ((buffer[k] as number) - mean) ** 2;
  return Math.sqrt(squares / (to - from)) + leastSpread;
}
