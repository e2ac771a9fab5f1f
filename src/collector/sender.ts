import { setTimeout as sleepFor } from 'node:timers/promises';
import type { PutOutcome } from '../client/monitor-client.ts';
import type { Clock } from '../core/clock.ts';
import type { DesiredSettings } from '../core/collector-settings.ts';
import { formatDuration } from '../core/duration.ts';
import { messageOf } from '../core/error.ts';
import { ConditionReporter } from '../platform/condition-reporter.ts';
import type { Log } from '../platform/log.ts';
import { WakeSignal } from '../platform/wake-signal.ts';
import type { Spool, SpoolEntry } from './spool.ts';
import { maxBatch, SpooledBatches } from './spooled-batch.ts';
import { howAway, retryMs, verdictOf } from './verdict.ts';

const deniedMs = 60_000;
/** What is from the future, by the server's clock or by this one, is tried again after this. */
const earlyMs = 10 * 60_000;
/** A server may not ask for longer than this. */
const longestEarlyMs = 3_600_000;

/** What the sender needs of the HTTP client. */
export interface SnapshotReceiver {
  readonly server: string;
  put(path: string, gzip: Uint8Array, now: number, signal?: AbortSignal): Promise<PutOutcome>;
  close(): Promise<void>;
}

export interface SenderOptions {
  spool: Spool;
  client: SnapshotReceiver;
  clock: Clock;
  random: () => number;
  log: Pick<Log, 'info' | 'warn'>;
  /** Is told what the server wants, with every answer that says so. */
  follow?: (desired: DesiredSettings) => void;
  /** Only a simulation has another one. */
  sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Empties the spool into the server on two ways side by side: each new snapshot alone and at once, since
 * that is what alarms are made of, and what has been left behind in arrays from its oldest on. A snapshot
 * leaves the spool on the server's acknowledgement and for nothing else.
 */
export class Sender {
  readonly #options: SenderOptions;
  readonly #sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly #stopped = new AbortController();
  /** Ends requests under way once the grace of a stop is over. */
  readonly #cut = new AbortController();
  /** To be sent next, alone. */
  #fresh: SpoolEntry | null = null;
  /** On its way alone. The backlog leaves out both. */
  #live: SpoolEntry | null = null;
  readonly #news = new WakeSignal();
  #running: Promise<void> | null = null;
  #draining: Promise<void> | null = null;
  #liveFailures = 0;
  readonly #absence: ConditionReporter;
  readonly #unreadableSpool: ConditionReporter;
  /** Said already: another reason than that nobody answers. */
  #isDenied = false;
  #batch = maxBatch.snapshots;
  /** The server calls snapshots of this time and later early: they wait, and nothing waits behind them. */
  #earlyFrom = Infinity;
  #earlyUntil = 0;
  readonly #batches: SpooledBatches;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#batches = new SpooledBatches(options.spool, options.log);
    this.#absence = new ConditionReporter(() => options.clock.monotonic());
    this.#unreadableSpool = new ConditionReporter(() => options.clock.monotonic());
    this.#sleep = options.sleep ?? ((ms, signal) => sleepFor(ms, undefined, { signal }));
  }

  start(): void {
    this.#fresh = this.#options.spool.newest() ?? null;
    this.#running = this.#run();
  }

  /** There is a new snapshot in the spool. */
  wake(entry: SpoolEntry): void {
    this.#fresh = entry;
    this.#news.tell();
  }

  /**
   * For a snapshot that could not be spooled, as on a full disk: sends it past the spool.
   * @returns what became of it at the server; null: it does not have it
   */
  async sendAtOnce(body: Uint8Array): Promise<'stored' | 'expired' | null> {
    const outcome = await this.#put(body, 1);
    if (verdictOf(outcome, 1) !== 'stored') return null;
    return outcome.taken?.expired === 1 ? 'expired' : 'stored';
  }

  /** Tries once more to deliver everything, for at most `graceMs`. What is left stays in the spool. */
  async close(graceMs: number): Promise<void> {
    const { spool, client, log } = this.#options;
    this.#stopped.abort();
    this.#news.tell();
    const grace = setTimeout(() => this.#cut.abort(), graceMs);
    await this.#running;
    await this.#draining;
    while (!this.#cut.signal.aborted) {
      const entries = spool.oldest(this.#batch, (entry) => this.#mustWait(entry));
      if (entries.length === 0 || (await this.#deliver(entries, 1)) > 0) break;
    }
    clearTimeout(grace);
    const { spooled } = spool.counts;
    if (spooled > 0) log.warn(`${spooled} snapshots stay in the spool and will be sent after the next start`);
    await client.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const news = this.#news.next();
      if (this.#fresh !== null) await this.#sendFresh(this.#fresh);
      else {
        this.#drainAside();
        await news;
      }
    }
  }

  /** While the newest does not go through nothing else is tried, and then again the one that is newest by then. */
  async #sendFresh(entry: SpoolEntry): Promise<void> {
    this.#fresh = null;
    this.#live = entry;
    const waitMs = await this.#deliver([entry], this.#liveFailures + 1);
    this.#live = null;
    this.#liveFailures = waitMs > 0 ? this.#liveFailures + 1 : 0;
    if (waitMs === 0) return;
    await this.#pause(waitMs);
    this.#fresh ??= this.#options.spool.newest() ?? null;
  }

  #drainAside(): void {
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = null;
    });
  }

