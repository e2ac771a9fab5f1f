/** While an engine is away it is looked for at most so often. */
const everyMs = 2_000;

/** Finds out what engine this is and sets it up, unless that has been done. Whoever comes meanwhile waits for the same. */
export class Preparation {
  readonly #prepare: () => Promise<void>;
  /** Null: to be tried. */
  #prepared: Promise<void> | null = null;

  constructor(prepare: () => Promise<void>) {
    this.#prepare = prepare;
  }

  once(): Promise<void> {
    if (this.#prepared === null) {
      const trying = this.#prepare();
      this.#prepared = trying;
      // A while later somebody else may try again.
      trying.catch(() => setTimeout(() => (this.#prepared = null), everyMs).unref());
    }
    return this.#prepared;
  }
}
