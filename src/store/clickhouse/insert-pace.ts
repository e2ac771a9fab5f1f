import { setTimeout as sleep } from 'node:timers/promises';

/** Lets an insert through at once where there was none for a while; else more of it gathers, and goes together. */
export class InsertPace {
  readonly #everyMs: number;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  async turn(): Promise<void> {
    const waitMs = this.#lastAt + this.#everyMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    this.#lastAt = performance.now();
  }
}
