import type { Clock } from '../src/core/clock.ts';

interface Due {
  at: number;
  order: number;
  run: () => void;
}

/** Time that passes only when everything waits for it. The wall clock may be made to jump. */
export class VirtualTime implements Clock {
  wallOffsetMs = Date.UTC(2026, 10, 20);
  #now = 0;
  #order = 0;
  readonly #due: Due[] = [];

  now(): number {
    return Math.round(this.#now + this.wallOffsetMs);
  }

  monotonic(): number {
    return this.#now;
  }

  at(time: number, run: () => void): () => void {
    const entry = { at: time, order: this.#order++, run };
    this.#due.push(entry);
    return () => {
      const index = this.#due.indexOf(entry);
      if (index >= 0) this.#due.splice(index, 1);
    };
  }

  /** Rejects when the signal says so, as node:timers/promises does. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stop = () => {
        cancel();
        reject(signal?.reason);
      };
      const cancel = this.at(this.#now + ms, () => {
        signal?.removeEventListener('abort', stop);
        resolve();
      });
      signal?.addEventListener('abort', stop);
    });
  }

  /** Runs what is due until `end`; all that follows from it by promises alone happens before the next. */
  async runUntil(end: number): Promise<void> {
    await settled();
    for (let next = this.#takeNext(end); next !== null; next = this.#takeNext(end)) {
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settled();
    }
    this.#now = end;
  }

  #takeNext(end: number): Due | null {
    let best: Due | null = null;
    for (const entry of this.#due) {
      if (entry.at > end) continue;
      if (best === null || entry.at < best.at || (entry.at === best.at && entry.order < best.order)) best = entry;
    }
    if (best !== null) this.#due.splice(this.#due.indexOf(best), 1);
    return best;
  }
}

/** After all microtasks. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
