/**
 * The newest numbers of a series, reached by their index in the whole series, in one contiguous piece so
 * that loops over a window run over plain memory. Grows as it fills; holds at least `capacity` once it has
 * seen so many, and forgets the oldest a quarter at a time.
 */
export class Recent {
  buffer: Float32Array;
  /** Index in the series of `buffer[0]`. */
  offset = 0;
  /** How many there have been. */
  length = 0;
  readonly #limit: number;

  constructor(capacity: number) {
    this.#limit = Math.ceil(capacity * 1.25);
    this.buffer = new Float32Array(Math.min(64, this.#limit));
  }

  push(value: number): void {
    if (this.length - this.offset === this.buffer.length) this.#makeRoom();
    this.buffer[this.length - this.offset] = value;
    this.length++;
  }

  /** NaN where it is not held. */
  at(index: number): number {
    return this.buffer[index - this.offset] ?? Number.NaN;
  }

  /** The first index at or after `index` that is held. */
  from(index: number): number {
    return Math.max(index, this.offset);
  }

  #makeRoom(): void {
    if (this.buffer.length < this.#limit) {
      const larger = new Float32Array(Math.min(this.#limit, this.buffer.length * 2));
      larger.set(this.buffer);
      this.buffer = larger;
    } else {
      const forgotten = Math.ceil(this.#limit / 5);
      this.buffer.copyWithin(0, forgotten);
      this.offset += forgotten;
    }
  }
}
