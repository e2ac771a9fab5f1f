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
