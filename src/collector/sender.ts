import { setTimeout as sleepFor } from 'node:timers/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { PutOutcome } from '../client/monitor-client.ts';
import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { messageOf } from '../core/error.ts';
import { backoffMs } from '../platform/back-off.ts';
import type { Log } from '../platform/log.ts';
import { SayOnce } from '../platform/say-once.ts';
import type { Spool, SpoolEntry } from './spool.ts';

/** A backlog goes in arrays of at most so many snapshots and so many decoded bytes: the server takes 1 MiB. */
const maxBatch = { snapshots: 100, bytes: 900_000 };
/** Decoded size of one spooled snapshot beyond which it is damage, not data. */
const maxDecodedBytes = 16 * 1024 * 1024;
const deniedMs = 60_000;
/** What is from the future, by the server's clock or by this one, is tried again after this. */
const earlyMs = 10 * 60_000;
/** A server may not ask for longer than this. */
const longestEarlyMs = 3_600_000;
/** There is something else in the place of a snapshot's file. */
const strangeErrors: readonly (string | undefined)[] = ['EINVAL', 'ELOOP', 'EISDIR', 'ENXIO', 'ENODEV'];
/** The file, or all of the folder: that shows when another one is read. */
const fileErrors: readonly (string | undefined)[] = ['EACCES', 'EPERM', 'EIO'];
/** All collectors lose a server at the same moment: their first tries again are spread over this. */
const firstRetryMs = 15_000;

export type Verdict = 'stored' | 'refused' | 'denied' | 'early' | 'later';

/**
 * What an answer to so many snapshots means for them. Only our own servers' answers mean that they are stored: a
 * portal in between says 200 to anything.
 */
export function verdictOf({ status, taken = null }: Pick<PutOutcome, 'status' | 'taken'>, sent: number): Verdict {
  if (status === 204) return 'stored';
  if (status === 200 && taken !== null && taken.stored + taken.expired === sent) return 'stored';
  if (status === 425) return 'early';
  if (status === 400 || status === 413 || status === 422) return 'refused';
  if (status === 401 || status === 403) return 'denied';
  return 'later';
}

