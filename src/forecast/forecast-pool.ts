import type { Forecast } from '../core/forecast.ts';
import { type Series, seriesKey, subjectOf } from '../core/series.ts';
import { type AmberPolicy, AmberState, policies } from './amber-policy.ts';
import type { SeriesShape } from './history.ts';
import { isHopeless, type ScoredForecast, saidOf, tallyOf } from './score.ts';
import { SeriesForecaster } from './series-forecaster.ts';

/** A series to follow, with its past. */
export interface NewSeries {
  series: Series;
  shape: SeriesShape;
  /** One value per step, oldest first, NaN where it is missing; the last belongs to the step before the next. */
  past: Float64Array;
  /** What was said of it before, by time. */
  record: readonly Forecast[];
  /** Whether the last of these is so new that its AMBER goes on. */
  isGoingOn: boolean;
}

/** The mean of a series over a step. */
export interface StepValue {
  key: string;
  value: number;
  /** Of somebody who sees more than the series shows: the surer of the two is believed. */
  opinion?: Opinion;
}

/** That a series goes over its threshold within the horizon, when, and why. */
export interface Opinion extends Pick<Forecast, 'reason'> {
  probability: number;
  etaSeconds: number;
  intervalSeconds: [number, number];
}

/** What lies further back does not count for or against a series; at one-minute steps a day. */
const recordSteps = 1440;
/** An AMBER outlasts so many missing steps. */
const mostMissing = 3;

/** Follows many series, each evaluated once a step. */
export class ForecastPool {
  readonly #series = new Map<string, SeriesTracker>();

  add(series: NewSeries): void {
    this.#series.set(seriesKey(series.series), new SeriesTracker(series));
  }

  remove(key: string): void {
    this.#series.delete(key);
  }

  /** The forecasts at the end of a step, for all series that have a value in it. Others take the step as missing. */
  step(time: number, values: readonly StepValue[]): Forecast[] {
    const byKey = new Map(values.map((each) => [each.key, each]));
    return [...this.#series].flatMap(([key, followed]) => {
      const { value, opinion } = byKey.get(key) ?? { value: Number.NaN };
      return followed.step(time, value, opinion) ?? [];
    });
  }
}

class SeriesTracker {
  readonly #series: Series;
  readonly #forecaster: SeriesForecaster;
  readonly #balanced: PolicyTracker;
  readonly #quiet: PolicyTracker;
  readonly #record: ScoredForecast[];
  /** Its own record is so bad that its AMBER is not shown. */
  #isMuted: boolean;

  constructor({ series, shape, past, record, isGoingOn }: NewSeries) {
    this.#series = series;
    this.#forecaster = new SeriesForecaster(shape);
    for (const value of past) this.#forecaster.learn(Number.isNaN(value) ? null : value);
    const last = isGoingOn ? record.at(-1) : null;
    this.#balanced = new PolicyTracker(policies.balanced, last?.amberSince ?? null);
    this.#quiet = new PolicyTracker(policies.quiet, last?.notifySince ?? null);
    this.#record = record.map(saidOf);
    this.#isMuted = this.#isRecordHopeless();
  }

  step(time: number, value: number, opinion?: Opinion): Forecast | null {
    const { history } = this.#forecaster;
    const own = this.#forecaster.next(Number.isNaN(value) ? null : value);
    const isOpen = history.isPresent && !history.isBreach;
    const surer = isOpen && opinion !== undefined && opinion.probability > (own ?? 0) ? opinion : null;
    const probability = surer?.probability ?? own;
    const amberSince = this.#balanced.next(time, probability, history.isBreach);
    const notifySince = this.#quiet.next(time, probability, history.isBreach);
    if (!history.isPresent) return null;
    const { threshold } = history.shape;
    const isAmber = amberSince !== null && probability !== null;
    const story = isAmber ? this.#story(surer, probability) : silence;
    const made = { time, series: this.#series, value, threshold, probability, amberSince, notifySince, ...story };
    this.#judge(saidOf(made));
    return { ...made, isMuted: this.#isMuted };
  }

  #story(opinion: Opinion | null, probability: number): Story {
    if (opinion === null) return this.#forecaster.explain(subjectOf(this.#series).metric, probability);
    const { etaSeconds, intervalSeconds, reason } = opinion;
    return { etaSeconds, intervalSeconds, reason };
  }

  /** Adds to the record; an AMBER is when it matters what the record says. */
  #judge(said: ScoredForecast): void {
    this.#record.push(said);
    if (this.#record.length > recordSteps) this.#record.shift();
    if (said.isAmber) this.#isMuted = this.#isRecordHopeless();
  }

  #isRecordHopeless(): boolean {
    const { horizonSteps, stepSeconds } = this.#forecaster.history.shape;
    const stepMs = stepSeconds * 1000;
    return isHopeless(tallyOf(this.#record, stepMs, horizonSteps * stepMs, this.#record.at(-1)?.time ?? 0));
  }
}

type Story = Pick<Forecast, 'etaSeconds' | 'intervalSeconds' | 'reason'>;
const silence: Story = { etaSeconds: null, intervalSeconds: null, reason: '' };

/** One policy on one series, and since when it says AMBER. An AMBER that came true is remembered as long as the breach lasts. */
class PolicyTracker {
  readonly #state: AmberState;
  #since: number | null;
  #missing = 0;

  constructor(policy: AmberPolicy, since: number | null) {
    this.#state = new AmberState(policy, since !== null);
    this.#since = since;
  }

  next(time: number, probability: number | null, isBreach: boolean): number | null {
    this.#missing = probability === null && !isBreach ? this.#missing + 1 : 0;
    if (this.#missing > mostMissing) this.#state.end();
    const isOn = this.#state.next(probability, isBreach);
    if (isOn) this.#since ??= time;
    else if (!isBreach && (probability !== null || this.#missing > mostMissing)) this.#since = null;
    return this.#since;
  }
}
