import { Recent } from '../statistics/recent.ts';
import type { History } from './history.ts';
import { shrunkShare } from './probability.ts';

const priorShare = 0.02;
const priorWeight = 5;

/**
 * What a path forecaster got wrong: by how much the highest value of the horizon was above the highest it
 * had expected. The share of past errors larger than today's gap is the probability of a breach, as in split
 * conformal prediction (Vovk et al. 2005), but of the path's maximum.
 */
export class PathErrors {
  readonly #expected = new Recent(128);
  readonly #errors = new Recent(720);

  /** Remembers the maximum expected now, and learns from the one expected a horizon ago. */
  next(history: History, expectedMax: number): void {
    this.#expected.push(expectedMax);
    const known = history.lastKnown;
    if (known >= 0) this.#errors.push(history.pathMax.at(known) - this.#expected.at(known));
  }

  /** The probability that the maximum is more than `gap` above what is expected, by the last `window` errors. */
  exceeding(gap: number, window: number): number {
    return shareAbove(this.#errors, gap, window);
  }
}

/** The share of the last `window` numbers above `level`, drawn towards 2 %. */
export function shareAbove(numbers: Recent, level: number, window: number): number {
  const { buffer, offset, length } = numbers;
  const from = numbers.from(length - window);
  let above = 0;
  for (let k = from - offset; k < length - offset; k++) if ((buffer[k] as number) > level) above++;
  return shrunkShare(above, length - from, priorShare, priorWeight);
}
