import type { Clock } from '../core/clock.ts';
import { toSeconds } from './backfill-progress.ts';

/** The clocks of two machines may differ by as much without a word. */
const noticeableSkewMs = 30_000;

/** The clock of whoever is asked, by what it answers. No jump of this machine's clock moves it. */
export class TheirClock {
  readonly #clock: Clock;
  readonly #say: (skew: string) => void;
  /** Wall time there, and the monotonic time at which it was that. */
  #anchor: { wall: number; at: number } | null = null;
  #hasSaid = false;

  /** @param say of clocks that differ, once */
  constructor(clock: Clock, say: (skew: string) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  get isKnown(): boolean {
    return this.#anchor !== null;
  }

  now(): number {
    if (this.#anchor === null) return this.#clock.now();
    return Math.floor(this.#anchor.wall + this.#clock.monotonic() - this.#anchor.at);
  }

  /**
   * It says whole seconds, of when it answered.
   * @param theirs null: it says nothing
   * @param asked monotonic: when it was asked
   */
  hear(theirs: number | null, asked: number): void {
    const at = this.#clock.monotonic();
    this.#anchor ??= { wall: this.#clock.now(), at };
    if (theirs !== null && this.now() < theirs) this.#anchor = { wall: theirs, at };
    else if (theirs !== null && this.now() - (at - asked) > theirs + 1000)
      this.#anchor = { wall: theirs + 1000, at: asked };
    this.#saySkew(this.now() - this.#clock.now());
  }

  #saySkew(skewMs: number): void {
    if (Math.abs(skewMs) < noticeableSkewMs || this.#hasSaid) return;
    this.#hasSaid = true;
    const off = `${toSeconds(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} this server's`;
    this.#say(`its clock is ${off}; its samples stay where it says`);
  }
}