/** Milliseconds until the next try after so many failures in a row, with or without an answer. */
export function retryMs(failures: number, outcome: PutOutcome, random: number): number {
  if (outcome.status === null && failures === 1) return random * firstRetryMs;
  return backoffMs(failures, outcome.retryAfterMs, random);
}

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
  #wake: () => void = () => undefined;
  #running: Promise<void> | null = null;
  #draining: Promise<void> | null = null;
  #liveFailures = 0;
  readonly #absence: SayOnce;
  /** Said already: another reason than that nobody answers. */
  #isDenied = false;
  #batch = maxBatch.snapshots;
  /** The server calls snapshots of this time and later early: they wait, and nothing waits behind them. */
  #earlyFrom = Infinity;
  #earlyUntil = 0;
  /** Sequences of files that could not be read, and not yet told from a folder that cannot. */
  readonly #unreadable = new Set<number>();

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#absence = new SayOnce(() => options.clock.monotonic());
    this.#sleep = options.sleep ?? ((ms, signal) => sleepFor(ms, undefined, { signal }));
  }

  start(): void {
    this.#fresh = this.#options.spool.newest() ?? null;
    this.#running = this.#run();
  }

  /** There is a new snapshot in the spool. */
  wake(entry: SpoolEntry): void {
    this.#fresh = entry;
    this.#wake();
  }

  /**
   * For a snapshot that could not be spooled, as on a full disk: sends it past the spool.
   * @returns what became of it at the server; null: it does not have it
   */
  async sendAtOnce(body: Uint8Array): Promise<'stored' | 'expired' | null> {
    const outcome = await this.#put(body);
    if (verdictOf(outcome, 1) !== 'stored') return null;
    return outcome.taken?.expired === 1 ? 'expired' : 'stored';
  }

  /** Tries once more to deliver everything, for at most `graceMs`. What is left stays in the spool. */
  async close(graceMs: number): Promise<void> {
    const { spool, client, log } = this.#options;
    this.#stopped.abort();
    this.#wake();
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
      const news = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
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
  #mustWait({ time, sequence }: SpoolEntry): boolean {
    return time >= this.#earlyFrom || this.#unreadable.has(sequence);
  }

  async #pause(ms: number): Promise<void> {
    await this.#sleep(ms, this.#stopped.signal).catch(() => undefined);
  }

  /** Resolves with 0, or with the milliseconds to wait before the next try. */
  async #deliver(wanted: readonly SpoolEntry[], failures: number): Promise<number> {
    try {
      const { entries, body } = await this.#load(wanted);
      if (entries.length === 0) return 0;
      const outcome = await this.#put(body);
      return await this.#settle(entries, outcome, failures);
    } catch (error) {
      this.#isAway(`cannot be sent to: the spool cannot be read: ${messageOf(error)}`);
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
        this.#isBack();
        return 0;
      case 'refused':
        await this.#refused(entries, detail);
        return 0;
      case 'early':
        this.#isBack();
        this.#isEarly(entries, outcome);
        return 0;
      case 'denied':
        if (!this.#isDenied) this.#absence.end();
        this.#isDenied = true;
        this.#isAway(`refuses this collector (${status}): ${detail}`);
        return deniedMs * (1 + this.#options.random());
      default:
        // Perhaps it is more than the line carries in time.
        if (status === null) this.#batch = Math.max(1, Math.floor(entries.length / 2));
        this.#isAway(howAway(outcome));
        return retryMs(failures, outcome, this.#options.random());
    }
  }

  #put(body: Uint8Array): Promise<PutOutcome> {
    const { client, clock } = this.#options;
    return client.put('/v1/usage', body, clock.now(), this.#cut.signal);
  }

  /** Reads the wanted snapshots; one that cannot be decoded is set aside and costs only itself. */
  async #load(wanted: readonly SpoolEntry[]): Promise<{ entries: SpoolEntry[]; body: Uint8Array }> {
    const entries: SpoolEntry[] = [];
    const texts: string[] = [];
    let raw: Uint8Array = new Uint8Array(0);
    let bytes = 0;
    for (const entry of wanted) {
      const data = await this.#read(entry);
      const text = data && (await this.#decode(entry, data));
      if (data === null || text === null) continue;
      bytes += Buffer.byteLength(text);
      if (entries.length > 0 && bytes > maxBatch.bytes) break;
      entries.push(entry);
      texts.push(text);
      raw = data;
    }
    return { entries, body: wanted.length === 1 ? raw : gzipSync(`[${texts.join(',')}]`) };
  }

  /** A file that somebody has removed is a snapshot lost; one that cannot be read is set aside, whatever it is. */
  async #read(entry: SpoolEntry): Promise<Uint8Array | null> {
    const { spool } = this.#options;
    try {
      const data = await spool.read(entry);
      this.#unreadable.delete(entry.sequence);
      await this.#setUnreadableAside();
      return data;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') await spool.leave([entry], 'dropped');
      else if (strangeErrors.includes(code)) await this.#setAside(entry, messageOf(error));
      else if (fileErrors.includes(code)) this.#unreadable.add(entry.sequence);
      else throw error;
      return null;
    }
  }

  /** Another one could be read: it is these files, and not all of the folder. */
  async #setUnreadableAside(): Promise<void> {
    if (this.#unreadable.size === 0) return;
    const { spool } = this.#options;
    const entries = spool.oldest(Infinity, ({ sequence }) => !this.#unreadable.has(sequence));
    this.#unreadable.clear();
    for (const entry of entries) {
      const error = await spool.read(entry).then(() => null, messageOf);
      if (error !== null) await this.#setAside(entry, error);
    }
  }

  async #setAside(entry: SpoolEntry, why: string): Promise<void> {
    this.#options.log.warn(`spooled snapshot ${entry.sequence} cannot be read and was set aside: ${why}`);
    await this.#options.spool.leave([entry], 'quarantined');
  }

  async #decode(entry: SpoolEntry, data: Uint8Array): Promise<string | null> {
    try {
      return decodeSpooled(data);
    } catch {
      this.#options.log.warn(`spooled snapshot ${entry.sequence} is damaged and was set aside`);
      await this.#options.spool.leave([entry], 'quarantined');
      return null;
    }
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
  #isEarly(entries: readonly SpoolEntry[], { detail, retryAfterMs }: PutOutcome): void {
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

  #isAway(how: string): void {
    const { client, log } = this.#options;
    this.#absence.begin(() => log.warn(`${client.server} ${how}; snapshots are kept in the spool until it is back`));
  }

  #isBack(): void {
    this.#isDenied = false;
    const { client, log } = this.#options;
    this.#absence.end((ms) => log.info(`${client.server} is back after ${formatDuration(ms)}; sending what was kept`));
  }
}

function howAway({ status, detail }: PutOutcome): string {
  if (status === null) return `does not answer: ${detail}`;
  if (status < 300) return `answers ${status}, and not as amberwatch does; is there a portal or proxy in between?`;
  return `answers ${status}: ${detail}`;
}

/**
 * The JSON text of a spooled file.
 * @throws when it is damaged: gzip has a checksum over all of it
 */
export function decodeSpooled(data: Uint8Array): string {
  const text = gunzipSync(data, { maxOutputLength: maxDecodedBytes }).toString();
  JSON.parse(text);
  return text;
}
