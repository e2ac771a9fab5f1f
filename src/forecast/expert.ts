import type { History } from './history.ts';

/**
 * Looks at one series in its own way and says how likely it is that the maximum over the horizon goes over
 * the threshold. Every expert has this one shape; it keeps what it learns of the series to itself.
 */
export interface Expert {
  /** What its probabilities are called. */
  readonly opinions: readonly string[];
  /** What else it has seen that the trained model weighs. */
  readonly signals: readonly string[];
  /**
   * Takes in the newest value of the history, once per step and in order, and adds one probability per
   * opinion and one number per signal, in their order.
   */
  next(history: History, probabilities: number[], signals: number[]): void;
}

/** A breach within a horizon where nothing is known yet. */
export const priorProbability = 0.02;
