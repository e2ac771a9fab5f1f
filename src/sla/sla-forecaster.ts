import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/error.ts';
import { isKnown } from '../core/sample.ts';
import { type Series, seriesKey } from '../core/series.ts';
import { type Reads, readsWithin, type Store } from '../core/store.ts';
import type { ForecastThread } from '../forecast/forecast-worker-client.ts';
import { keepForecasts } from '../forecast/keep-forecasts.ts';
import { newSeries } from '../forecast/new-series.ts';
import { type RangeForecast, RangeForecaster } from '../forecast/range-forecaster.ts';
import { newestStep } from '../forecast/steps.ts';
import { every } from '../platform/every.ts';
import type { Log } from '../platform/log.ts';
import { type Risk, riskOf } from './risk.ts';
import { currentOf, type Sla } from './sla.ts';
import type { SlaStatus } from './sla-reader.ts';
import { budgetSeries, budgetThreshold, type SlaWatch } from './sla-watch.ts';
import type { Slas } from './slas.ts';

/** More budgets than this are not forecast: those likeliest to be used up are. */
const mostBudgets = 300;
/** One that nothing threatens any more is followed for so many steps more. */
const keptSteps = 60;

/** What is to come of an SLA within the horizon. */
export interface Outlook extends RangeForecast {
  /** End of the step it is of. */
  at: number;
  /** What the error budget of each window risks; none where it is not known how the SLA stands. */
  risks: Risk[];
}

export interface SlaForecasterOptions {
  store: Store;
  clock: Clock;
  log: Log;
  slas: Slas;
  watch: SlaWatch;
  thread: ForecastThread;
  stepMs: number;
  horizonMs: number;
}

interface Budget {
  key: string;
  series: Series;
  risk: Risk;
}

/**
 * Says, once a step, which series are about to leave the range of an SLA, and forecasts its error budgets: by what they
 * risk, and by their own past as anything else. It remembers nothing that it cannot read again.
 */
export class SlaForecaster {
  readonly #options: SlaForecasterOptions;
  readonly #ranges: RangeForecaster;
  readonly #reads: Reads<[]>;
  #newest: ReadonlyMap<string, Outlook & { since: number }> = new Map();
  /** Budgets that are followed, and until when. */
  readonly #followed = new Map<string, number>();
  #generation = 0;
  /** End of the last step of which budgets were forecast. */
  #lastBudgets: number | null = null;
  /** End of the last step done. */
  #last = 0;
  #problem = '';
  #stop: () => void = () => undefined;
  #isClosed = false;

  constructor(options: SlaForecasterOptions) {
    this.#options = options;
    this.#ranges = new RangeForecaster(options);
    this.#reads = readsWithin(options.store, { lane: 'background' });
  }

  start(): void {
    const { log, stepMs } = this.#options;
    const failed = (error: unknown) => log.error({ err: error }, `cannot predict SLAs: ${messageOf(error)}`);
    this.#stop = every(Math.min(1000, stepMs / 4), () => this.tick(), failed);
  }

  close(): void {
    this.#isClosed = true;
    this.#stop();
  }

  /** Null: there has been no step since it was defined as it is. */
  of(sla: Sla): Outlook | null {
    const newest = this.#newest.get(sla.id);
    return newest === undefined || newest.since !== currentOf(sla).since ? null : newest;
  }

