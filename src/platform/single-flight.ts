/** All who call while it runs share one run and its result; a call after its end begins another. */
export function singleFlight<T>(work: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | null = null;
  return () => {
    current ??= work().finally(() => {
      current = null;
    });
    return current;
  };
}

/** The same, and its result, or how it failed, is good for so long after its end. */
export function singleFlightFor<T>(forMs: number, monotonic: () => number, work: () => Promise<T>): () => Promise<T> {
  let last: { result: Promise<T>; endedAt: number } | null = null;
  return () => {
    if (last === null || monotonic() - last.endedAt >= forMs) {
      const begun = { result: work(), endedAt: Number.POSITIVE_INFINITY };
      const end = () => {
        begun.endedAt = monotonic();
      };
      begun.result.then(end, end);
      last = begun;
    }
    return last.result;
  };
}

/** Aborted after so long, with a reason of your own. */
export function timeLimit(ms: number, reason: () => unknown): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason()), ms).unref();
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
