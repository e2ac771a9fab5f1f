import type { Worker } from 'node:worker_threads';
import { MonitorError } from '../core/error.ts';
import { startWorker } from '../platform/worker.ts';
import type { PoolAnswer, PoolCall } from './forecast-worker.ts';

/** `Omit` of each member of a union. */
type DistributiveOmit<T> = T extends unknown ? Omit<T, 'id'> : never;

/** The pool of forecasters as a thread to call. It starts with the first call. */
export class ForecastThread {
  readonly #pending = new Map<number, { resolve: (answer: PoolAnswer) => void; reject: (error: Error) => void }>();
  #worker: Worker | null = null;
  #lastId = 0;
  #isClosed = false;

  /** Rejects when the thread ends before it answers; the next call starts a new one, which knows no series. */
  call(call: DistributiveOmit<PoolCall>): Promise<PoolAnswer> {
    if (this.#isClosed) return Promise.reject(new MonitorError('unavailable', 'the forecaster is closed'));
    this.#worker ??= this.#start();
    const id = ++this.#lastId;
    this.#worker.postMessage({ id, ...call });
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
  }

  /** Calls are refused from now on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = startWorker('./forecast-worker', import.meta.url);
    worker.on('message', (answer: PoolAnswer) => {
      this.#pending.get(answer.id)?.resolve(answer);
      this.#pending.delete(answer.id);
    });
    worker.on('error', (error) => this.#end(worker, error.message));
    worker.on('exit', () => this.#end(worker, 'it has ended'));
    return worker;
  }

  #end(worker: Worker, reason: string): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    for (const { reject } of this.#pending.values())
      reject(new MonitorError('internal', `the forecaster's thread failed: ${reason}`));
    this.#pending.clear();
  }
}
