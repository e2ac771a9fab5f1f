import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { MonitorClient, PutOutcome } from '../client.ts';
import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { messageOf } from '../core/error.ts';
import type { Spool, SpoolEntry } from './spool.ts';

const compress = promisify(gzip);
const decompress = promisify(gunzip);

/** A backlog goes in arrays of at most so many snapshots and so many decoded bytes: the server takes 1 MiB. */
const maxBatch = { snapshots: 100, bytes: 900_000 };
/** Decoded size of one spooled snapshot beyond which it is damage, not data. */
const maxDecodedBytes = 16 * 1024 * 1024;
const backoff = { firstMs: 1000, capMs: 60_000, deniedMs: 60_000, longestRetryAfterMs: 600_000 };

export type Verdict = 'stored' | 'refused' | 'denied' | 'later';

/** What the server's answer means for a snapshot in the spool. */
export function verdictOf(status: number | null): Verdict {
  if (status === null) return 'later';
  if (status >= 200 && status < 300) return 'stored';
  if (status === 400 || status === 413 || status === 422) return 'refused';
  if (status === 401 || status === 403) return 'denied';
  return 'later';
}

/** Full jitter over an exponential delay, never before the server's own Retry-After. */
export function backoffMs(failures: number, retryAfterMs: number | null, random: number): number {
  const ceiling = Math.min(backoff.capMs, backoff.firstMs * 2 ** Math.max(0, failures - 1));
  return Math.min(backoff.longestRetryAfterMs, retryAfterMs ?? 0) + random * ceiling;
}

export interface SenderLog {
  info(message: string): void;
  warn(message: string): void;
}

/**
 * Empties the spool into the server: the newest snapshot first, since that is what alarms are made of,
 * then the backlog in arrays from its oldest on. A snapshot leaves the spool on the server's
 * acknowledgement and for nothing else.
 */
export class Sender {
  stored = 0;
  readonly #spool: Spool;
  readonly #client: MonitorClient;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #log: SenderLog;
  readonly #stopped = new AbortController();
  /** Ends a request under way once the grace of a stop is over. */
  readonly #cut = new AbortController();
  #wake: () => void = () => undefined;
  #running: Promise<void> | null = null;
  #failures = 0;
  #awaySince: number | null = null;
  #batch = maxBatch.snapshots;

