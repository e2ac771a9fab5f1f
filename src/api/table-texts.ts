import { MonitorError } from '../core/error.ts';
import type { TimeWindow } from '../core/store.ts';
import { startWorker } from '../platform/worker.ts';
import { buffersOf, WorkerCalls } from '../platform/worker-calls.ts';
import type { Page } from './history-page.ts';
import type { TableFormat } from './table-text.ts';
import type { TextCall } from './table-text-thread.ts';

/** The thread ends when nobody has asked for so long: it takes ten megabytes. */
const idleMs = 60_000;

type Asked = TextCall extends infer C ? (C extends { id: number } ? Omit<C, 'id'> : never) : never;

/** Raw rows as text, made in a thread of its own: whoever else asks or sends waits for none of it. */
export class TableTexts {
  #calls: WorkerCalls | null = null;
  #terminate: () => Promise<unknown> = async () => undefined;
  #idle: NodeJS.Timeout | undefined;

  /** Pieces of UTF-8, each made while the one before is on its way. The table's memory changes hands. */
  async *pieces(start: TimeWindow, page: Page, format: TableFormat): AsyncGenerator<Uint8Array> {
    const calls = this.#start();
    const { id, answer } = this.#ask(calls, { start, page, format }, buffersOf(page.table));
    try {
      let next = answer;
      for (let piece = await next; piece !== null; piece = await next) {
        next = this.#ask(calls, { nextOf: id }).answer;
        // Where it fails while nobody waits for it, whoever asks for it next is told.
        next.catch(() => undefined);
        yield piece;
      }
    } finally {
      calls.tell({ leave: id } satisfies TextCall);
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#terminate();
  }

  #ask(calls: WorkerCalls, call: Asked, transfer: ArrayBuffer[] = []) {
    this.#idle?.refresh();
    return calls.call(call, transfer) as { id: number; answer: Promise<Uint8Array | null> };
  }

  #start(): WorkerCalls {
    if (this.#calls !== null) return this.#calls;
    const worker = startWorker('./table-text-thread', import.meta.url);
    worker.unref();
    this.#terminate = () => worker.terminate();
    this.#idle = setTimeout(() => void worker.terminate(), idleMs).unref();
    this.#calls = new WorkerCalls({
      worker,
      toError: (plain) => new MonitorError('internal', `the rows cannot be written: ${plain}`),
      ended: (failure) => {
        this.#calls = null;
        return new MonitorError(
          'unavailable',
          `the thread that writes rows ended: ${failure?.message ?? 'it was idle'}`,
          {
            retryAfterSeconds: 1,
          },
        );
      },
    });
    return this.#calls;
  }
}
