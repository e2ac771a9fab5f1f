import { type Expert, priorProbability } from '../expert.ts';
import type { History } from '../history.ts';
import { shrunkShare } from '../probability.ts';

const window = 1000;
const priorWeight = 20;

/** How often does this series breach within a horizon at all? */
export class BaseRate implements Expert {
  readonly opinions = ['baseRate'];
  readonly signals = [];

  #known = 0;
  #breached = 0;

  next({ outcomes }: History, probabilities: number[]): void {
    this.#count(outcomes.at(outcomes.length - 1), 1);
    this.#count(outcomes.at(outcomes.length - 1 - window), -1);
    probabilities.push(shrunkShare(this.#breached, this.#known, priorProbability, priorWeight));
  }

  #count(outcome: number, by: 1 | -1): void {
    if (!(outcome >= 0)) return;
    this.#known += by;
    this.#breached += by * outcome;
  }
}
