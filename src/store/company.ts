/** More at once share little more of what a commit costs. */
const enough = 8;
/** How long at most the first one waits. */
const mostMs = 50;
/** Of so many waits that brought nothing one is tried again. */
const triedAgainAfter = 32;

/**
 * Whether to wait a little for others before a commit, learned from how they come. Where they come seldom, or only after
 * they have been answered, it would only keep them waiting.
 */
export class Company {
  readonly #now: () => number;
  /** Usual time between two that come, milliseconds. */
  #gapMs = Number.POSITIVE_INFINITY;
  #lastAt = Number.NEGATIVE_INFINITY;
  /** How many came during a wait, usually. */
  #gained = 1;
  #untried = 0;
  #wake: () => void = () => undefined;

  /** @param now milliseconds that never go back */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** One has come. */
  arrived(): void {
    const now = this.#now();
    const gap = Math.min(now - this.#lastAt, 10 * mostMs);
    this.#gapMs = Number.isFinite(this.#gapMs) ? this.#gapMs + (gap - this.#gapMs) / 8 : gap;
    this.#lastAt = now;
    this.#wake();
  }

  /** Resolves once there are enough, or when nobody is to be expected any more. @param waiting how many there are */
  async gather(waiting: () => number): Promise<void> {
    if (!this.#isWorthIt(waiting())) return;
    const [begin, before] = [this.#now(), waiting()];
    while (waiting() < enough) {
      const now = this.#now();
      const leftMs = Math.min(begin + mostMs, this.#lastAt + 2 * this.#gapMs) - now;
      if (leftMs <= 0) break;
      await this.#next(leftMs);
    }
    this.#gained += (waiting() - before - this.#gained) / 8;
  }

  #isWorthIt(waiting: number): boolean {
    if (waiting >= enough || this.#gapMs > mostMs / 2) return false;
    if (this.#gained >= 0.5) return true;
    this.#untried = (this.#untried + 1) % triedAgainAfter;
    return this.#untried === 0;
  }

  #next(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
