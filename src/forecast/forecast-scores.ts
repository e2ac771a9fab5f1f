import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/error.ts';
import { type Forecast, isAmber } from '../core/forecast.ts';
import { builtInMetrics, isOfOtherSource, seriesKey } from '../core/series.ts';
import {
  type Reading,
  type Reads,
  readLimit,
  readsWithin,
  type SeriesFilter,
  type Store,
  type TimeWindow,
} from '../core/store.ts';
import { addTallies, type HourTally } from '../core/tally.ts';
import { untilAborted } from '../platform/deadline.ts';
import { every } from '../platform/every.ts';
import { groupBy } from '../platform/group-by.ts';
import type { Log } from '../platform/log.ts';
import { singleFlight } from '../platform/single-flight.ts';
import { contextMs, saidOf, tallyOf } from './score.ts';

const hourMs = 3_600_000;
const lookEveryMs = 20_000;
/** Nobody can ask for older ones. */
const longestMs = 32 * 24 * hourMs;
/** Of a past that nobody has summed up, so much is read at once. */
const mostAtOnceMs = 4 * hourMs;
/** Series judged in one turn of the event loop. */
const judgedAtOnce = 10;
/** Of what is not summed up yet, so much is judged when somebody asks. */
const mostJudgedMs = 3 * hourMs;
/** The hour under way, for all who wait for it. */
const longestJudgingMs = 30_000;

export interface ForecastScoresOptions {
  store: Store;
  clock: Clock;
  log: Log;
  retentionMs: number;
  stepMs: number;
  horizonMs: number;
  /** Names of series of other sources that there are thresholds on. */
  otherMetrics: readonly string[];
}

export interface Scores extends TimeWindow {
  series: HourTally[];
}

/**
 * How right the forecasts have been, summed up for each hour once its last horizon has passed: a month of forecasts
 * is millions, and a month of sums is read at once. Only the hour under way is judged when somebody asks.
 */
export class ForecastScores {
  readonly #options: ForecastScoresOptions;
  #stop: () => void = () => undefined;
  /** Up to here everything is summed up; null: not known yet. */
  #until: number | null = null;
  /** Monotonic: when that was looked up. */
  #foundAt = 0;
  #isSumming = false;
  readonly #find = singleFlight(() => this.#findSummed());
  #summing: Promise<void> = Promise.resolve();
  #isClosed = false;
  /** The hour under way as it was judged last, of all series. */
  #newest: { step: number; from: number; series: Promise<HourTally[]> } | null = null;

  constructor(options: ForecastScoresOptions) {
    this.#options = options;
  }

  start(): void {
    const { log } = this.#options;
    this.#isSumming = true;
    const failed = (error: unknown) =>
      log.warn({ err: error }, `cannot sum up how right the forecasts were: ${messageOf(error)}`);
    this.#stop = every(lookEveryMs, () => this.sumUp(), failed, { immediately: true });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stop();
    await this.#summing.catch(() => undefined);
  }

