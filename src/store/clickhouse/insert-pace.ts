import { setTimeout as sleep } from 'node:timers/promises';

/** Each insert is a part that ClickHouse has to merge: of so many a second, of each server, it keeps up with. */
const perSecond = 5;
/** Those that come now and then wait for nothing. */
const atOnce = 150;

/** Lets some through at once, and then so many a second; what arrives meanwhile goes with the next. */
export class InsertPace {
  #left = atOnce;
  #countedAt = performance.now();

  async turn(): Promise<void> {
    const now = performance.now();
    this.#left = Math.min(atOnce, this.#left + ((now - this.#countedAt) / 1000) * perSecond) - 1;
    this.#countedAt = now;
    if (this.#left < 0) await sleep((-this.#left / perSecond) * 1000);
  }
}
