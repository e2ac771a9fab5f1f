import { setTimeout as sleep } from 'node:timers/promises';
import { staleIntervals } from '../core/alarm.ts';
import type { Clock } from '../core/clock.ts';
import { MonitorError, messageOf } from '../core/error.ts';
import { type MetricSample, prometheusOwner } from '../core/sample.ts';
import type { TimeWindow } from '../core/store.ts';
import { backoffMs } from '../platform/back-off.ts';
import { ConditionReporter } from '../platform/condition-reporter.ts';
import type { Log } from '../platform/log.ts';
import { LruCache } from '../platform/lru-cache.ts';
import type { MatrixSeries } from '../wire/matrix-stream.ts';
import { largestValue } from '../wire/remote-write.ts';
import { type ScrapedSeries, withSource } from '../wire/scraped-series.ts';
import { BackfillProgress, toSeconds } from './backfill-progress.ts';
import {
  type Fetched,
  missingMs,
  nextMissing,
  notBeyond,
  nothingFetched,
  overlapMs,
  resumed,
  since,
  withPart,
} from './fetched.ts';
import { leaveOut, type NotKept, noHistograms } from './not-kept.ts';
import { type PrometheusAddress, PrometheusApi } from './prometheus-api.ts';
import { TheirClock } from './their-clock.ts';

export interface PrometheusSourceOptions extends PrometheusAddress {
  name: string;
  /** As Prometheus reads them: it names the series. */
  selectors: readonly string[];
  intervalMs: number;
  /** How far back is asked at the first start. */
  backfillMs: number;
}

/** Where it outlasts a restart what of a source is stored. */
export interface FetchedStorage {
  fetched: Fetched | null;
  keep(fetched: Fetched): Promise<void>;
}

export interface PrometheusSourceParts {
  /** Resolves once these are durable, but for those that are not kept. */
  write: (samples: readonly MetricSample[]) => Promise<NotKept>;
  clock: Clock;
  log: Log;
  kept: FetchedStorage;
  /** What was taken before is not kept, by this machine's clock. */
  oldestKept: () => number;
  random?: () => number;
}

/** What is known of a source. Times are epoch milliseconds, by this machine's clock. */
export interface SourceStatus {
  name: string;
  url: string;
  answeredAt: number | null;
  /** Why it does not answer; null: it does. */
  failure: string | null;
  series: number;
  samples: number;
  /** Of its last answer. */
  notKept: NotKept;
  /** How much of its past is still to come. */
  missingMs: number;
}

/** Samples of one write. */
const atOnce = 5000;
/** Series whose newest samples are remembered: they are not written again and again. */
const mostRemembered = 100_000;
const keepEveryMs = 60_000;
/** Of the past so many samples are asked for at once, as far as can be told. */
const samplesPerPart = 150_000;
const part = { firstMs: 60_000, leastMs: 15_000, mostMs: 6 * 3_600_000 };
/** A part of the past has to be here within so long: what is new waits meanwhile. */
const partDeadlineMs = 20_000;
/** A part that so often could not be fetched is given up. */
const mostPartFailures = 5;
/** However often it is asked: one answer may take a while. */
const leastSilenceMs = 30_000;

interface KnownSeries {
  scraped: ScrapedSeries;
  /** Of its samples that are stored, those that will come again. */
  times: Set<number>;
}

/** Fetches what a Prometheus has, by and by, and its past after an outage of either. */
export class PrometheusSource {
  readonly #options: PrometheusSourceOptions;
  readonly #parts: PrometheusSourceParts;
  readonly #api: PrometheusApi;
  readonly #closing = new AbortController();
  readonly #known = new LruCache<string, KnownSeries>(mostRemembered);
  readonly #absence: ConditionReporter;
  readonly #theirs: TheirClock;
  readonly #progress: BackfillProgress;
  #running: Promise<void> = Promise.resolve();
  #fetched: Fetched | null;
  #keptAt = Number.NEGATIVE_INFINITY;
  #isStoreAway = false;
  #partFailures = 0;
  #partMs = part.firstMs;
  #startedAt: number;
  /** Monotonic and wall time. */
  #answered: { at: number; wall: number } | null = null;
  #failure: string | null = null;
  #series = 0;
  #samples = 0;
  #notKept: NotKept = { count: 0, why: null };

  constructor(options: PrometheusSourceOptions, parts: PrometheusSourceParts) {
    this.#options = options;
    this.#parts = parts;
    this.#api = new PrometheusApi(options);
    this.#fetched = parts.kept.fetched;
    this.#startedAt = parts.clock.monotonic();
    this.#absence = new ConditionReporter(() => parts.clock.monotonic());
    this.#theirs = new TheirClock(parts.clock, (skew) => parts.log.warn(`source ${options.name}: ${skew}`));
    this.#progress = new BackfillProgress(parts.clock, (text) => parts.log.info(`source ${options.name}: ${text}`));
  }

  get name(): string {
    return this.#options.name;
  }

