import { type AmberPolicy, AmberState } from './amber-policy.ts';
import type { SeriesShape } from './history.ts';
import { SeriesForecaster } from './series-forecaster.ts';

/** What would have been said at each value of a series, by what was known then. */
export interface Backtest {
  amber: (0 | 1)[];
  /** Null where none is given: too early, missing, or over the threshold. */
  probability: (number | null)[];
  /** Steps until the breach, where AMBER, and between which two eight in ten breaches lie. */
  etaSteps: (number | null)[];
  intervalSteps: ([number, number] | null)[];
}

/** Walks a regular series with the production code; null is a missing value. */
export function backtest(values: readonly (number | null)[], shape: SeriesShape, policy: AmberPolicy): Backtest {
  const forecaster = new SeriesForecaster(shape);
  const state = new AmberState(policy);
  const result: Backtest = { amber: [], probability: [], etaSteps: [], intervalSteps: [] };
  for (const value of values) {
    const probability = forecaster.next(value);
    const isAmber = state.next(probability, forecaster.history.isBreach);
    result.amber.push(isAmber ? 1 : 0);
    result.probability.push(probability);
    const passage = isAmber && probability !== null ? forecaster.passage() : null;
    result.etaSteps.push(passage?.median ?? null);
    result.intervalSteps.push(passage?.interval ?? null);
  }
  return result;
}
