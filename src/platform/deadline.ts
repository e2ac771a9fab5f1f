import { setMaxListeners } from 'node:events';

/** Aborted after so long, with a reason of your own. */
export function timeLimit(ms: number, reason: () => unknown): AbortSignal {
  const controller = forManyReads(new AbortController());
  setTimeout(() => controller.abort(reason()), ms).unref();
  return controller.signal;
}

/** One that many reads at once listen to: for Node that is a leak from eleven on, and it says so on stderr. */
export function forManyReads(controller: AbortController): AbortController {
  setMaxListeners(0, controller.signal);
  return controller;
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
