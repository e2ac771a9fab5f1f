import type { Clock } from '../core/clock.ts';
import type { Store } from '../core/store.ts';
import type { ServerClock } from '../hosts/server-clock.ts';
import { every } from '../platform/every.ts';
import type { Log } from '../platform/log.ts';

const everyMs = 10 * 60_000;
export const confirmCommand = 'amberwatch store expire --confirm';

export interface ExpiryOptions {
  store: Store;
  clock: Clock;
  serverClock: ServerClock;
  log: Log;
  retentionMs: number;
}

/** Forgets what is older than the retention, now and then, and only by a clock that is believed. */
export class Expiry {
  readonly #options: ExpiryOptions;
  #stop: () => void = () => undefined;
  #saidReason: string | null = null;

  constructor(options: ExpiryOptions) {
    this.#options = options;
  }

  start(): void {
    const { log } = this.#options;
    const failed = (error: unknown) => log.error({ err: error }, 'cannot expire old snapshots');
    this.#stop = every(everyMs, () => this.expire(), failed, { immediately: true });
  }

  close(): void {
    this.#stop();
  }

  /** Snapshots of before this are not stored any more; while the clock is in doubt every one is. */
  oldestKept(): number {
    const { clock, retentionMs } = this.#options;
    return this.waiting() === null ? clock.now() - retentionMs : Number.NEGATIVE_INFINITY;
  }

  /** Why nothing is expired now, with the remedy; null: as it should be. */
  waiting(): string | null {
    const { serverClock, store } = this.#options;
    const reason = serverClock.doubt()?.reason ?? null;
    if (reason === null) return null;
    if (store.expiresItself) return `${reason}; the store expires by its own clock all the same`;
    return `${reason}: nothing is expired until the clocks of the collectors agree with it, or somebody who knows it is right says: ${confirmCommand}`;
  }

  async expire(): Promise<void> {
    const { store, clock, serverClock, log } = this.#options;
    const waiting = this.waiting();
    if (waiting !== this.#saidReason && waiting !== null)
      log[serverClock.warning() === null ? 'info' : 'warn'](waiting);
    this.#saidReason = waiting;
    if (waiting === null) await store.expire(clock.now());
  }
}