  start(): void {
    this.#startedAt = this.#parts.clock.monotonic();
    this.#running = this.#run();
  }

  /** What is under way is left: it is asked for again. */
  async close(): Promise<void> {
    this.#closing.abort(new MonitorError('unavailable', 'the server is closing'));
    await this.#running;
    await this.#keep(0);
    await this.#api.close();
  }

  status(): SourceStatus {
    return {
      name: this.#options.name,
      url: this.#options.url.href,
      answeredAt: this.#answered?.wall ?? null,
      failure: this.#failure,
      series: this.#series,
      samples: this.#samples,
      notKept: this.#notKept,
      missingMs: this.#fetched === null ? 0 : missingMs(this.#fetched),
    };
  }

  /** Monotonic: when it will have been silent for too long. One that did not answer at all was so before the start. */
  get silentFrom(): number {
    const { clock } = this.#parts;
    const heardAt = this.#failure === null ? this.#startedAt : clock.monotonic() - (clock.now() - this.lastHeard);
    const silenceMs = Math.max(leastSilenceMs, staleIntervals * this.#options.intervalMs);
    return (this.#answered?.at ?? Math.min(this.#startedAt, heardAt)) + silenceMs;
  }

  /** When it was heard of last, by this machine's clock. */
  get lastHeard(): number {
    const { clock } = this.#parts;
    const startedAt = clock.now() - (clock.monotonic() - this.#startedAt);
    return this.#answered?.wall ?? Math.min(this.#fetched?.until ?? Infinity, startedAt);
  }

  async #run(): Promise<void> {
    const { clock, random = Math.random } = this.#parts;
    for (let failures = 0; !this.#closing.signal.aborted; ) {
      const begun = clock.monotonic();
      const due = begun + this.#options.intervalMs;
      try {
        await this.#fetchNew();
        await this.#fetchMissing(due);
        failures = 0;
        this.#succeeded();
      } catch (error) {
        failures++;
        this.#failed(error);
      }
      const waitMs = failures > 0 ? backoffMs(failures, null, random()) : due - clock.monotonic();
      await sleep(Math.max(0, waitMs), undefined, { signal: this.#closing.signal }).catch(() => undefined);
    }
  }

  async #fetchNew(): Promise<void> {
    const { backfillMs, intervalMs } = this.#options;
    const { clock, oldestKept } = this.#parts;
    if (!this.#theirs.isKnown) await this.#askTime();
    const now = this.#theirs.now();
    const before = this.#fetched === null ? nothingFetched(now, backfillMs) : resumed(this.#fetched, now, intervalMs);
    const fetched = since(before, oldestKept() + now - clock.now());
    const found = await this.#fetch({ from: fetched.until - overlapMs, to: now }, true);
    this.#series = found.series;
    // By its answer its time may be another than was thought.
    this.#fetched = notBeyond({ ...fetched, until: now }, this.#theirs.now());
    await this.#keep(keepEveryMs);
  }

  async #askTime(): Promise<void> {
    const asked = this.#parts.clock.monotonic();
    this.#theirs.hear(await this.#api.time(this.#closing.signal), asked);
  }

  /** As much of the past as there is time for. What cannot be fetched holds up nothing that is new. */
  async #fetchMissing(due: number): Promise<void> {
    const { clock } = this.#parts;
    while (this.#fetched !== null && !this.#closing.signal.aborted) {
      const window = nextMissing(this.#fetched, this.#partMs);
      this.#progress.tell(missingMs(this.#fetched));
      if (window === null || clock.monotonic() >= due) return;
      const found = await this.#fetchPart(window).catch((error: unknown) => this.#partFailed(window, error));
      if (found === 'later') return;
      if (found === 'shorter') continue;
      this.#partFailures = 0;
      this.#progress.add(found.samples);
      this.#fetched = withPart(this.#fetched, window);
      await this.#keep(keepEveryMs);
    }
  }

  /** It stays a gap once it has failed again and again, and not for want of a place to store it. */
  #partFailed({ from, to }: TimeWindow, error: unknown): { samples: number } | 'later' {
    if (this.#closing.signal.aborted || this.#isStoreAway || ++this.#partFailures < mostPartFailures) return 'later';
    const text = [from, to].map((time) => new Date(time).toISOString()).join(' and ');
    this.#parts.log.warn(
      `source ${this.name}: what it has between ${text} cannot be fetched, and stays a gap: ${messageOf(error)}`,
    );
    return { samples: 0 };
  }

  /** Parts become longer or shorter with what is in them. `shorter`: there is too much in it. */
  async #fetchPart(window: TimeWindow): Promise<{ samples: number } | 'shorter'> {
    try {
      const found = await this.#fetch(window, false);
      const factor = Math.min(2, samplesPerPart / Math.max(1, found.samples));
      this.#partMs = Math.round(Math.min(part.mostMs, Math.max(part.leastMs, this.#partMs * factor)));
      return found;
    } catch (error) {
      const isTooLarge = error instanceof MonitorError && error.code === 'too_large';
      if (!isTooLarge || this.#partMs <= part.leastMs) throw error;
      this.#partMs = Math.max(part.leastMs, Math.round(this.#partMs / 2));
      return 'shorter';
    }
  }

  /** Everything in the window is durable then. */
  async #fetch(window: TimeWindow, isNew: boolean): Promise<{ series: number; samples: number }> {
    const notKept: NotKept = { count: 0, why: null };
    const batch = new Batch((samples) => this.#write(samples, isNew, notKept));
    const found = { series: 0, samples: 0 };
    for (const selector of this.#options.selectors) {
      const asked = this.#parts.clock.monotonic();
      const theirs = await this.#api.samples(
        selector,
        window,
        async (series) => {
          found.series++;
          found.samples += series.values?.length ?? 0;
          await this.#take(series, window, batch, notKept);
        },
        { closing: this.#closing.signal, ...(!isNew && { deadlineMs: partDeadlineMs }) },
      );
      this.#theirs.hear(theirs, asked);
      this.#answered = { at: this.#parts.clock.monotonic(), wall: this.#parts.clock.now() };
    }
    await batch.write();
    if (isNew) this.#notKept = notKept;
    return found;
  }

  async #take(
    { metric, values = [], histograms = [] }: MatrixSeries,
    { from, to }: TimeWindow,
    batch: Batch,
    notKept: NotKept,
  ): Promise<void> {
    const known = this.#seriesOf(metric);
    leaveOut(notKept, { count: histograms.length, why: noHistograms });
    if ('refused' in known.scraped) return leaveOut(notKept, { count: values.length, why: known.scraped.refused });
    const { series, kind } = known.scraped;
    const owner = prometheusOwner(this.#options.name);
    for (const time of known.times) if (time < from) known.times.delete(time);
    for (const [seconds, text] of values) {
      const time = Math.round(seconds * 1000);
      if (time < from || time > to || known.times.has(time)) continue;
      const value = Number(text);
      if (!(Math.abs(value) <= largestValue)) leaveOut(notKept, { count: 1, why: `${text} is no number` });
      else await batch.add({ series, kind, value, time, owner }, known);
    }
  }

  #seriesOf(metric: Record<string, string>): KnownSeries {
    const key = JSON.stringify(metric);
    const known = this.#known.get(key) ?? { scraped: withSource(metric, this.#options.name), times: new Set<number>() };
    this.#known.set(key, known);
    return known;
  }

  /** What is new will come again; for the past, half of the time is everybody else's. */
  async #write(batch: readonly Pending[], isNew: boolean, notKept: NotKept): Promise<void> {
    const { clock, write } = this.#parts;
    const begun = clock.monotonic();
    const lost = await write(batch.map(({ sample }) => sample)).catch((error: unknown) => {
      // It has answered: it is not its fault.
      this.#answered = { at: clock.monotonic(), wall: clock.now() };
      this.#isStoreAway = true;
      throw new MonitorError('unavailable', `what it gives cannot be stored: ${messageOf(error)}`, { cause: error });
    });
    this.#isStoreAway = false;
    leaveOut(notKept, lost);
    this.#samples += batch.length - lost.count;
    if (isNew) for (const { sample, known } of batch) known.times.add(sample.time);
    else await sleep(Math.min(1000, clock.monotonic() - begun));
  }

