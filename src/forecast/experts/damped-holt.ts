import type { Expert } from '../expert.ts';
import type { History, SeriesShape } from '../history.ts';
import { PathErrors } from '../path-errors.ts';
import { clamp } from '../probability.ts';

const alphas = [0.15, 0.35, 0.6, 0.85, 1];
const betas = [0.02, 0.08, 0.25];
const dampings = [0.8, 0.92, 0.98];
type Setting = Record<'alpha' | 'beta' | 'damping', number>;
const settings: readonly Setting[] = alphas.flatMap((alpha) =>
  betas.flatMap((beta) => dampings.map((damping) => ({ alpha, beta, damping }))),
);
const forgetting = 0.995;
/** One wild value must not choose the setting for hours. */
const largestError = 400;

/**
 * Damped trend (Gardner and McKenzie 1985), 45 settings side by side; the one with the least error of late,
 * half a horizon ahead, draws the path, and its own past errors of the path's maximum give the probability.
 */
export class DampedHolt implements Expert {
  readonly opinions = ['holt120', 'holt700'];
  readonly signals = ['holtGap'];
  readonly #errors = new PathErrors();
  readonly #levels = new Float64Array(settings.length);
  readonly #trends = new Float64Array(settings.length);
  readonly #losses = new Float64Array(settings.length);
  /** Forecasts half a horizon ahead that wait for their value, a row per step. */
  readonly #pending: Float64Array[];
  readonly #reach: { half: Float64Array; first: Float64Array; whole: Float64Array };

  constructor({ horizonSteps }: SeriesShape) {
    const half = Math.max(1, Math.floor(horizonSteps / 2));
    this.#pending = Array.from({ length: half }, () => new Float64Array(settings.length));
    this.#reach = { half: dampedSums(half), first: dampedSums(1), whole: dampedSums(horizonSteps) };
  }

  next(history: History, probabilities: number[], signals: number[]): void {
    this.#smooth(history);
    this.#learn(history);
    const best = indexOfLeast(this.#losses);
    const level = this.#levels[best] as number;
    const trend = this.#trends[best] as number;
    // The path goes one way, so its maximum is at one of its ends.
    const reach = trend > 0 ? this.#reach.whole : this.#reach.first;
    const expectedMax = level + (reach[best] as number) * trend;
    this.#errors.next(history, expectedMax);
    const gap = history.shape.threshold - expectedMax;
    probabilities.push(this.#errors.exceeding(gap, 120), this.#errors.exceeding(gap, 700));
    signals.push(clamp(gap / history.stepSpread60, -20, 40));
  }

  #smooth(history: History): void {
    if (history.last === 0) {
      this.#levels.fill(history.value);
      return;
    }
    for (let k = 0; k < settings.length; k++) {
      const { alpha, beta, damping } = settings[k] as Setting;
      const before = this.#levels[k] as number;
      const trend = damping * (this.#trends[k] as number);
      const level = alpha * history.value + (1 - alpha) * (before + trend);
      this.#levels[k] = level;
      this.#trends[k] = beta * (level - before) + (1 - beta) * trend;
    }
  }

  #learn(history: History): void {
    const row = this.#pending[history.last % this.#pending.length] as Float64Array;
    const isDue = history.last >= this.#pending.length;
    for (let k = 0; k < settings.length; k++) {
      if (isDue) {
        const error = Math.min(((row[k] as number) - history.value) ** 2, largestError);
        this.#losses[k] = forgetting * (this.#losses[k] as number) + error;
      }
      row[k] = (this.#levels[k] as number) + (this.#reach.half[k] as number) * (this.#trends[k] as number);
    }
  }
}

/** damping + damping^2 + ... + damping^steps of every setting. */
function dampedSums(steps: number): Float64Array {
  return Float64Array.from(settings, ({ damping }) => (damping * (1 - damping ** steps)) / (1 - damping));
}

function indexOfLeast(numbers: Float64Array): number {
  let least = 0;
  for (let k = 1; k < numbers.length; k++) if ((numbers[k] as number) < (numbers[least] as number)) least = k;
  return least;
}
