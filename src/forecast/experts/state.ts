import type { Recent } from '../../statistics/recent.ts';
import type { Expert } from '../expert.ts';
import type { History } from '../history.ts';
import { shareAbove } from '../path-errors.ts';
import { clamp } from '../probability.ts';

const longWidth = 2000;
const lags = [1, 2, 3, 5, 8, 12, 25];
const quantiles = [0.5, 0.8, 0.95];
/** Sorting 400 numbers costs more than the rest of the state together. */
const sortEvery = 10;
/**
 * The model was trained on percentages, most of them with a line near this. It is shown how far away the line is, not
 * where it lies: on recorded series that is as right, and what comes down to a line is foreseen like what goes up to one.
 */
const usualLine = 80;

/** Has no opinion of its own: the plain state of a series, in units of its own spread, for the trained model. */
export class State implements Expert {
  readonly opinions = [];
  readonly signals = [
    'gapInSteps',
    'gapInTypicalSteps',
    'gapInSpread',
    'relativeLevel',
    'gapOfMax3',
    'gapOfMaxHorizon',
    'gapOfMax3Horizons',
    'gapOfMax60',
    'gapOfMax300',
    'gapOfMax2000',
    'aboveMin30',
    'sinceBreach',
    'breachedRecently',
    'length',
    'horizon',
    'lastMove',
    'spreadRatio10',
    'spreadRatio60',
    'meanReversion',
    'largestMove60',
    'largestMove300',
    'deviation60',
    'deviation300',
    'shareNear',
    'relativeSpread',
    'rank60',
    'rank300',
    'jump',
    'halfJump',
    'timeOver',
    'periodCorrelation',
    ...quantiles.map((q) => `pathMaxGap${q * 100}`),
    ...lags.map((lag) => `move${lag}`),
    ...lags.slice(0, -1).map((lag) => `gapBefore${lag}`),
  ];
  readonly #sorted = new Float32Array(400);
  #quantiles = quantiles.map(() => Number.NaN);
  /** Index of the highest of the last values. */
  #maxAt = 0;

  next(history: History, _probabilities: number[], signals: number[]): void {
    addGaps(history, this.#maxOf(history), signals);
    addMoves(history, signals);
    addRanks(history, signals);
    this.#addQuantiles(history, signals);
    addLags(history, signals);
  }

  /** Of the last 2,000 values; looked for anew only when the highest leaves them. */
  #maxOf(history: History): number {
    const from = history.last - longWidth + 1;
    if (this.#maxAt < from) this.#maxAt = from;
    else if (history.value < history.values.at(this.#maxAt)) return history.values.at(this.#maxAt);
    else {
      this.#maxAt = history.last;
      return history.value;
    }
    for (let k = history.values.from(from); k <= history.last; k++)
      if (history.values.at(k) >= history.values.at(this.#maxAt)) this.#maxAt = k;
    return history.values.at(this.#maxAt);
  }

  #addQuantiles(history: History, signals: number[]): void {
    const { pathMax } = history;
    const from = pathMax.from(pathMax.length - this.#sorted.length) - pathMax.offset;
    const count = pathMax.length - pathMax.offset - from;
    if (count >= 8 && history.last % sortEvery === 0) {
      const sorted = this.#sorted.subarray(0, count);
      sorted.set(pathMax.buffer.subarray(from, from + count));
      sorted.sort();
      this.#quantiles = quantiles.map((q) => sorted[Math.floor(q * (count - 1))] as number);
    }
    for (const quantile of this.#quantiles) {
      const gap = (history.shape.threshold - quantile) / history.spread300;
      signals.push(Number.isNaN(gap) ? 1 : clamp(gap, -4, 12));
    }
  }
}

function addGaps(history: History, longMax: number, signals: number[]): void {
  const { shape, last, value, spread300, stepSpread60 } = history;
  const { threshold, horizonSteps } = shape;
  const gap = threshold - value;
  const root = Math.sqrt(horizonSteps);
  signals.push(clamp(gap / (stepSpread60 * root), -4, 20));
  signals.push(clamp(gap / ((meanMove(history.steps, 60) + 1e-3) * root), -4, 40));
  signals.push(clamp(gap / spread300, -4, 12), clamp(1 - gap / usualLine, 0, 1.2));
  for (const width of [3, horizonSteps, 3 * horizonSteps, 60, 300])
    signals.push(clamp((threshold - history.max(last - width + 1)) / spread300, -4, 12));
  signals.push(clamp((threshold - longMax) / spread300, -4, 12));
  signals.push(clamp((value - minimum(history.values, 30)) / spread300, 0, 10));
}

function addMoves(history: History, signals: number[]): void {
  const { shape, last, value, spread300, stepSpread60, stepSpread300 } = history;
  signals.push(Math.log1p(Math.min(history.sinceBreach, 3000)), history.sinceBreach <= shape.horizonSteps ? 1 : 0);
  signals.push(Math.log(Math.min(last + 1, 1500)), Math.log(shape.horizonSteps));
  signals.push(clamp(history.steps.at(last) / stepSpread60, -6, 6));
  signals.push(clamp(Math.log((meanMove(history.steps, 10) + 1e-3) / stepSpread60), -5, 3));
  signals.push(clamp(Math.log(stepSpread60 / stepSpread300), -5, 3), clamp(Math.log(stepSpread300 / spread300), -5, 2));
  signals.push(clamp(Math.log(largestMove(history.steps, 60) / stepSpread60 + 1e-3), -2, 4));
  signals.push(clamp(Math.log(largestMove(history.steps, 300) / stepSpread300 + 1e-3), -2, 4));
  signals.push(clamp((value - history.mean(60)) / spread300, -6, 6));
  signals.push(clamp((history.mean(30) - history.mean(300)) / spread300, -4, 4));
}

function addRanks(history: History, signals: number[]): void {
  const { shape, value, values, steps, spread300 } = history;
  const gap = shape.threshold - value;
  signals.push(shareAbove(values, shape.threshold - 0.5 * spread300, 60));
  signals.push(clamp(Math.log(spread300 / usualLine), -7, 0));
  signals.push(shareAbove(values, value, 60), shareAbove(values, value, 300));
  signals.push(Math.log(shareAbove(steps, gap, 1000)), Math.log(shareAbove(steps, 0.5 * gap, 300)));
  signals.push(Math.log(shareAbove(values, shape.threshold, 300)), history.period.correlation);
}

function addLags(history: History, signals: number[]): void {
  const { shape, last, value, values, spread300, stepSpread300 } = history;
  const before = (lag: number) => values.at(Math.max(0, last - lag));
  for (const lag of lags) signals.push(clamp((value - before(lag)) / (stepSpread300 * Math.sqrt(lag)), -8, 8));
  for (const lag of lags.slice(0, -1)) signals.push(clamp((shape.threshold - before(lag)) / spread300, -4, 12));
}

function minimum(numbers: Recent, width: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (let k = numbers.from(numbers.length - width); k < numbers.length; k++) least = Math.min(least, numbers.at(k));
  return least;
}

function largestMove(steps: Recent, width: number): number {
  const { buffer, offset, length } = steps;
  let largest = 0;
  for (let k = steps.from(length - width) - offset; k < length - offset; k++)
    largest = Math.max(largest, Math.abs(buffer[k] as number));
  return largest;
}

function meanMove(steps: Recent, width: number): number {
  const { buffer, offset, length } = steps;
  const from = steps.from(length - width) - offset;
  let sum = 0;
  for (let k = from; k < length - offset; k++) sum += Math.abs(buffer[k] as number);
  return sum / (length - offset - from);
}
