/** What a loop sleeps on until there is something to do. What comes while it is busy is not missed. */
export class WakeSignal {
  #tell: () => void = () => undefined;

  /** Resolves with the next `tell` from now on: to be asked before looking whether there is something. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#tell = resolve;
    });
  }

  tell(): void {
    this.#tell();
  }
}
