import type { Expert } from '../expert.ts';
import type { History } from '../history.ts';
import { clamp, shrunkShare } from '../probability.ts';

/** Quiet steps after which a breach is a new one. */
const quietSteps = 3;
const onsetsHeld = 61;
const lagsHeld = 2200;
const priorWeight = 3;
/** Half-lives, in steps, of the rates of breaches and of their onsets. */
const halfLives = [40, 250, 1500];

/**
 * When breaches come back: by how long the earlier intervals between onsets were (the hazard of a renewal
 * process, Cox 1962), and by how often one onset followed another at the lag that is due now.
 */
export class Recurrence implements Expert {
  readonly opinions = ['interval', 'lagMost', 'lagMean'];
  readonly signals = [
    'intervalSeen',
    'intervalElapsed',
    'intervalRegularity',
    'onsets',
    'breachLength',
    'sinceOnset',
    ...halfLives.map((steps) => `breachRate${steps}`),
    ...halfLives.slice(1).map((steps) => `onsetRate${steps}`),
  ];
  #onsets: number[] = [];
  #onsetCount = 0;
  #intervals: number[] = [];
  readonly #lagCounts = new Uint16Array(lagsHeld + 1);
  readonly #breachRates = new Float64Array(halfLives.length);
  readonly #onsetRates = new Float64Array(halfLives.length);
  #lastBreach = Number.NEGATIVE_INFINITY;
  #length = 0;
  #meanLength = 0;

  next(history: History, probabilities: number[], signals: number[]): void {
    const isOnset = history.isBreach && history.last - this.#lastBreach > quietSteps;
    if (isOnset) this.#addOnset(history.last);
    this.#measureLength(history);
    this.#updateRates(history, isOnset);
    const base = clamp(
      1 - Math.exp(-history.shape.horizonSteps * Math.max(this.#onsetRates[2] as number, 1e-4)),
      0.003,
      0.6,
    );
    const elapsed = history.last - (this.#onsets.at(-1) ?? Number.NEGATIVE_INFINITY);
    this.#byInterval(history, base, elapsed, probabilities, signals);
    this.#byLag(history, base, probabilities);
    signals.push(Math.log1p(this.#onsetCount), Math.log1p(this.#meanLength), Math.log1p(Math.min(elapsed, 3000)));
    for (const rate of this.#breachRates) signals.push(Math.log(rate + 1e-4));
    for (const rate of this.#onsetRates.subarray(1)) signals.push(Math.log(rate + 1e-4));
  }

  #addOnset(at: number): void {
    const before = this.#onsets.at(-1);
    if (before !== undefined) this.#intervals = [...this.#intervals.slice(-63), at - before];
    for (const onset of this.#onsets) {
      if (at - onset <= lagsHeld) this.#lagCounts[at - onset] = (this.#lagCounts[at - onset] as number) + 1;
    }
    this.#onsets = [...this.#onsets.slice(1 - onsetsHeld), at];
    this.#onsetCount++;
  }

  #measureLength(history: History): void {
    if (history.isBreach) {
      this.#lastBreach = history.last;
      this.#length++;
    } else {
      if (this.#length > 0)
        this.#meanLength = this.#meanLength === 0 ? this.#length : 0.8 * this.#meanLength + 0.2 * this.#length;
      this.#length = 0;
    }
  }

  #updateRates(history: History, isOnset: boolean): void {
    for (const [k, halfLife] of halfLives.entries()) {
      const share = k === 0 ? 1 - 0.5 ** (1 / halfLife) : Math.max(1 - 0.5 ** (1 / halfLife), 1 / (history.last + 1));
      const breaches = this.#breachRates[k] as number;
      const onsets = this.#onsetRates[k] as number;
      this.#breachRates[k] = breaches + share * (Number(history.isBreach) - breaches);
      this.#onsetRates[k] = onsets + share * (Number(isOnset) - onsets);
    }
  }

  #byInterval(history: History, base: number, elapsed: number, probabilities: number[], signals: number[]): void {
    const { horizonSteps } = history.shape;
    const longer = this.#intervals.filter((interval) => interval > elapsed);
    const due = longer.filter((interval) => interval <= elapsed + horizonSteps);
    probabilities.push(shrunkShare(due.length, longer.length, base, priorWeight));
    const mean = this.#intervals.reduce((sum, interval) => sum + interval, 0) / this.#intervals.length;
    const isKnown = this.#intervals.length >= 2;
    const variance =
      this.#intervals.reduce((sum, interval) => sum + (interval - mean) ** 2, 0) / this.#intervals.length;
    signals.push(Math.log1p(longer.length));
    signals.push(isKnown ? Math.min(elapsed / mean, 6) : 0, isKnown ? clamp(Math.sqrt(variance) / mean, 0, 4) : 0);
  }

  #byLag(history: History, base: number, probabilities: number[]): void {
    const { horizonSteps } = history.shape;
    let most = -1;
    let sum = 0;
    let count = 0;
    for (const onset of this.#onsets.slice(-16)) {
      const lag = history.last - onset;
      if (lag + horizonSteps > lagsHeld) continue;
      const share = this.#shareAtLag(lag, history, base);
      most = Math.max(most, share);
      sum += share;
      count++;
    }
    probabilities.push(count > 0 ? most : base, count > 0 ? sum / count : base);
  }

  /** Of the onsets old enough to tell, how many were followed by another at this lag or within a horizon after it. */
  #shareAtLag(lag: number, history: History, base: number): number {
    const { horizonSteps } = history.shape;
    let followed = 0;
    for (let k = lag + 1; k <= lag + horizonSteps; k++) followed += this.#lagCounts[k] as number;
    let old = 0;
    for (const onset of this.#onsets) if (history.last - onset >= lag + horizonSteps) old++;
    return shrunkShare(Math.min(followed, old), old, base, priorWeight);
  }
}
