import { setTimeout as sleep } from 'node:timers/promises';

/** As many a second are inserted as they come: a host or two would only wait. */
const fewPerSecond = 4;

/** Lets inserts through as they come as long as few do; where many come more of them gather, and go together. */
export class InsertPace {
  readonly #everyMs: number;
  #lastAt = Number.NEGATIVE_INFINITY;
  /** When the last of what is to be inserted came, the newest last. */
  readonly #arrivals: number[] = [];

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  arrived(): void {
    this.#arrivals.push(performance.now());
    if (this.#arrivals.length > fewPerSecond) this.#arrivals.shift();
  }

  async turn(): Promise<void> {
    const now = performance.now();
    const areMany = this.#arrivals.length === fewPerSecond && now - (this.#arrivals[0] as number) < 1000;
    const waitMs = areMany ? this.#lastAt + this.#everyMs - now : 0;
    if (waitMs > 0) await sleep(waitMs);
    this.#lastAt = performance.now();
  }
}
