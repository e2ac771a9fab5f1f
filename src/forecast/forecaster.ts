import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/error.ts';
import type { Forecast } from '../core/forecast.ts';
import { ReadLane } from '../core/read-lane.ts';
import { isKnown } from '../core/sample.ts';
import { isOfOtherSource, seriesKey } from '../core/series.ts';
import { everyDuty, isSeriesInShare, type WatchShare } from '../core/server-role.ts';
import { reservedNames } from '../core/snapshot.ts';
import { type Reads, readsWithin, type Store, type TimeWindow } from '../core/store.ts';
import { levelFactor, type Threshold } from '../core/threshold.ts';
import { ThresholdSet } from '../core/threshold-set.ts';
import { untilAborted } from '../platform/deadline.ts';
import { every } from '../platform/every.ts';
import { groupBy } from '../platform/group-by.ts';
import type { Log } from '../platform/log.ts';
import type { Analysis } from '../statistics/analysis.ts';
import type { StepValue } from './forecast-pool.ts';
import type { ForecastThread } from './forecast-worker-client.ts';
import { keepForecasts } from './keep-forecasts.ts';
import { type Followed, newSeries } from './new-series.ts';
import type { PathForecast } from './path-forecast.ts';
import { horizonSteps, newestStep, pastSteps } from './steps.ts';

/** A series is followed while it has been over this share of its threshold within the past. */
const filterShare = 0.5;
/** More series than this are not followed: those longest under the filter give way. */
const mostFollowed = 2000;
/** Replaying the past of a series takes a tenth of a second: at most so many start in one step... */
const mostNew = 200;
/** ...and takes at most this share of the step. */
const takeInShare = 0.5;
/** After a longer pause than this many steps everything is read anew. */
const mostMissed = 30;
/** Series whose past is asked for in one query. */
const seriesPerQuery = 20;
/** Series that wait to be analysed; each takes some 40 ms. */
const mostAnalyses = 32;
interface FollowedSeries extends Followed {
  /** End of the last step in which it was over the filter. */
  aboveAt: number;
}

export interface ForecasterOptions {
  store: Store;
  clock: Clock;
  log: Log;
  thresholds: readonly Threshold[];
  horizonMs: number;
  /** Of the hosts; absent: all. */
  share?: WatchShare;
  /** Where it is computed; it is closed with the forecaster. */
  thread: ForecastThread;
}

/**
 * Forecasts every series that may breach, once a step, and keeps the forecasts in the store, which is where
 * everything else finds them. A cheap filter in the store first leaves out what is far below its threshold;
 * the rest is computed in a thread of its own. It remembers nothing that it cannot read again.
 */
export class Forecaster {
  readonly stepMs: number;
  readonly horizonMs: number;
  /** For /metrics: of the last step, and in total. */
  readonly figures = { series: 0, steps: 0, busyMs: 0 };
  readonly #options: ForecasterOptions;
  readonly #lines: ThresholdSet;
  readonly #thread: ForecastThread;
  #generation = 0;
  readonly #analyses = new ReadLane(1, mostAnalyses);
  #stop: () => void = () => undefined;
  readonly #followed = new Map<string, FollowedSeries>();
  /** To be followed as soon as there is time. */
  #waiting = new Map<string, FollowedSeries>();
  /** End of the last step done. */
  #last: number | null = null;
  #ticking: Promise<void> = Promise.resolve();
  #pausedUntil = 0;
  #isClosed = false;
  /** What a step needs, and what is read of the past. */
  readonly #present: Reads<[]>;
  readonly #past: Reads<[]>;

  constructor(options: ForecasterOptions) {
    this.#options = options;
    this.#lines = new ThresholdSet(options.thresholds);
    this.#present = readsWithin(options.store, { lane: 'present' });
    this.#past = readsWithin(options.store, { lane: 'background' });
    this.#thread = options.thread;
    this.horizonMs = options.horizonMs;
    this.stepMs = options.horizonMs / horizonSteps;
  }

  start(): void {
    const { log } = this.#options;
    const failed = (error: unknown) => log.error({ err: error }, `cannot forecast: ${messageOf(error)}`);
    this.#stop = every(Math.min(1000, this.stepMs / 4), () => this.tick(), failed);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stop();
    await this.#thread.close();
    await this.#ticking.catch(() => undefined);
  }

  /** In the thread of the forecasts, where it keeps nobody waiting. */
  async analyse(values: Float64Array, signal: AbortSignal): Promise<Analysis> {
    const analysed = this.#analyses.run(() => this.#thread.call({ analyse: values }), signal);
    const { analysis } = await untilAborted(analysed, signal);
    return analysis as Analysis;
  }

  /** The next steps of each list of series, one list after the other; in the same thread. */
  async paths(
    lists: readonly (readonly Float64Array[])[],
    steps: number,
    signal: AbortSignal,
  ): Promise<PathForecast[][]> {
    const found: PathForecast[][] = [];
    const forecast = this.#analyses.run(async () => {
      for (const paths of lists) {
        signal.throwIfAborted();
        found.push((await this.#thread.call({ paths, steps })).paths);
      }
    }, signal);
    await untilAborted(forecast, signal);
    return found;
  }

