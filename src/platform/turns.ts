import { setImmediate } from 'node:timers/promises';

/** Other work has its turn after so long. */
const turnMs = 8;

/**
 * To be asked now and then in long work: what to wait for when others have had no turn for a while, else null, since
 * to wait costs more than to ask. It rejects with the signal's reason.
 */
export function takingTurns(signal: AbortSignal | undefined): () => Promise<void> | null {
  let begin = performance.now();
  const others = async () => {
    await setImmediate();
    signal?.throwIfAborted();
    begin = performance.now();
  };
  return () => (performance.now() - begin < turnMs ? null : others());
}
