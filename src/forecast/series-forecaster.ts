import type { Forecast } from '../core/forecast.ts';
import type { Expert } from './expert.ts';
import { analogsByLevel, analogsBySlowLevel, analogsByTimeOfDay, analogsSinceBreach } from './experts/analogs.ts';
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
import { lineThrough, type TrendLine } from './line.ts';
import { Mixture } from './mixture.ts';
import { fitOf, lineWidth, type Passage, passageOf } from './passage.ts';
import { logit } from './probability.ts';
import { reasonOf } from './reason.ts';
import type { Side } from './side.ts';
import { passageShares, probabilityOf } from './trained-model.ts';

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

/** Points before there is anything to say. */
export const leastPoints = 30;
/** A line that explains less than this of the spread is no trend. */
const leastFit = 0.5;
/** A cycle is given as the reason when it was seen and breached so often. */
const leastCycles = { seen: 2, share: 0.6 };

/** One series and all that is learnt of it. */
export class SeriesForecaster {
  readonly history: History;
  /** What the trained model is given, in the order of `inputNames`. */
  readonly inputs: Float32Array;
  readonly inputNames: readonly string[];
  readonly #analogs = analogsByLevel();
  readonly #phases = phases();
  readonly #experts: readonly Expert[];
  readonly #mixtures: readonly Mixture[];
  readonly #probabilities: number[] = [];
  readonly #signals: number[] = [];

  constructor(shape: SeriesShape) {
    this.history = new History(shape);
    this.#experts = [
      new Increments(),
      new DampedHolt(shape),
      new RegressionLine(),
      this.#analogs,
      analogsSinceBreach(),
      analogsBySlowLevel(),
      analogsByTimeOfDay(),
      new Nearest('nearest8', 8, 1, 1),
      new Nearest('nearest60', 12, 5, 3),
      new BaseRate(),
      foundSeason(),
      dailySeason(),
      ...this.#phases,
      new Recurrence(),
      new State(),
    ];
    const opinions = this.#experts.flatMap((expert) => expert.opinions);
    const weights = opinions.map((name) => priors[name] ?? 1);
    this.#mixtures = [0.998, 0.99, 0.97].map((forgetting) => new Mixture(weights, shape.horizonSteps, forgetting));
    this.inputNames = [
      ...['mixtureSlow', 'mixtureFast', 'mixtureFastest', 'meanOpinion', 'thirdHighestOpinion'],
      ...opinions,
      ...this.#experts.flatMap((expert) => expert.signals),
    ];
    this.inputs = new Float32Array(this.inputNames.length);
  }

  /**
   * Takes in the value of the next step, null where it is missing. The probability of a breach within the
   * horizon, or null: the value is missing, over the threshold already, or one of the first 30.
   */
  next(value: number | null): number | null {
    this.learn(value);
    if (this.history.last + 1 < leastPoints || !this.history.isPresent || this.history.isBreach) return null;
    return probabilityOf(this.inputs);
  }

  /** The same without an answer: for the past, of which nobody asks. */
  learn(value: number | null): void {
    this.history.push(value);
    this.#probabilities.length = 0;
    this.#signals.length = 0;
    for (const expert of this.#experts) expert.next(this.history, this.#probabilities, this.#signals);
    this.#fillInputs();
  }

  #fillInputs(): void {
    const { inputs } = this;
    let at = 0;
    for (const mixture of this.#mixtures) inputs[at++] = logit(mixture.next(this.history, this.#probabilities));
    const summaryAt = at;
    at += 2;
    let sum = 0;
    const highest: [number, number, number] = [-10, -10, -10];
    for (const probability of this.#probabilities) {
      const opinion = logit(probability);
      inputs[at++] = opinion;
      sum += opinion;
      keepHighest(highest, opinion);
    }
    inputs[summaryAt] = sum / this.#probabilities.length;
    inputs[summaryAt + 1] = highest[2];
    for (const signal of this.#signals) inputs[at++] = signal;
  }

  /** When the breach would come, as of the newest step. */
  passage(): Passage {
    return this.#passage(this.#line());
  }

  #passage(line: TrendLine): Passage {
    const { threshold, horizonSteps } = this.history.shape;
    return passageOf(passageShares(this.inputs), line, threshold, horizonSteps);
  }

  #line(): TrendLine {
    return lineThrough(this.history.values, lineWidth);
  }

  /**
   * What a person is told of the newest step.
   * @param metric gives the unit
   * @param probability of a breach within the horizon
   * @param side `below`: the values are those of a mirror
   */
  explain(
    metric: string,
    probability: number,
    side: Side = 'above',
  ): Pick<Forecast, 'etaSeconds' | 'intervalSeconds' | 'reason'> {
    const { history } = this;
    const { stepSeconds, threshold, horizonSteps } = history.shape;
    const line = this.#line();
    const { median, interval } = this.#passage(line);
    const intervalSeconds: [number, number] = [interval[0] * stepSeconds, interval[1] * stepSeconds];
    const cycle = this.#phases
      .map((phase) => phase.now)
      .find(({ seen, breached }) => seen >= leastCycles.seen && breached >= leastCycles.share * seen);
    const reason = reasonOf({
      metric,
      side,
      value: history.value,
      threshold,
      stepSeconds,
      slope: fitOf(line) >= leastFit ? line.slope : null,
      probability,
      horizonSeconds: horizonSteps * stepSeconds,
      etaSeconds: median * stepSeconds,
      intervalSeconds,
      visits: this.#analogs.visits(history),
      cycle: cycle ?? null,
    });
    return { etaSeconds: median * stepSeconds, intervalSeconds, reason };
  }
}

/** Puts a number in its place among the three highest. */
function keepHighest(highest: [number, number, number], number: number): void {
  if (number <= highest[2]) return;
  highest[2] = number;
  if (highest[2] > highest[1]) [highest[1], highest[2]] = [highest[2], highest[1]];
  if (highest[1] > highest[0]) [highest[0], highest[1]] = [highest[1], highest[0]];
}
