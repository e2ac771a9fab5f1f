import { MonitorError } from '../core/error.ts';
import { startWorker } from '../platform/worker.ts';
import { WorkerCalls } from '../platform/worker-calls.ts';
import type { PoolAnswer, PoolCall } from './forecast-worker.ts';

/** The pool of forecasters as a thread to call. It starts with the first call. */
export class ForecastThread {
  /** Another number whenever a new thread has begun, which knows nothing of what the one before was told. */
  generation = 0;
  #calls: WorkerCalls | null = null;
  #terminate: () => Promise<unknown> = async () => undefined;
  #isClosed = false;

  /** Rejects when the thread ends before it answers; the next call starts a new one, which knows no series. */
  call(call: PoolCall): Promise<PoolAnswer> {
    if (this.#isClosed) return Promise.reject(new MonitorError('unavailable', 'the forecaster is closed'));
    this.#calls ??= this.#start();
    return this.#calls.call(call).answer as Promise<PoolAnswer>;
  }

  /** Calls are refused from now on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#terminate();
  }

  #start(): WorkerCalls {
    const worker = startWorker('./forecast-worker', import.meta.url);
    this.#terminate = () => worker.terminate();
    return new WorkerCalls({
      worker,
      toError: (plain) => plain,
      ended: (failure) => {
        this.#calls = null;
        this.generation++;
        return new MonitorError('internal', `the forecaster's thread failed: ${failure?.message ?? 'it has ended'}`);
      },
    });
  }
}