  async #drain(): Promise<void> {
    let failures = 0;
    if (this.#options.clock.monotonic() >= this.#earlyUntil) this.#earlyFrom = Infinity;
    while (!this.#stopped.signal.aborted && this.#liveFailures === 0) {
      const entries = this.#options.spool.oldest(this.#batch, (entry) => this.#isAlone(entry) || this.#mustWait(entry));
      if (entries.length === 0) return;
      const waitMs = await this.#deliver(entries, failures + 1);
      failures = waitMs > 0 ? failures + 1 : 0;
      if (waitMs > 0) await this.#pause(waitMs);
    }
  }

  /** On its way by itself, or next. */
  #isAlone(entry: SpoolEntry): boolean {
    return entry === this.#live || entry === this.#fresh;
  }

  /** Until its time has come, or until it is known why it cannot be read. */
  #mustWait(entry: SpoolEntry): boolean {
    return entry.time >= this.#earlyFrom || this.#batches.isUnreadable(entry);
  }

  async #pause(ms: number): Promise<void> {
    await this.#sleep(ms, this.#stopped.signal).catch(() => undefined);
  }

  /** Resolves with 0, or with the milliseconds to wait before the next try. */
  async #deliver(wanted: readonly SpoolEntry[], failures: number): Promise<number> {
    try {
      const { entries, body } = await this.#batches.load(wanted);
      this.#unreadableSpool.end(() => this.#options.log.info('the spool can be used again'));
      if (entries.length === 0) return 0;
      const outcome = await this.#put(body, entries.length);
      return await this.#settle(entries, outcome, failures);
    } catch (error) {
      const why = `the spool cannot be used: ${messageOf(error)}; trying again within ${formatDuration(deniedMs)}`;
      this.#unreadableSpool.begin(() => this.#options.log.warn(why));
      return deniedMs * this.#options.random();
    }
  }

  async #settle(entries: readonly SpoolEntry[], outcome: PutOutcome, failures: number): Promise<number> {
    const { status, detail, taken } = outcome;
    switch (verdictOf(outcome, entries.length)) {
      case 'stored':
        await this.#options.spool.leave(entries, 'stored', taken?.expired ?? 0);
        this.#batch = Math.min(maxBatch.snapshots, this.#batch * 2);
        if (entries.some(({ time }) => time >= this.#earlyFrom)) this.#earlyFrom = Infinity;
        this.#reportRecovered();
        return 0;
      case 'refused':
        await this.#refused(entries, detail);
        return 0;
      case 'early':
        this.#reportRecovered();
        this.#deferEarly(entries, outcome);
        return 0;
      case 'denied':
        if (!this.#isDenied) this.#absence.end();
        this.#isDenied = true;
        this.#reportUnreachable(`refuses this collector (${status}): ${detail}`);
        return deniedMs * (1 + this.#options.random());
      default:
        // Perhaps it is more than the line carries in time.
        if (status === null) this.#batch = Math.max(1, Math.floor(entries.length / 2));
        this.#reportUnreachable(howAway(outcome));
        return retryMs(failures, outcome, this.#options.random());
    }
  }

  async #put(body: Uint8Array, sent: number): Promise<PutOutcome> {
    const { client, clock, follow } = this.#options;
    const outcome = await client.put('/v1/usage', body, clock.now(), this.#cut.signal);
    // Of a portal in between, and of a backlog of several hosts, the absence of a wish says nothing.
    if (sent === 1 && outcome.desired !== undefined && verdictOf(outcome, sent) === 'stored') follow?.(outcome.desired);
    return outcome;
  }

  async #refused(entries: readonly SpoolEntry[], detail: string): Promise<void> {
    const [only] = entries;
    if (entries.length === 1 && only) {
      this.#options.log.warn(
        `the server refused snapshot ${only.sequence} for good and it was set aside in the spool: ${detail}`,
      );
      await this.#options.spool.leave([only], 'quarantined');
    } else this.#sendFewer(entries);
  }

  /** Its own clock or the server's is wrong, and which one only time tells: it waits, and holds up nothing. */
  #deferEarly(entries: readonly SpoolEntry[], { detail, retryAfterMs }: PutOutcome): void {
    const [only] = entries;
    if (entries.length > 1 || only === undefined) {
      this.#sendFewer(entries);
      return;
    }
    if (this.#earlyFrom === Infinity) {
      this.#options.log.warn(`snapshots wait in the spool until a clock has been put right: ${detail}`);
      const waitMs = Math.min(longestEarlyMs, Math.max(earlyMs, retryAfterMs ?? 0));
      this.#earlyUntil = this.#options.clock.monotonic() + waitMs;
    }
    this.#earlyFrom = Math.min(this.#earlyFrom, only.time);
  }

  /** Some of them: finds out which. */
  #sendFewer(entries: readonly SpoolEntry[]): void {
    this.#batch = Math.max(1, Math.floor(entries.length / 2));
  }

  #reportUnreachable(how: string): void {
    const { client, log } = this.#options;
    this.#absence.begin(() => log.warn(`${client.server} ${how}; snapshots are kept in the spool until it is back`));
  }

  #reportRecovered(): void {
    this.#isDenied = false;
    const { client, log } = this.#options;
    this.#absence.end((ms) => log.info(`${client.server} is back after ${formatDuration(ms)}; sending what was kept`));
  }
}
