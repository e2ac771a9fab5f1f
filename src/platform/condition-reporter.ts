/** Something that goes on for a while: its beginning is said, and its end, and nothing in between. */
export class ConditionReporter {
  readonly #monotonic: () => number;
  #since: number | null = null;

  /** @param monotonic milliseconds that never go back */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** It goes on: says so where that has not been said. */
  begin(say: () => void): void {
    if (this.#since !== null) return;
    this.#since = this.#monotonic();
    say();
  }

  /** It does not: says so where its beginning was said. */
  end(say: (lastedMs: number) => void = () => undefined): void {
    if (this.#since === null) return;
    const lastedMs = this.#monotonic() - this.#since;
    this.#since = null;
    say(lastedMs);
  }
}
