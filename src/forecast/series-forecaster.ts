import type { Expert } from './expert.ts';
import { analogsByLevel, analogsBySlowLevel, analogsSinceBreach } from './experts/analogs.ts';
import { BaseRate } from './experts/base-rate.ts';
import { DampedHolt } from './experts/damped-holt.ts';
import { Increments } from './experts/increments.ts';
import { Nearest } from './experts/nearest.ts';
import { phases } from './experts/phase.ts';
import { Recurrence } from './experts/recurrence.ts';
import { RegressionLine } from './experts/regression-line.ts';
import { dailySeason, foundSeason } from './experts/season.ts';
import { State } from './experts/state.ts';
import { History, type SeriesShape } from './history.ts';
import { Mixture } from './mixture.ts';
import { logit } from './probability.ts';

/** How much an opinion counts before the series has shown anything; 1 where it is not named. */
const priors: Record<string, number> = {
  holt700: 1.5,
  analogLevel: 2,
  analogSince: 1.5,
  analogSlow: 1.5,
  nearest8: 1.5,
  baseRate: 0.5,
  lagMost: 0.7,
  phaseHour: 0.7,
  phaseFound: 0.7,
};

/** One series and all that is learnt of it. */
export class SeriesForecaster {
  readonly history: History;
  readonly #experts: Expert[];
  readonly #mixtures: Mixture[];
  readonly #probabilities: number[] = [];
  readonly #signals: number[] = [];
  /** What the trained model is given, in the order of `inputNames`. */
  readonly inputs: Float32Array;
  readonly inputNames: readonly string[];

  constructor(shape: SeriesShape) {
    this.history = new History(shape);
    this.#experts = [
      new Increments(),
      new DampedHolt(shape),
      new RegressionLine(),
      analogsByLevel(),
      analogsSinceBreach(),
      analogsBySlowLevel(),
      new Nearest('nearest8', 8, 1),
      new Nearest('nearest60', 12, 5),
      new BaseRate(),
      foundSeason(),
      dailySeason(),
      ...phases(),
      new Recurrence(),
      new State(),
    ];
    const opinions = this.#experts.flatMap((expert) => expert.opinions);
    const weights = opinions.map((name) => priors[name] ?? 1);
    this.#mixtures = [0.998, 0.99].map((forgetting) => new Mixture(weights, shape.horizonSteps, forgetting));
    this.inputNames = [
      'mixtureSlow',
      'mixtureFast',
      'meanOpinion',
      'thirdHighestOpinion',
      ...opinions,
      ...this.#experts.flatMap((expert) => expert.signals),
    ];
    this.inputs = new Float32Array(this.inputNames.length);
  }

  /** Takes in the value of the next step, null where it is missing. */
  next(value: number | null): void {
    this.history.push(value);
    this.#probabilities.length = 0;
    this.#signals.length = 0;
    for (const expert of this.#experts) expert.next(this.history, this.#probabilities, this.#signals);
    const mixed = this.#mixtures.map((mixture) => mixture.next(this.history, this.#probabilities));
    const opinions = this.#probabilities.map(logit);
    const mean = opinions.reduce((sum, opinion) => sum + opinion, 0) / opinions.length;
    const third = [...opinions].sort((a, b) => b - a)[2] as number;
    this.inputs.set([...mixed.map(logit), mean, third, ...opinions, ...this.#signals]);
  }
}
