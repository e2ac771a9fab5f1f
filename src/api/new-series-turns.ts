import { setTimeout as sleep } from 'node:timers/promises';
import { MonitorError } from '../core/error.ts';

/** Those that wait: what comes last would wait for some twenty seconds. */
const mostWaiting = 50;
const longestRestMs = 1000;
const retryAfterSeconds = 5;

/**
 * Series that nobody has had before cost a store many times what their samples do, InfluxDB most of all. So what brings
 * some is written one body after the other, and two thirds of the time are everybody else's.
 */
export class NewSeriesTurns {
  readonly #monotonic: () => number;
  #tail: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** @throws MonitorError `unavailable` when too many wait, or what the work throws */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= mostWaiting)
      throw new MonitorError('unavailable', 'too many new series are being written at once; send again later', {
        retryAfterSeconds,
      });
    this.#waiting++;
    const before = this.#tail;
    const done = before.then(() => this.#timed(work));
    this.#tail = done.then(
      ({ tookMs }) => sleep(Math.min(longestRestMs, 2 * tookMs)),
      () => undefined,
    );
    try {
      return (await done).result;
    } finally {
      this.#waiting--;
    }
  }

  async #timed<T>(work: () => Promise<T>): Promise<{ result: T; tookMs: number }> {
    const begun = this.#monotonic();
    const result = await work();
    return { result, tookMs: this.#monotonic() - begun };
  }
}
