import { Recent } from '../../statistics/recent.ts';
import { type Expert, priorProbability } from '../expert.ts';
import type { History } from '../history.ts';
import { shrunkShare } from '../probability.ts';

/** Two numbers that place a series at an instant, and how far apart two places are still alike. */
interface Place {
  a: number;
  b: number;
  spreadA: number;
  spreadB: number;
}

interface AnalogOptions {
  /** Past instants weighed. */
  window: number;
  place: (history: History) => Place;
  /** Whether `b` is a place on a circle of length 1. */
  isCircular?: boolean;
}

const farthest = 14;
const tableStep = 32;
const reach = farthest * tableStep;
const likeness = Float64Array.from({ length: reach + 1 }, (_, k) => Math.exp(-(k + 0.5) / tableStep));
const priorWeight = 2;
/** In spreads. */
const visitRadius = 1;

/**
 * When this series last looked like this, how often did it breach within the horizon? Past instants weigh by
 * a Gaussian kernel on two coordinates: kernel regression (Nadaraya 1964, Watson 1964) of the outcome, so
 * that sawtooths, saturation and traps are learnt without being modelled.
 */
export class Analogs implements Expert {
  readonly opinions: readonly string[];
  readonly signals: readonly string[];
  readonly #window: number;
  readonly #place: (history: History) => Place;
  readonly #isCircular: boolean;
  readonly #a: Recent;
  readonly #b: Recent;
  /** Of the newest step: weight of past instants that looked alike, and of those that breached. */
  alike = 0;
  breached = 0;

  constructor(name: string, { window, place, isCircular = false }: AnalogOptions) {
    this.opinions = [name];
    this.signals = [`${name}Alike`];
    this.#window = window;
    this.#place = place;
    this.#isCircular = isCircular;
    this.#a = new Recent(window + 128);
    this.#b = new Recent(window + 128);
  }

  next(history: History, probabilities: number[], signals: number[]): void {
    const place = this.#place(history);
    this.#a.push(place.a);
    this.#b.push(place.b);
    this.#weigh(history, place);
    probabilities.push(shrunkShare(this.breached, this.alike, priorProbability, priorWeight));
    signals.push(Math.log1p(this.alike));
  }

  /**
   * How often the series has been here before, and how often it then breached: instants that look alike,
   * those within a horizon of each other counted as one visit.
   */
  visits(history: History): { alike: number; breached: number } {
    const { outcomes, shape } = history;
    const place = this.#place(history);
    let [alike, breached, lastVisit, lastBreached] = [0, 0, Number.NEGATIVE_INFINITY, false];
    for (let j = Math.max(outcomes.from(outcomes.length - this.#window), this.#a.offset); j < outcomes.length; j++) {
      const u = (this.#a.at(j) - place.a) / place.spreadA;
      const v = (this.#b.at(j) - place.b) / place.spreadB;
      if (outcomes.at(j) < 0 || u * u + v * v > visitRadius ** 2) continue;
      if (j - lastVisit > shape.horizonSteps) {
        alike++;
        lastBreached = false;
      }
      if (outcomes.at(j) === 1 && !lastBreached) {
        breached++;
        lastBreached = true;
      }
      lastVisit = j;
    }
    return { alike, breached };
  }

  #weigh(history: History, place: Place): void {
    const { outcomes } = history;
    const first = Math.max(outcomes.from(outcomes.length - this.#window), this.#a.offset);
    const [a, b, known] = [this.#a.buffer, this.#b.buffer, outcomes.buffer];
    const [atA, atB, atKnown] = [this.#a.offset, this.#b.offset, outcomes.offset];
    const [scaleA, scaleB] = [tableStep / 2 / place.spreadA ** 2, tableStep / 2 / place.spreadB ** 2];
    const isCircular = this.#isCircular;
    let alike = 0;
    let breached = 0;
    for (let j = first; j < outcomes.length; j++) {
      const outcome = known[j - atKnown] as number;
      if (outcome < 0) continue;
      const u = (a[j - atA] as number) - place.a;
      let distance = u * u * scaleA;
      if (distance >= reach) continue;
      let v = (b[j - atB] as number) - place.b;
      if (isCircular && (v > 0.5 || v < -0.5)) v -= Math.sign(v);
      distance += v * v * scaleB;
      if (distance >= reach) continue;
      const weight = likeness[distance | 0] as number;
      alike += weight;
      breached += weight * outcome;
    }
    this.alike = alike;
    this.breached = breached;
  }
}

/** By level and the last short move. */
export function analogsByLevel(): Analogs {
  return new Analogs('analogLevel', {
    window: 1000,
    place: (history) => ({
      a: history.value,
      b: history.value - history.mean(5),
      spreadA: Math.max(0.25 * history.spread300, 0.5 * history.stepSpread60),
      spreadB: history.stepSpread300,
    }),
  });
}

/** By level and how long ago the last breach was. */
export function analogsSinceBreach(): Analogs {
  return new Analogs('analogSince', {
    window: 1500,
    place: (history) => ({
      a: history.value,
      b: Math.log1p(Math.min(history.sinceBreach, 400)),
      spreadA: Math.max(0.35 * history.spread300, 0.5 * history.stepSpread60),
      spreadB: 0.35,
    }),
  });
}

/** By the mean of the last five values and how far that is from the last thirty's. */
export function analogsBySlowLevel(): Analogs {
  return new Analogs('analogSlow', {
    window: 2000,
    place: (history) => {
      const level = history.mean(5);
      const spread = Math.max(0.3 * history.spread300, 0.3 * history.stepSpread60);
      return {
        a: level,
        b: level - history.mean(30),
        spreadA: spread,
        spreadB: Math.max(0.3 * history.spread300, 1e-3),
      };
    },
  });
}

/** By level and time of day; a breach that is three quarters of an hour early or late is still alike. */
export function analogsByTimeOfDay(): Analogs {
  return new Analogs('analogDay', {
    window: 2000,
    isCircular: true,
    place: (history) => ({
      a: history.mean(3),
      b: ((history.last * history.shape.stepSeconds) % 86_400) / 86_400,
      spreadA: Math.max(0.5 * history.spread300, 0.5 * history.stepSpread60),
      spreadB: 2700 / 86_400,
    }),
  });
}
