import type { Expert } from '../expert.ts';
import type { History } from '../history.ts';
import { PathErrors } from '../path-errors.ts';
import { clamp } from '../probability.ts';

/** How far a season may be early or late. */
const tolerance = 1;
/** Seasons whose paths are averaged. */
const cycles = 3;

/** Expects what came after the same phase of earlier seasons, moved half-way to today's level. */
export class Season implements Expert {
  readonly opinions: readonly string[];
  readonly signals: readonly string[];
  readonly #steps: (history: History) => number;
  readonly #errors = new PathErrors();

  constructor(name: string, steps: (history: History) => number) {
    this.opinions = [`${name}Path`];
    this.signals = [`${name}Gap`, `${name}LastGap`];
    this.#steps = steps;
  }

  next(history: History, probabilities: number[], signals: number[]): void {
    const { threshold } = history.shape;
    const steps = this.#steps(history);
    let [sum, count, newest] = [0, 0, Number.NaN];
    for (let k = 1; k <= cycles; k++) {
      const path = seasonalMax(history, k * steps);
      if (Number.isNaN(path)) continue;
      if (count === 0) newest = path;
      sum += path;
      count++;
    }
    const expectedMax = count > 0 ? sum / count : history.value;
    this.#errors.next(history, expectedMax);
    probabilities.push(this.#errors.exceeding(threshold - expectedMax, 700));
    signals.push(count > 0 ? clamp((threshold - expectedMax) / history.spread300, -4, 6) : 3);
    signals.push(Number.isNaN(newest) ? 3 : clamp((threshold - newest) / history.spread300, -4, 6));
  }
}

/** The maximum after the instant `lag` steps back, or NaN where that is not known. */
function seasonalMax(history: History, lag: number): number {
  const { horizonSteps } = history.shape;
  const then = history.last - lag;
  if (lag <= horizonSteps || then < history.values.offset) return Number.NaN;
  const highest = history.max(then + 1 - tolerance, Math.min(history.last, then + horizonSteps + tolerance));
  return highest - 0.5 * (history.values.at(then) - history.value);
}

/** The season found in the series itself. */
export function foundSeason(): Season {
  return new Season('found', (history) => history.period.steps);
}

export function dailySeason(): Season {
  return new Season('daily', (history) => Math.round(86_400 / history.shape.stepSeconds));
}