  async #keep(everyMs: number): Promise<void> {
    const { clock, kept } = this.#parts;
    if (this.#fetched === null || clock.monotonic() - this.#keptAt < everyMs) return;
    this.#keptAt = clock.monotonic();
    // What is not kept is asked for again after a restart.
    await kept.keep(this.#fetched).catch(() => undefined);
  }

  #succeeded(): void {
    const { log } = this.#parts;
    this.#failure = null;
    this.#absence.end((lastedMs) =>
      log.info(
        `source ${this.name} answers again, after ${toSeconds(lastedMs)}; what it has measured meanwhile is fetched`,
      ),
    );
  }

  #failed(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    this.#failure = messageOf(error);
    const { log } = this.#parts;
    this.#absence.begin(() =>
      log.warn(`source ${this.name} (${this.#options.url.href}): ${messageOf(error)}; it is asked again and again`),
    );
  }
}

interface Pending {
  sample: MetricSample;
  known: KnownSeries;
}

/** So many samples are written at once. */
class Batch {
  readonly #write: (batch: readonly Pending[]) => Promise<void>;
  #pending: Pending[] = [];

  constructor(write: (batch: readonly Pending[]) => Promise<void>) {
    this.#write = write;
  }

  async add(sample: MetricSample, known: KnownSeries): Promise<void> {
    this.#pending.push({ sample, known });
    if (this.#pending.length >= atOnce) await this.write();
  }

  async write(): Promise<void> {
    const batch = this.#pending;
    this.#pending = [];
    if (batch.length > 0) await this.#write(batch);
  }
}