  constructor(spool: Spool, client: MonitorClient, clock: Clock, random: () => number, log: SenderLog) {
    this.#spool = spool;
    this.#client = client;
    this.#clock = clock;
    this.#random = random;
    this.#log = log;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** There is something new in the spool. */
  wake(): void {
    this.#wake();
  }

  /**
   * For a snapshot that could not be spooled, as on a full disk: sends it past the spool.
   * @returns whether the server has it now
   */
  async sendAtOnce(body: Uint8Array): Promise<boolean> {
    const outcome = await this.#client.put('/v1/usage', body, this.#clock.now(), this.#cut.signal);
    return verdictOf(outcome.status) === 'stored';
  }

  /** Tries once more to deliver everything, for at most `graceMs`. What is left stays in the spool. */
  async close(graceMs: number): Promise<void> {
    this.#stopped.abort();
    this.#wake();
    const grace = setTimeout(() => this.#cut.abort(), graceMs);
    await this.#running;
    for (let entries = await this.#spool.list(); entries.length > 0; entries = await this.#spool.list()) {
      if (this.#cut.signal.aborted || !(await this.#step(entries)).ok) {
        this.#log.warn(`${entries.length} snapshots stay in the spool and will be sent after the next start`);
        break;
      }
    }
    clearTimeout(grace);
    await this.#client.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const news = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const { ok, waitMs } = await this.#round().catch((error: unknown) => {
        this.#log.warn(
          `the spool cannot be read: ${messageOf(error)}; trying again in ${formatDuration(backoff.capMs)}`,
        );
        return { ok: false, waitMs: backoff.capMs };
      });
      if (ok && waitMs === Infinity) await news;
      else if (!ok) await sleep(waitMs, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
    }
  }

  async #round(): Promise<{ ok: boolean; waitMs: number }> {
    const entries = await this.#spool.list();
    return entries.length === 0 ? { ok: true, waitMs: Infinity } : this.#step(entries);
  }

  /** One request: the newest snapshot alone, or, when the newest went through, a batch of the oldest. */
  async #step(entries: readonly SpoolEntry[]): Promise<{ ok: boolean; waitMs: number }> {
    const newest = entries.at(-1) as SpoolEntry;
    const live = await this.#deliver([newest]);
    if (!live.ok || entries.length === 1) return live;
    const storedBefore = this.stored;
    const backlog = await this.#deliver(entries.slice(0, Math.min(this.#batch, entries.length - 1)));
    if (this.stored > storedBefore) this.#batch = Math.min(maxBatch.snapshots, this.#batch * 2);
    return backlog;
  }

  async #deliver(wanted: readonly SpoolEntry[]): Promise<{ ok: boolean; waitMs: number }> {
    const { entries, body } = await this.#load(wanted);
    if (entries.length === 0) return { ok: true, waitMs: 0 };
    const outcome = await this.#client.put('/v1/usage', body, this.#clock.now(), this.#cut.signal);
    switch (verdictOf(outcome.status)) {
      case 'stored':
        for (const entry of entries) await this.#spool.remove(entry);
        this.stored += entries.length;
        this.#isBack();
        return { ok: true, waitMs: 0 };
      case 'refused':
        return this.#refused(entries, outcome);
      case 'denied':
        this.#isAway(`refuses this collector (${outcome.status}): ${outcome.detail}`);
        return { ok: false, waitMs: backoff.deniedMs * (1 + this.#random()) };
      default:
        this.#isAway(
          outcome.status === null
            ? `does not answer: ${outcome.detail}`
            : `answers ${outcome.status}: ${outcome.detail}`,
        );
        return { ok: false, waitMs: backoffMs(++this.#failures, outcome.retryAfterMs, this.#random()) };
    }
  }

  /** Reads the wanted snapshots; one that cannot be decoded is set aside and costs only itself. */
  async #load(wanted: readonly SpoolEntry[]): Promise<{ entries: SpoolEntry[]; body: Uint8Array }> {
    const entries: SpoolEntry[] = [];
    const texts: string[] = [];
    let raw: Uint8Array = new Uint8Array(0);
    let bytes = 0;
    for (const entry of wanted) {
      const data = await this.#spool.read(entry).catch(nullWhenMissing);
      const text = data && (await this.#decode(entry, data));
      if (data === null || text === null) continue;
      bytes += Buffer.byteLength(text);
      if (entries.length > 0 && bytes > maxBatch.bytes) break;
      entries.push(entry);
      texts.push(text);
      raw = data;
    }
    return { entries, body: wanted.length === 1 ? raw : await compress(`[${texts.join(',')}]`) };
  }

  async #decode(entry: SpoolEntry, data: Uint8Array): Promise<string | null> {
    try {
      const text = (await decompress(data, { maxOutputLength: maxDecodedBytes })).toString();
      JSON.parse(text);
      return text;
    } catch {
      this.#log.warn(`the spooled snapshot ${entry.file} is damaged and was set aside`);
      await this.#spool.quarantine(entry);
      return null;
    }
  }

  async #refused(entries: readonly SpoolEntry[], outcome: PutOutcome): Promise<{ ok: boolean; waitMs: number }> {
    const [only] = entries;
    if (entries.length === 1 && only) {
      this.#log.warn(`the server refused the snapshot ${only.file} for good and it was set aside: ${outcome.detail}`);
      await this.#spool.quarantine(only);
    } else {
      // Some of them: find out which by sending fewer at once.
      this.#batch = Math.max(1, Math.floor(entries.length / 2));
    }
    return { ok: true, waitMs: 0 };
  }

  #isAway(how: string): void {
    if (this.#awaySince !== null) return;
    this.#awaySince = this.#clock.monotonic();
    this.#log.warn(`${this.#client.server} ${how}; snapshots are kept in the spool until it is back`);
  }

  #isBack(): void {
    this.#failures = 0;
    if (this.#awaySince === null) return;
    this.#log.info(
      `${this.#client.server} is back after ${formatDuration(this.#clock.monotonic() - this.#awaySince)}; sending what was kept`,
    );
    this.#awaySince = null;
  }
}

function nullWhenMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
