import type { History } from './history.ts';

/** Share of the weight that is dealt out evenly, so that an expert can come back. */
const floor = 0.03;
const surest = { low: 0.002, high: 0.98 };

/**
 * Opinions weighed by how well each has done on this series: exponential weights on discounted log loss
 * (Vovk 1990, Cesa-Bianchi and Lugosi 2006), counting only outcomes that are already known.
 */
export class Mixture {
  readonly #priors: Float64Array;
  readonly #forgetting: number;
  readonly #losses: Float64Array;
  readonly #weights: Float64Array;
  /** Opinions of the last horizon, a row per step, that wait for their outcome. */
  readonly #pending: Float64Array[];
  readonly #eta: number;

  constructor(priors: readonly number[], horizonSteps: number, forgetting: number) {
    const sum = priors.reduce((a, b) => a + b, 0);
    this.#priors = Float64Array.from(priors, (prior) => Math.log(prior / sum));
    this.#forgetting = forgetting;
    this.#losses = new Float64Array(priors.length);
    this.#weights = new Float64Array(priors.length);
    this.#pending = Array.from({ length: horizonSteps }, () => new Float64Array(priors.length));
    // Outcomes of neighbouring steps are nearly the same outcome: a horizon of them counts like three.
    this.#eta = 3 / horizonSteps;
  }

  /** The mixed probability of the opinions about the newest step; learns from those of a horizon ago. */
  next(history: History, opinions: readonly number[]): number {
    const row = this.#pending[history.last % this.#pending.length] as Float64Array;
    if (history.lastKnown >= 0) this.#learn(row, history.outcomes.at(history.lastKnown));
    for (let k = 0; k < row.length; k++) row[k] = Math.min(Math.max(opinions[k] as number, surest.low), surest.high);
    this.#weigh();
    let mixed = 0;
    for (let k = 0; k < row.length; k++) mixed += (this.#weights[k] as number) * (row[k] as number);
    return mixed;
  }

  #learn(opinions: Float64Array, outcome: number): void {
    for (let k = 0; k < opinions.length; k++) {
      const opinion = opinions[k] as number;
      const loss = outcome < 0 ? 0 : -Math.log(outcome === 1 ? opinion : 1 - opinion);
      this.#losses[k] = this.#forgetting * (this.#losses[k] as number) + loss;
    }
  }

  #weigh(): void {
    const weights = this.#weights;
    let highest = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < weights.length; k++) {
      weights[k] = (this.#priors[k] as number) - this.#eta * (this.#losses[k] as number);
      highest = Math.max(highest, weights[k] as number);
    }
    let sum = 0;
    for (let k = 0; k < weights.length; k++) {
      weights[k] = Math.exp((weights[k] as number) - highest);
      sum += weights[k] as number;
    }
    for (let k = 0; k < weights.length; k++)
      weights[k] = ((1 - floor) * (weights[k] as number)) / sum + floor / weights.length;
  }
}
