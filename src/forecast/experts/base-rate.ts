import { type Expert, priorProbability } from '../expert.ts';
import type { History } from '../history.ts';
import { shrunkShare } from '../probability.ts';

const window = 1000;
const priorWeight = 20;

/** How often does this series breach within a horizon at all? */
export class BaseRate implements Expert {
  readonly opinions = ['baseRate'];
  readonly signals = [];

  next({ outcomes }: History, probabilities: number[]): void {
    let breached = 0;
    let known = 0;
    for (
      let j = outcomes.from(outcomes.length - window) - outcomes.offset;
      j < outcomes.length - outcomes.offset;
      j++
    ) {
      const outcome = outcomes.buffer[j] as number;
      if (outcome < 0) continue;
      known++;
      breached += outcome;
    }
    probabilities.push(shrunkShare(breached, known, priorProbability, priorWeight));
  }
}
