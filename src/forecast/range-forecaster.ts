import type { Clock } from '../core/clock.ts';
import { MonitorError } from '../core/error.ts';
import { isKnown } from '../core/sample.ts';
import { parseSelector } from '../core/selector.ts';
import { type Series, seriesKey, subjectOf } from '../core/series.ts';
import { type Reads, readsWithin, type Store } from '../core/store.ts';
import type { ForecastThread } from './forecast-worker-client.ts';
import type { NewRangeEnd, Passing } from './range-pool.ts';
import { regularPast } from './regular-past.ts';
import type { Side } from './side.ts';
import { horizonSteps, pastSteps } from './steps.ts';

/** More series of one range, and of all of them, are not followed: each takes a fifth of a MB, and a tenth of a second to start with. */
const mostSeries = 100;
const mostEnds = 500;
/** Starting with a series takes a tenth of a second: at most this share of a step goes into that. */
const takeInShare = 0.2;
const seriesPerQuery = 10;
/** One that is not there for so many steps is let go of. */
const mostMissing = 60;
/** After a longer pause than this many steps everything is read anew. */
const mostMissed = 30;

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
  /** Why some are not told of, or none. */
  problem: string | null;
}

export interface RangeForecasterOptions {
  store: Store;
  clock: Clock;
  thread: ForecastThread;
  stepMs: number;
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
  #generation = 0;

  constructor(options: RangeForecasterOptions) {
    this.#options = options;
    this.#present = readsWithin(options.store, { lane: 'present' });
    this.#past = readsWithin(options.store, { lane: 'background' });
  }

  /** By the range's id. What cannot be told of one keeps no other from being told. */
  async step(end: number, ranges: readonly Range[]): Promise<Map<string, RangeForecast>> {
    const { stepMs, thread } = this.#options;
    await this.#catchUp(end);
    const found = new Map<string, RangeForecast>();
    const ends: End[] = [];
    for (const range of ranges) {
      const present = await this.#endsOf(range, end, ends.length);
      found.set(range.id, { passings: [], problem: typeof present === 'string' ? present : null });
      if (typeof present !== 'string') ends.push(...present);
    }
    await this.#forget(ends, end - mostMissing * stepMs);
    const problems = await this.#takeIn(ends, end);
    const values = new Map(ends.map(({ key, value }) => [key, value]));
    const { passings } = await thread.call({ ranges: { values } });
    const byKey = new Map(ends.map((each) => [each.key, each]));
    for (const { key, ...passing } of passings) {
      const { range, series, side, limit } = byKey.get(key) as End;
      found.get(range)?.passings.push({ series, side, limit, ...passing });
    }
    for (const [range, problem] of problems) Object.assign(found.get(range) as RangeForecast, { problem });
    this.#last = end;
    return found;
  }

  /** A few steps that were missed are missing values; after more of them, or with a new thread, all begins anew. */
  async #catchUp(end: number): Promise<void> {
    const { stepMs, thread } = this.#options;
    const missed = this.#last === null ? Number.POSITIVE_INFINITY : (end - this.#last) / stepMs - 1;
    const isOther = thread.generation !== this.#generation;
    this.#generation = thread.generation;
    if (isOther) this.#followed.clear();
    else if (missed < 0 || missed > mostMissed) await this.#remove([...this.#followed.keys()]);
    else for (let k = 0; k < missed; k++) await thread.call({ ranges: { values: new Map() } });
    this.#last = null;
  }

  /** What was not seen for long; and, where there would be more than are followed, what was not for longest. */
  async #forget(ends: readonly End[], oldest: number): Promise<void> {
    const present = new Set(ends.map(({ key }) => key));
    const absent = [...this.#followed].filter(([key]) => !present.has(key)).sort(([, a], [, b]) => b - a);
    const gone = absent.filter(([, seenAt], index) => seenAt < oldest || present.size + index >= mostEnds);
    await this.#remove(gone.map(([key]) => key));
  }

  async #remove(keys: readonly string[]): Promise<void> {
    if (keys.length > 0) await this.#options.thread.call({ ranges: { remove: keys } });
    for (const key of keys) this.#followed.delete(key);
  }

  /** Both ends of each series that has a value in the step; or why there are none. */
  async #endsOf(range: Range, end: number, taken: number): Promise<End[] | string> {
    const limits = [{ side: 'above', limit: range.max } as const, { side: 'below', limit: range.min } as const];
    const found = await this.#valuesOf(range.selector, end);
    if (typeof found === 'string') return found;
    const ends = found.flatMap(({ series, value }) =>
      limits.flatMap(({ side, limit }): End[] => {
        if (limit === null) return [];
        const key = `${range.id} ${side} ${limit} ${seriesKey(series)}`;
        return [{ key, range: range.id, series, side, limit, value }];
      }),
    );
    const remedy = 'name fewer series (host="web-01")';
    if (found.length > mostSeries)
      return `these are ${found.length} series, and predictions are made for ${mostSeries} of an SLA; ${remedy}`;
    if (taken + ends.length > mostEnds)
      return `SLAs before it take ${taken} of the ${mostEnds} ends of ranges that are predicted, and it has ${ends.length}; ${remedy}`;
    return ends;
  }

  async #valuesOf(selector: string, end: number): Promise<{ series: Series; value: number }[] | string> {
    const { stepMs } = this.#options;
    try {
      const window = { from: end - stepMs - 1, to: end - 1 };
      const found = await this.#present.select({ ...window, series: parseSelector(selector), stepMs });
      return found.flatMap(({ series, samples }) => {
        const value = samples.filter(isKnown).at(-1)?.value;
        return value === undefined ? [] : [{ series, value }];
      });
    } catch (error) {
      return toldReason(error);
    }
  }

  /** As many as there is time for. @returns why some ranges are not told of as a whole */
  async #takeIn(ends: readonly End[], end: number): Promise<Map<string, string>> {
    const { clock, stepMs, thread } = this.#options;
    const until = clock.monotonic() + stepMs * takeInShare;
    const fresh = ends.filter(({ key }) => !this.#followed.has(key));
    const problems = new Map<string, string>();
    for (let at = 0; at < fresh.length; at += seriesPerQuery) {
      const group = fresh.slice(at, at + seriesPerQuery);
      if (at > 0 && clock.monotonic() >= until) {
        for (const { range } of fresh.slice(at)) problems.set(range, 'some of its series are still being started with');
        break;
      }
      try {
        const add = await this.#withPast(group, end - stepMs);
        await thread.call({ ranges: { add } });
        for (const { key } of group) this.#followed.set(key, end);
      } catch (error) {
        for (const { range } of group) problems.set(range, toldReason(error));
      }
    }
    for (const { key } of ends) if (this.#followed.has(key)) this.#followed.set(key, end);
    return problems;
  }

  async #withPast(group: readonly End[], end: number): Promise<NewRangeEnd[]> {
    const { stepMs } = this.#options;
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

/** For who asks; what nobody expects is not told but thrown. */
function toldReason(error: unknown): string {
  if (error instanceof MonitorError && error.code !== 'internal') return error.message;
  throw error;
}
