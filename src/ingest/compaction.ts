import type { Clock } from '../core/clock.ts';
import type { Store } from '../core/store.ts';
import { every } from '../platform/every.ts';
import type { Log } from '../platform/log.ts';

const everyMs = 10 * 60_000;

/** Lets the store put what is over where it costs least, now and then. A clock that is wrong costs only space. */
export class Compaction {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #log: Log;
  #stop: () => void = () => undefined;

  constructor(store: Store, clock: Clock, log: Log) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
  }

  start(): void {
    const failed = (error: unknown) => this.#log.error({ err: error }, 'cannot close the hours that are over');
    this.#stop = every(everyMs, () => this.#store.compact(this.#clock.now()), failed, { immediately: true });
  }

  close(): void {
    this.#stop();
  }
}
