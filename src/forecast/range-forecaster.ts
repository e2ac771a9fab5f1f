import type { Clock } from '../core/clock.ts';
import { MonitorError } from '../core/error.ts';
import { isKnown } from '../core/sample.ts';
import { parseSelector } from '../core/selector.ts';
import { type Series, seriesKey, subjectOf } from '../core/series.ts';
import { type Reads, readsWithin, type Store } from '../core/store.ts';
import type { ForecastThread } from './forecast-worker-client.ts';
import type { NewRangeEnd, Passing } from './range-pool.ts';
import { pastSteps, regularPast } from './regular-past.ts';
import type { Side } from './side.ts';

/** More series of one range, and of all of them, are not followed: each takes some 2 MB and a tenth of a second to start. */
const mostSeries = 100;
const mostEnds = 500;
/** Starting with a series takes a tenth of a second: at most this share of a step goes into that. */
const takeInShare = 0.2;
const seriesPerQuery = 10;
/** One that is not there for so many steps is let go of. */
const mostMissing = 60;

/** Where series are meant to stay. Null: it is open at that end. */
export interface Range {
  id: string;
  selector: string;
  min: number | null;
  max: number | null;
}

/** How likely a series leaves its range at one end within the horizon. */
export interface RangePassing extends Omit<Passing, 'key'> {
  series: Series;
  side: Side;
  limit: number;
}

/** Of all series of a range. */
export interface RangeForecast {
  passings: RangePassing[];
  /** Why none are told of. */
  problem: string | null;
}

export interface RangeForecasterOptions {
  store: Store;
  clock: Clock;
  thread: ForecastThread;
  stepMs: number;
  horizonSteps: number;
}

interface End extends Pick<RangePassing, 'series' | 'side' | 'limit'> {
  key: string;
  range: string;
  value: number;
}

/** Forecasts, once a step, which series leave a range at either end. It remembers nothing that it cannot read again. */
export class RangeForecaster {
  readonly #options: RangeForecasterOptions;
  readonly #present: Reads<[]>;
  readonly #past: Reads<[]>;
  /** When each was seen last. */
  readonly #followed = new Map<string, number>();
  /** End of the last step done. */
  #last: number | null = null;

  constructor(options: RangeForecasterOptions) {
    this.#options = options;
    this.#present = readsWithin(options.store, { lane: 'present' });
    this.#past = readsWithin(options.store, { lane: 'background' });
  }

  /** By the range's id; of a range some of whose series it has not started with yet, the others. */
  async step(end: number, ranges: readonly Range[]): Promise<Map<string, RangeForecast>> {
    const { stepMs, thread } = this.#options;
    const isNext = this.#last === end - stepMs;
    this.#last = null;
    await this.#forget((seen) => !isNext || seen < end - mostMissing * stepMs);
    const ends = new Map<string, End>();
    const found = new Map<string, RangeForecast>();
    for (const range of ranges) {
      const present = await this.#endsOf(range, end, mostEnds - ends.size);
      found.set(range.id, { passings: [], problem: typeof present === 'string' ? present : null });
      if (typeof present !== 'string') for (const each of present) ends.set(each.key, each);
    }
    await this.#takeIn([...ends.values()], end);
    const values = new Map([...ends.values()].map(({ key, value }) => [key, value]));
    const { passings } = await thread.call({ ranges: { values } });
    for (const { key, ...passing } of passings) {
      const { range, series, side, limit } = ends.get(key) as End;
      found.get(range)?.passings.push({ series, side, limit, ...passing });
    }
    this.#last = end;
    return found;
  }

  async #forget(isGone: (seenAt: number) => boolean): Promise<void> {
    const remove = [...this.#followed].filter(([, seenAt]) => isGone(seenAt)).map(([key]) => key);
    if (remove.length > 0) await this.#options.thread.call({ ranges: { remove } });
    for (const key of remove) this.#followed.delete(key);
  }

  /** Both ends of each series that has a value in the step; or why there are none. */
  async #endsOf({ id, selector, min, max }: Range, end: number, room: number): Promise<End[] | string> {
    const { stepMs } = this.#options;
    const found = await this.#select(selector, { from: end - stepMs - 1, to: end - 1 });
    if (typeof found === 'string') return found;
    const limits = [{ side: 'above', limit: max } as const, { side: 'below', limit: min } as const].filter(
      (each) => each.limit !== null,
    );
    const text = `and predictions are made for ${mostSeries} of an SLA, ${mostEnds} ends of all; name fewer series (host="web-01")`;
    if (found.length > mostSeries || found.length * limits.length > room)
      return `these are ${found.length} series, ${text}`;
    return found.flatMap(({ series, samples }) => {
      const value = samples.filter(isKnown).at(-1)?.value;
      if (value === undefined) return [];
      return limits.map(({ side, limit }) => ({
        key: `${id} ${side} ${limit} ${seriesKey(series)}`,
        range: id,
        series,
        side,
        limit: limit as number,
        value,
      }));
    });
  }

  async #select(selector: string, window: { from: number; to: number }) {
    try {
      return await this.#present.select({ ...window, series: parseSelector(selector), stepMs: this.#options.stepMs });
    } catch (error) {
      if (error instanceof MonitorError && error.code === 'invalid') return error.message;
      throw error;
    }
  }

  async #takeIn(ends: readonly End[], end: number): Promise<void> {
    const { clock, stepMs, thread } = this.#options;
    const until = clock.monotonic() + stepMs * takeInShare;
    const fresh = ends.filter(({ key }) => !this.#followed.has(key));
    for (let at = 0; at < fresh.length && (at === 0 || clock.monotonic() < until); at += seriesPerQuery) {
      const group = fresh.slice(at, at + seriesPerQuery);
      const add = await this.#withPast(group, end - stepMs);
      for (const { key } of group) this.#followed.set(key, end);
      await thread.call({ ranges: { add } });
    }
    for (const { key } of ends) if (this.#followed.has(key)) this.#followed.set(key, end);
  }

  async #withPast(group: readonly End[], end: number): Promise<NewRangeEnd[]> {
    const { stepMs, horizonSteps } = this.#options;
    const window = { from: end - pastSteps * stepMs - 1, to: end - 1 };
    const found = await this.#past.select({ ...window, series: group.map(({ series }) => series), stepMs });
    return group.map(({ key, series, side, limit }, index) => ({
      key,
      metric: subjectOf(series).metric,
      side,
      shape: { threshold: limit, horizonSteps, stepSeconds: stepMs / 1000 },
      past: regularPast(found[index]?.samples.filter(isKnown) ?? [], end, stepMs),
    }));
  }
}