  /** The step that is over, once. What fails is said once, and tried again with the next. */
  async tick(): Promise<void> {
    const { clock, stepMs, slas, log } = this.#options;
    const end = newestStep(clock.now(), stepMs);
    const all = slas.all();
    if (this.#isClosed || end === this.#last || (all.length === 0 && this.#newest.size === 0)) return;
    this.#last = end;
    try {
      await this.#step(end, all);
      this.#problem = '';
    } catch (error) {
      const problem = messageOf(error);
      // What was found out before it failed is told.
      const isTold = [...this.#newest.values()].some(({ at }) => at === end);
      if (!isTold)
        this.#newest = new Map(all.map((sla) => [sla.id, outlookOf(sla, end, { passings: [], problem }, [])]));
      if (this.#problem !== problem && !this.#isClosed) log.warn(`SLAs are not predicted: ${problem}`);
      this.#problem = problem;
    }
  }

  async #step(end: number, all: readonly Sla[]): Promise<void> {
    const { watch, stepMs, horizonMs } = this.#options;
    const ranges = all.map((sla) => ({ id: sla.id, ...currentOf(sla) }));
    const found = await this.#ranges.step(end, ranges);
    // Why it cannot be told how they stand the watch says itself.
    const statuses = await watch.statusesAt(end - stepMs / 2).catch(() => new Map<string, SlaStatus>());
    this.#newest = new Map(
      all.map((sla) => {
        const forecast = found.get(sla.id) ?? { passings: [], problem: null };
        return [sla.id, outlookOf(sla, end, forecast, risksOf(statuses.get(sla.id), forecast, horizonMs))];
      }),
    );
    try {
      await this.#forecastBudgets(end, all);
      this.#lastBudgets = end;
    } catch (error) {
      this.#lastBudgets = null;
      throw error;
    }
  }

  async #forecastBudgets(end: number, all: readonly Sla[]): Promise<void> {
    const { thread, store } = this.#options;
    await this.#catchUp(end);
    const budgets = all.flatMap((sla) => this.#budgetsOf(sla)).sort((a, b) => b.risk.probability - a.risk.probability);
    const values = await this.#valuesOf(budgets, end);
    const threatened = budgets.filter(({ key, risk }) => risk.probability > 0 || (values.get(key) ?? 0) > 0);
    await this.#follow(threatened.slice(0, mostBudgets), end);
    const told = budgets.flatMap(({ key, risk }) => {
      const value = values.get(key);
      return value === undefined ? [] : [{ key, value, ...(risk.probability > 0 && { opinion: risk }) }];
    });
    const { forecasts } = await thread.call({ budgets: { step: { time: end, values: told } } });
    await keepForecasts(store, this.#reads, forecasts, end);
  }

  /** A few steps that were missed are missing values; after more of them, or with a new thread, all begins anew. */
  async #catchUp(end: number): Promise<void> {
    const { thread, stepMs } = this.#options;
    const missed = this.#lastBudgets === null ? Number.POSITIVE_INFINITY : (end - this.#lastBudgets) / stepMs - 1;
    if (thread.generation !== this.#generation) this.#followed.clear();
    this.#generation = thread.generation;
    if (missed < 0 || missed > keptSteps) {
      await thread.call({ budgets: { remove: [...this.#followed.keys()] } });
      this.#followed.clear();
    } else
      for (let k = missed; k > 0; k--) await thread.call({ budgets: { step: { time: end - k * stepMs, values: [] } } });
  }

  #budgetsOf(sla: Sla): Budget[] {
    return (this.#newest.get(sla.id)?.risks ?? []).map((risk) => {
      const series = budgetSeries(sla, risk.window);
      return { key: seriesKey(series), series, risk };
    });
  }

  /** How much of each was used in the step, by key. */
  async #valuesOf(budgets: readonly Budget[], end: number): Promise<Map<string, number>> {
    const { stepMs } = this.#options;
    if (budgets.length === 0) return new Map();
    const window = { from: end - stepMs - 1, to: end - 1 };
    const found = await this.#reads.select({ ...window, series: budgets.map(({ series }) => series), stepMs });
    return new Map(
      found.flatMap(({ series, samples }) => samples.filter(isKnown).map(({ value }) => [seriesKey(series), value])),
    );
  }

  async #follow(threatened: readonly Budget[], end: number): Promise<void> {
    const { thread, stepMs } = this.#options;
    for (const { key } of threatened) if (this.#followed.has(key)) this.#followed.set(key, end + keptSteps * stepMs);
    const remove = [...this.#followed].filter(([, until]) => until < end).map(([key]) => key);
    const room = mostBudgets - this.#followed.size;
    const fresh = threatened.filter(({ key }) => !this.#followed.has(key)).slice(0, Math.max(0, room));
    const { red } = budgetThreshold;
    const followed = fresh.map(({ series }) => ({ series, factor: 1, threshold: red }));
    const add = followed.length === 0 ? [] : await newSeries(this.#reads, followed, end, stepMs);
    await thread.call({ budgets: { add, remove } });
    for (const key of remove) this.#followed.delete(key);
    for (const { key } of fresh) this.#followed.set(key, end + keptSteps * stepMs);
  }
}

function outlookOf(sla: Sla, at: number, forecast: RangeForecast, risks: Risk[]): Outlook & { since: number } {
  return { at, ...forecast, risks, since: currentOf(sla).since };
}

function risksOf(status: SlaStatus | undefined, { passings }: RangeForecast, horizonMs: number): Risk[] {
  if (status === undefined) return [];
  const { violations, windows } = status;
  return windows.map((window) => riskOf({ status: window, violations, passings, horizonMs }));
}
