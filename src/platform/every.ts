import { AsyncTask, SimpleIntervalJob, ToadScheduler } from 'toad-scheduler';

export interface EveryOptions {
  /** Once at the beginning too, and not only after the first interval. */
  immediately?: boolean;
}

/**
 * Does the work every so many milliseconds, and never while it is still being done.
 * @param failed is told what it threw; it goes on all the same
 * @returns what ends it: work under way is not waited for
 */
export function every(
  ms: number,
  work: () => Promise<void> | void,
  failed: (error: unknown) => void,
  { immediately = false }: EveryOptions = {},
): () => void {
  const scheduler = new ToadScheduler();
  const task = new AsyncTask('every', async () => work(), failed);
  const schedule = { milliseconds: ms, runImmediately: immediately };
  scheduler.addSimpleIntervalJob(new SimpleIntervalJob(schedule, task, { preventOverrun: true }));
  return () => scheduler.stop();
}
