import type { Expert } from '../expert.ts';
import type { History } from '../history.ts';
import { shrunkShare } from '../probability.ts';

const priorWeight = 0.8;

interface PhaseOptions {
  /** Steps of one cycle at this instant; 0: none. */
  cycle: (history: History) => number;
  /** So many cycles back, each counting `decay` times the one after it. */
  cycles: number;
  decay: number;
  /** Steps that a breach may be early or late. */
  tolerance: (history: History) => number;
}

/** Of the last cycles, in how many was there a breach in the same window? Knows cron, noon and Monday. */
export class Phase implements Expert {
  readonly opinions: readonly string[];
  readonly signals: readonly string[];
  readonly #options: PhaseOptions;
  /** Of the newest step: the cycle's length, the cycles seen, and those of them with a breach. */
  now = { steps: 0, seen: 0, breached: 0 };

  constructor(name: string, options: PhaseOptions) {
    this.opinions = [name];
    this.signals = [`${name}Seen`];
    this.#options = options;
  }

  next(history: History, probabilities: number[], signals: number[]): void {
    const { seen, breached } = this.#weigh(history);
    const overall = history.breachCounts.at(history.last) / (history.last + 1);
    const prior = Math.min(0.5, 0.01 + overall * 3);
    probabilities.push(shrunkShare(breached, seen, prior, priorWeight));
    signals.push(seen);
  }

  #weigh(history: History): { seen: number; breached: number } {
    const { cycles, decay } = this.#options;
    const { horizonSteps } = history.shape;
    const steps = this.#options.cycle(history);
    const tolerance = this.#options.tolerance(history);
    const weights = { seen: 0, breached: 0 };
    this.now = { steps, seen: 0, breached: 0 };
    if (steps <= horizonSteps) return weights;
    for (let k = 1, weight = 1; k <= cycles; k++, weight *= decay) {
      const then = history.last - k * steps;
      if (then < history.values.offset) break;
      const to = Math.min(history.last, then + horizonSteps + tolerance);
      const from = Math.max(history.values.offset, then + 1 - tolerance);
      const breached = history.breachedBetween(from, to) ? 1 : 0;
      this.now.seen++;
      this.now.breached += breached;
      weights.seen += weight;
      weights.breached += weight * breached;
    }
    return weights;
  }
}

const stepsOf = (history: History, seconds: number) => Math.round(seconds / history.shape.stepSeconds);

export function phases(): Phase[] {
  const exact = () => 1;
  const horizon = (history: History) => history.shape.horizonSteps;
  const hourOrTwo = (history: History) => {
    const hour = stepsOf(history, 3600);
    return hour > history.shape.horizonSteps ? hour : 2 * hour;
  };
  return [
    new Phase('phaseFound', { cycle: (history) => history.period.steps, cycles: 6, decay: 0.85, tolerance: exact }),
    new Phase('phaseHour', { cycle: hourOrTwo, cycles: 12, decay: 0.9, tolerance: exact }),
    new Phase('phaseDay', { cycle: (history) => stepsOf(history, 86_400), cycles: 7, decay: 0.85, tolerance: exact }),
    new Phase('phaseDayWide', {
      cycle: (history) => stepsOf(history, 86_400),
      cycles: 7,
      decay: 0.85,
      tolerance: horizon,
    }),
    new Phase('phaseWeek', { cycle: (history) => stepsOf(history, 604_800), cycles: 2, decay: 0.8, tolerance: exact }),
  ];
}
