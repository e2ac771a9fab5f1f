import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';

const sayEveryMs = 10_000;
/** A shorter past is not worth a word. */
const longMs = 600_000;

/** Tells how far a long back-fill is. */
export class BackfillProgress {
  readonly #clock: Clock;
  readonly #say: (text: string) => void;
  #begun: { ofMs: number; at: number; saidAt: number; samples: number } | null = null;

  constructor(clock: Clock, say: (text: string) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  /** So many more are here. */
  add(samples: number): void {
    if (this.#begun !== null) this.#begun.samples += samples;
  }

  /** @param leftMs of the past that is still to come */
  tell(leftMs: number): void {
    const now = this.#clock.monotonic();
    const begun = this.#begun;
    if (leftMs === 0) {
      if (begun !== null) this.#say(`its past is here: ${begun.samples} samples in ${toSeconds(now - begun.at)}`);
      this.#begun = null;
    } else if (begun === null) {
      if (leftMs < longMs) return;
      this.#begun = { ofMs: leftMs, at: now, saidAt: now, samples: 0 };
      this.#say(`fetching ${toSeconds(leftMs)} of its past`);
    } else if (now - begun.saidAt >= sayEveryMs) {
      const { ofMs, at, samples } = begun;
      begun.saidAt = now;
      const done = Math.max(1, ofMs - leftMs);
      this.#say(
        `${Math.floor((100 * done) / ofMs)} % of ${toSeconds(ofMs)} is here, ${samples} samples; about ${toSeconds(((now - at) / done) * leftMs)} left`,
      );
    }
  }
}

/** A length of time to the second, and one at least. */
export function toSeconds(ms: number): string {
  return formatDuration(Math.max(1, Math.round(ms / 1000)) * 1000);
}
