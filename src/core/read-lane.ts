import { MonitorError } from './error.ts';

/** After so long most of what was in the way has been answered. */
const retryAfterSeconds = 5;

interface Waiting {
  go: (place: number) => void;
  signal: AbortSignal | undefined;
}

/**
 * Reads of one size, so many at a time, in the order in which they came. Whoever asks for something small has a lane
 * of its own, and never waits behind somebody who asks for much.
 */
export class ReadLane {
  readonly #free: number[];
  readonly #mostWaiting: number;
  readonly #waiting: Waiting[] = [];

  /** @param places how many at a time */
  constructor(places: number, mostWaiting: number) {
    this.#free = Array.from({ length: places }, (_, place) => place);
    this.#mostWaiting = mostWaiting;
  }

  /**
   * Does the work in one of the places, by its number.
   * @param isPatient waits however many are before it
   * @throws MonitorError `unavailable` when too many wait, or when its time is over before it was its turn; the
   * signal's reason when the client has closed the connection
   */
  async run<T>(work: (place: number) => Promise<T>, signal?: AbortSignal, isPatient = false): Promise<T> {
    const place = this.#free.pop() ?? (await this.#wait(signal, isPatient));
    try {
      return await work(place);
    } finally {
      const next = this.#waiting.shift();
      if (next) next.go(place);
      else this.#free.push(place);
    }
  }

  #wait(signal: AbortSignal | undefined, isPatient: boolean): Promise<number> {
    if (!isPatient && this.#waiting.length >= this.#mostWaiting) return Promise.reject(tooMany());
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        const { reason } = signal as AbortSignal;
        reject(reason instanceof MonitorError && reason.code === 'timeout' ? tooMany() : reason);
      };
      const go = (place: number) => {
        signal?.removeEventListener('abort', leave);
        resolve(place);
      };
      const waiting = { go, signal };
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiting);
    });
  }
}

function tooMany(): MonitorError {
  return new MonitorError('unavailable', 'the store is busy with other large questions; ask again later, or for less', {
    retryAfterSeconds,
  });
}
