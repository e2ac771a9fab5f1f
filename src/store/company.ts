/** More at once share little more of what a commit costs. */
const enough = 8;
/** How long at most the first one waits. */
const mostMs = 50;
/** Of so many waits one is longer than has paid lately, or is tried although none has. */
const triedAgainAfter = 16;
const remembered = 8;

/**
 * Whether to wait a little for others before a commit, learned from how they come. Where they come seldom, or only after
 * they have been answered, it would only keep them waiting.
 */
export class Company {
  readonly #now: () => number;
  /** Usual time between two that come, milliseconds. */
  #gapMs = Number.POSITIVE_INFINITY;
  #lastAt = Number.NEGATIVE_INFINITY;
  /** How many there were after the last waits. */
  readonly #found: number[] = [];
  #waits = 0;
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
    if (this.#gapMs > mostMs / 2) return;
    this.#waits = (this.#waits + 1) % triedAgainAfter;
    // Who all wait for an answer send nothing before they have it: as many as there were lately are all.
    const expected = this.#waits === 0 ? enough : Math.min(enough, Math.max(1, ...this.#found));
    const begin = this.#now();
    while (waiting() < expected) {
      const leftMs = Math.min(begin + mostMs, this.#lastAt + 2 * this.#gapMs) - this.#now();
      if (leftMs <= 0) break;
      await this.#next(leftMs);
    }
    if (this.#found.push(waiting()) > remembered) this.#found.shift();
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
