import { once } from 'node:events';
import { setImmediate, setTimeout as sleepFor } from 'node:timers/promises';
import { MonitorError, messageOf } from '../../core/error.ts';
import type { MetricSample } from '../../core/sample.ts';
import { backoffMs } from '../../platform/back-off.ts';
import { ConditionReporter } from '../../platform/condition-reporter.ts';
import type { Log } from '../../platform/log.ts';

/** Samples of one write: as many as are written within `longestWriteMs`, since other writes may wait for it. */
const atOnce = { least: 100, most: 5000 };
const longestWriteMs = 40;
/** Beyond so many the oldest are dropped: agents cannot be asked to wait. */
const mostWaiting = 100_000;
const closeGraceMs = 3000;
const longestPauseMs = 1000;

/** A sample on its way. */
export type QueuedSample = MetricSample & {
  /** It is being written: from then on it stays as it is. */
  isTaken?: true;
};

export interface SampleQueueOptions {
  /** Resolves with how many are stored. */
  write: (samples: readonly MetricSample[]) => Promise<number>;
  monotonic: () => number;
  log: Pick<Log, 'info' | 'warn'>;
  random?: () => number;
}

/** Who waits for what has become of the samples after one and up to another. */
interface Waiting {
  from: number;
  until: number;
  isStored: boolean;
  tell: (isStored: boolean) => void;
}

/** What agents have sent, on its way into the store: one write at a time, and all that has come meanwhile is the next. */
export class SampleQueue {
  readonly #options: SampleQueueOptions;
  readonly #absence: ConditionReporter;
  readonly #closing = new AbortController();
  #samples: QueuedSample[] = [];
  #waiting: Waiting[] = [];
  #atOnce = atOnce.most;
  #added = 0;
  #settled = 0;
  #writing: Promise<void> | null = null;
  /** Samples that the store did not take. */
  dropped = 0;

  constructor(options: SampleQueueOptions) {
    this.#options = options;
    this.#absence = new ConditionReporter(options.monotonic);
  }

  /** What it becomes until it is taken is what is written. */
  add(sample: QueuedSample): void {
    this.#added++;
    this.#samples.push(sample);
    if (this.#samples.length > mostWaiting) this.#dropOldest();
    this.#writing ??= this.#writeAll();
  }

  /** How many have been added so far. */
  get added(): number {
    return this.#added;
  }

  /** Tells once what has been added since `from`, and what it was added to, is stored or will not be. */
  whenSettled(from: number, tell: (isStored: boolean) => void): void {
    this.#waiting.push({ from, until: this.#added, isStored: true, tell });
    this.#tellSettled();
  }

  /** Writes what is left, as far as that takes only seconds. */
  async close(): Promise<void> {
    const { signal } = this.#closing;
    const grace = setTimeout(() => this.#closing.abort(), closeGraceMs);
    // Also where the store never answers.
    await Promise.race([this.#writing, once(signal, 'abort')]);
    clearTimeout(grace);
    this.#drop(this.#samples.splice(0));
  }

  async #writeAll(): Promise<void> {
    const { monotonic } = this.#options;
    // What comes in the same turn is written together.
    await setImmediate();
    while (this.#samples.length > 0 && !this.#closing.signal.aborted) {
      const begun = monotonic();
      const samples = this.#samples.splice(0, this.#atOnce);
      for (const sample of samples) sample.isTaken = true;
      const lost = samples.length - (await this.#write(samples));
      this.#settle(samples.length, lost);
      const tookMs = monotonic() - begun;
      this.#atOnce = nextAtOnce(this.#atOnce, samples.length, tookMs);
      // Half of the time is everybody else's.
      await sleepFor(Math.min(longestPauseMs, tookMs), undefined, { signal: this.#closing.signal }).catch(
        () => undefined,
      );
    }
    this.#writing = null;
  }

  #tellSettled(): void {
    const open = this.#waiting.findIndex(({ until }) => until > this.#settled);
    const told = this.#waiting.splice(0, open < 0 ? this.#waiting.length : open);
    for (const { isStored, tell } of told) tell(isStored);
  }

  /** Of so many that were added first, so many are lost: whoever waits for some of them is not told that they are stored. */
  #settle(count: number, lost: number): void {
    const before = this.#settled;
    this.#settled += count;
    this.dropped += lost;
    if (lost > 0)
      for (const waiting of this.#waiting)
        if (waiting.until > before && waiting.from <= this.#settled) waiting.isStored = false;
    this.#tellSettled();
  }

  #drop(samples: readonly QueuedSample[]): void {
    for (const sample of samples) sample.isTaken = true;
    if (samples.length > 0) this.#settle(samples.length, samples.length);
  }

  /** Again and again while the store is away. */
  async #write(samples: readonly MetricSample[]): Promise<number> {
    const { write, log, random = Math.random } = this.#options;
    for (let failures = 1; ; failures++) {
      try {
        const stored = await write(samples);
        this.#absence.end(() => log.info('what agents send is stored again'));
        return stored;
      } catch (error) {
        const waiting = `what agents send waits, ${mostWaiting} samples of it at most: ${messageOf(error)}`;
        this.#absence.begin(() => log.warn(waiting));
        const { signal } = this.#closing;
        if (!isOutage(error) || signal.aborted) return 0;
        await sleepFor(backoffMs(failures, null, random()), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  #dropOldest(): void {
    if (this.dropped === 0)
      this.#options.log.warn(`agents send more than is stored: the oldest beyond ${mostWaiting} samples are dropped`);
    this.#drop(this.#samples.splice(0, atOnce.most));
  }
}

/** Fewer after what took too long, more again after what did not. */
function nextAtOnce(before: number, written: number, tookMs: number): number {
  if (tookMs > longestWriteMs) return Math.max(atOnce.least, Math.ceil(written / 2));
  return Math.min(atOnce.most, Math.max(before, 2 * written));
}

function isOutage(error: unknown): boolean {
  return error instanceof MonitorError && ['unavailable', 'timeout', 'internal'].includes(error.code);
}
