import type { Clock } from './core/clock.ts';
import { MonitorError } from './core/error.ts';

/** Work that all who ask while it is under way have the result of; who asks after its end begins it anew. */
export function shared<T>(work: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | null = null;
  return () => {
    current ??= work().finally(() => {
      current = null;
    });
    return current;
  };
}

/** The same, and its result, or how it failed, is good for so long after its end. */
export function sharedFor<T>(forMs: number, clock: Clock, work: () => Promise<T>): () => Promise<T> {
  let last: { result: Promise<T>; endedAt: number } | null = null;
  return () => {
    if (last === null || clock.monotonic() - last.endedAt >= forMs) {
      const begun = { result: work(), endedAt: Number.POSITIVE_INFINITY };
      const end = () => {
        begun.endedAt = clock.monotonic();
      };
      begun.result.then(end, end);
      last = begun;
    }
    return last.result;
  };
}

/** For what is read for all who ask: whoever reads longer is told so in our own words. */
export function timeLimit(ms: number): AbortSignal {
  const controller = new AbortController();
  const late = () =>
    controller.abort(new MonitorError('timeout', `the store did not give that within ${ms / 1000} s; ask again later`));
  setTimeout(late, ms).unref();
  return controller.signal;
}

/** What others work on too, or what cannot be stopped: whoever waits for it does so no longer than they may. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  work.catch(() => undefined);
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const leave = () => signal.removeEventListener('abort', abort);
    work.then(resolve, reject).finally(leave);
  });
}