  /**
   * Does all whole steps since the last, or, after a long pause, starts anew from what is stored. So it does
   * after a failure: what the thread knows then is not certain.
   */
  async tick(): Promise<void> {
    const { clock } = this.#options;
    if (this.#isClosed || clock.monotonic() < this.#pausedUntil) return;
    this.#ticking = this.#doSteps();
    try {
      await this.#ticking;
    } catch (error) {
      this.#last = null;
      // What has failed once may do so again, and reading everything anew is work.
      this.#pausedUntil = clock.monotonic() + this.stepMs / 2;
      if (!this.#isClosed) throw error;
    }
  }

  async #doSteps(): Promise<void> {
    const newest = newestStep(this.#options.clock.now(), this.stepMs);
    // A new thread knows no series.
    if (this.#thread.generation !== this.#generation) this.#last = null;
    this.#generation = this.#thread.generation;
    const missed = this.#last === null ? Number.POSITIVE_INFINITY : (newest - this.#last) / this.stepMs;
    if (missed === 0) return;
    // A clock that was set back counts as a pause.
    if (missed < 0 || missed > mostMissed) await this.#startAnew(newest);
    for (let end = (this.#last ?? newest) + this.stepMs; end <= newest && !this.#isClosed; end += this.stepMs) {
      const forecasts = await this.#doStep(end);
      // What comes after the fact is no forecast.
      if (end === newest) await keepForecasts(this.#options.store, this.#present, forecasts, end);
      this.#last = end;
    }
  }

  /** Forgets everything, and finds out who was over the filter within the past. */
  async #startAnew(newest: number): Promise<void> {
    this.#last = null;
    await this.#thread.call({ remove: [...this.#followed.keys()] });
    this.#followed.clear();
    const from = newest - (pastSteps + 1) * this.stepMs;
    this.#waiting = await this.#above({ from, to: newest - this.stepMs }, newest, this.#past);
    this.#last = newest - this.stepMs;
  }

  async #doStep(end: number): Promise<Forecast[]> {
    for (const [key, series] of await this.#above({ from: end - this.stepMs, to: end }, end, this.#present))
      (this.#followed.has(key) ? this.#followed : this.#waiting).set(key, series);
    await this.#forget(end);
    await this.#takeIn(end);
    const { forecasts, busyMs } = await this.#thread.call({ time: end, values: await this.#values(end) });
    this.figures.series = this.#followed.size;
    this.figures.steps++;
    this.figures.busyMs += busyMs;
    return forecasts;
  }

  /** All series over the filter from `from` to before `to`, by key. */
  async #above({ from, to }: TimeWindow, end: number, reads: Reads<[]>): Promise<Map<string, FollowedSeries>> {
    const hosts = await this.#present.latest(end);
    const window = { from: from - 1, to: to - 1 };
    const cores = new Map(hosts.map((header) => [header.host, header.cores]));
    const found = new Map<string, FollowedSeries>();
    for (const threshold of this.#lines.all) {
      const { selector, red } = threshold;
      const factors = hosts.map((header) => levelFactor(threshold, header.cores));
      const isOfHost = !isOfOtherSource(selector.metric);
      const least = red * filterShare * (isOfHost ? Math.min(...factors, Number.POSITIVE_INFINITY) : 1);
      if (!Number.isFinite(least)) continue;
      for (const series of await reads.above(selector, least, window)) {
        const { host = '', process = '' } = series.labels;
        if (this.#lines.on(series) !== threshold || (isOfHost && reservedNames.has(process))) continue;
        if (!isSeriesInShare(series, this.#options.share ?? everyDuty.share)) continue;
        const factor = levelFactor(threshold, cores.get(host) ?? null);
        found.set(seriesKey(series), { series, factor, threshold: red, aboveAt: end });
      }
    }
    return found;
  }

  /** Lets go of what has long been under the filter, and, where others wait, of what has been so longest. */
  async #forget(end: number): Promise<void> {
    const oldest = end - pastSteps * this.stepMs;
    for (const [key, { aboveAt }] of this.#waiting) if (aboveAt < oldest) this.#waiting.delete(key);
    const room = mostFollowed - Math.min(this.#waiting.size, mostNew);
    const byAge = [...this.#followed].sort(([, a], [, b]) => b.aboveAt - a.aboveAt);
    const gone = byAge.filter(([, { aboveAt }], index) => aboveAt < oldest || (index >= room && aboveAt < end));
    for (const [key] of gone) this.#followed.delete(key);
    if (gone.length > 0) await this.#thread.call({ remove: gone.map(([key]) => key) });
  }

  /**
   * Hands waiting series to the thread with what is stored of them before the step that ends at `end`: those
   * over the filter last come first, and no more than there is time for.
   */
  async #takeIn(end: number): Promise<void> {
    const { clock } = this.#options;
    const until = clock.monotonic() + this.stepMs * takeInShare;
    const fresh = [...this.#waiting].sort(([, a], [, b]) => b.aboveAt - a.aboveAt);
    const most = Math.min(mostNew, mostFollowed - this.#followed.size, fresh.length);
    for (let at = 0; at < most && (at === 0 || clock.monotonic() < until); at += seriesPerQuery) {
      const group = fresh.slice(at, Math.min(at + seriesPerQuery, most));
      const series = group.map(([, each]) => each);
      await this.#thread.call({ add: await newSeries(this.#past, series, end, this.stepMs) });
      for (const [key, each] of group) {
        this.#waiting.delete(key);
        this.#followed.set(key, each);
      }
    }
  }

  /** The mean of each followed series over the step that ends at `end`. */
  async #values(end: number): Promise<StepValue[]> {
    const values: StepValue[] = [];
    const window = { from: end - this.stepMs - 1, to: end - 1 };
    for (const group of groupBy(this.#followed.values(), ({ series }) => series.metric).values()) {
      const means = await this.#present.select({
        ...window,
        series: group.map(({ series }) => series),
        stepMs: this.stepMs,
      });
      for (const [index, { series, factor }] of group.entries()) {
        const point = means[index]?.samples.filter(isKnown).at(-1);
        if (point) values.push({ key: seriesKey(series), value: point.value / factor });
      }
    }
    return values;
  }
}