  /** Sums up hours that are over, oldest first, as many as there is time for. */
  async sumUp(): Promise<void> {
    if (this.#isClosed) return;
    this.#summing = this.#sumUp();
    await this.#summing;
  }

  /**
   * By series, over whole hours from the one in which `from` lies, and up to `to`, or up to where they are summed up
   * as yet.
   */
  async read(window: TimeWindow, filter: SeriesFilter, reading: Reading): Promise<Scores> {
    const reads = readsWithin(this.#options.store, reading);
    const from = Math.floor(window.from / hourMs) * hourMs;
    const until = await untilAborted(this.#summedUntil(), reading.signal);
    const summed = Math.max(from, Math.min(until, Math.floor(window.to / hourMs) * hourMs));
    const sums = await reads.tallies({ from, to: summed, ...filter });
    // Of what is not summed up an hour or two can be judged at once, and not a month.
    const rest = { from: summed, to: Math.min(window.to, summed + this.#options.horizonMs + mostJudgedMs) };
    const judged = rest.to > rest.from ? await this.#judge(rest, filter, reading) : [];
    const bySeries = groupBy([...sums, ...judged], ({ series }) => seriesKey(series));
    const series = [...bySeries.values()].map((parts) => ({
      ...(parts.at(-1) as HourTally),
      tally: addTallies(parts.map(({ tally }) => tally)),
    }));
    return { from, to: Math.max(rest.to, summed), series };
  }

  /** The hour under way changes once a step: all that ask for all series have one answer. */
  #judge(window: TimeWindow, filter: SeriesFilter, reading: Reading): Promise<HourTally[]> {
    const { clock, store, stepMs } = this.#options;
    const isNow = Math.abs(clock.now() - window.to) < stepMs;
    if (!isNow || Object.keys(filter).length > 0)
      return this.#tallies(window, window.to, readsWithin(store, reading), filter);
    const step = Math.floor(window.to / stepMs);
    if (this.#newest?.step !== step || this.#newest.from !== window.from) {
      const bounds = { signal: readLimit(longestJudgingMs) };
      const series = this.#tallies(window, window.to, readsWithin(store, bounds));
      this.#newest = { step, from: window.from, series };
      series.catch(() => {
        this.#newest = null;
      });
    }
    return untilAborted(this.#newest.series, reading.signal);
  }

  async #sumUp(): Promise<void> {
    const { store, clock, horizonMs, stepMs } = this.#options;
    const reads = readsWithin(store, { lane: 'background' });
    let until = await this.#summedUntil();
    // The clock may be mended meanwhile.
    const last = () => Math.floor((clock.now() - horizonMs - 2 * stepMs) / hourMs) * hourMs;
    while (until < last() && !this.#isClosed) {
      const to = Math.min(last(), until + mostAtOnceMs);
      const hours = { from: until, to };
      await store.append({ accuracy: { hours, tallies: await this.#hours(hours, reads) } });
      until = to;
      this.#until = until;
    }
  }

  async #summedUntil(): Promise<number> {
    // The clock was ahead and is not any more: what was summed up by it is no sum of these hours.
    if (this.#until !== null && this.#until > this.#options.clock.now()) this.#until = null;
    // Another server sums up.
    const { clock } = this.#options;
    if (!this.#isSumming && clock.monotonic() - this.#foundAt > lookEveryMs) this.#until = null;
    if (this.#until === null) {
      this.#until = await this.#find();
      this.#foundAt = clock.monotonic();
    }
    return this.#until;
  }

  /** The end of the last hour that is in the store, or the beginning of the first that could be. */
  async #findSummed(): Promise<number> {
    const { store, clock, retentionMs } = this.#options;
    const now = clock.now();
    const oldest = Math.floor((now - Math.min(retentionMs, longestMs)) / hourMs) * hourMs;
    const found = await store.tallies({ from: oldest, to: now }, { lane: 'background' });
    if (found.length > 0) return found.reduce((newest, { time }) => Math.max(newest, time), 0);
    for (let start = oldest; start < now; start += hourMs) {
      const made = await store.forecasts({ from: start, to: start + hourMs }, { lane: 'background' });
      if (made.length > 0) return start;
    }
    return Math.floor(now / hourMs) * hourMs;
  }

  /** The sums of all whole hours of a window. */
  async #hours(window: TimeWindow, reads: Reads<[]>): Promise<HourTally[]> {
    const { horizonMs } = this.#options;
    const tallies: HourTally[] = [];
    for await (const made of this.#series(window, window.to + horizonMs, reads)) {
      for (let from = window.from; from < window.to; from += hourMs) {
        const hour = { from, to: from + hourMs };
        const until = hour.to + horizonMs;
        const around = made.filter(({ time }) => time > from - contextMs - horizonMs && time <= until);
        tallies.push(...this.#tally(around, hour, until).map((each) => ({ ...each, time: hour.to })));
      }
    }
    return tallies;
  }

  async #tallies(window: TimeWindow, until: number, reads: Reads<[]>, filter: SeriesFilter = {}): Promise<HourTally[]> {
    const tallies: HourTally[] = [];
    for await (const made of this.#series(window, until, reads, filter))
      tallies.push(...this.#tally(made, window, until));
    return tallies;
  }

  /** What was said of each series in the window and around it, by host: there are many forecasts in it. */
  async *#series(
    window: TimeWindow,
    until: number,
    reads: Reads<[]>,
    filter: SeriesFilter = {},
  ): AsyncGenerator<Forecast[]> {
    const { horizonMs } = this.#options;
    const around = { from: window.from - contextMs - horizonMs, to: Math.min(until, window.to + horizonMs) };
    let judged = 0;
    for (const part of await this.#parts(filter, reads)) {
      const made = groupBy(await reads.forecasts({ ...around, ...part }), ({ series }) => seriesKey(series));
      for (const series of made.values()) {
        yield series;
        if (++judged % judgedAtOnce === 0) await setImmediate();
      }
    }
  }

  /** A host at a time, and then a metric of other sources: those may be of hosts that send no snapshots, or of none. */
  async #parts(filter: SeriesFilter, reads: Reads<[]>): Promise<SeriesFilter[]> {
    const { clock, otherMetrics } = this.#options;
    const { matchers = [], metrics } = filter;
    if (matchers.some(({ label, operator }) => label === 'host' && operator === '=')) return [filter];
    const ofHosts = (await reads.latest(clock.now())).map(({ host }) => ({
      ...filter,
      metrics: metrics ?? builtInMetrics,
      matchers: [...matchers, { label: 'host', operator: '=', value: host } as const],
    }));
    const others = (metrics ?? otherMetrics).filter(isOfOtherSource);
    return [...ofHosts, ...others.map((metric) => ({ ...filter, metrics: [metric] }))];
  }

  #tally(made: readonly Forecast[], window: TimeWindow, until: number): HourTally[] {
    const { stepMs, horizonMs } = this.#options;
    const last = made.findLast(({ time }) => time > window.from && time <= window.to);
    if (last === undefined) return [];
    const { series, isMuted, time } = last;
    // What was muted nobody saw.
    const said = made.map((forecast) => ({ ...saidOf(forecast), isAmber: isAmber(forecast) }));
    return [{ series, isMuted, time, tally: tallyOf(said, stepMs, horizonMs, until, window) }];
  }
}
