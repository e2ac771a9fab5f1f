import { parentPort, type Worker } from 'node:worker_threads';

/** What a thread answers: a part of a long list, the value (of a list what is left of it), or why there is none. */
export type CallAnswer = { id: number } & ({ piece: unknown[] } | { value: unknown } | { error: unknown });

export interface WorkerCallsOptions {
  worker: Worker;
  /** What a call is rejected with: an error cannot keep its class on the way between threads. */
  toError: (plain: unknown) => unknown;
  /** What those that wait, and all later ones, are rejected with. `failure` null: the thread has ended by itself. */
  ended: (failure: Error | null) => unknown;
}

interface Pending {
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  pieces: unknown[];
}

/** Calls to a thread, each answered by its id. */
export class WorkerCalls {
  readonly #options: WorkerCallsOptions;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;
  #end: { reason: unknown } | null = null;

  constructor(options: WorkerCallsOptions) {
    this.#options = options;
    options.worker.on('message', (answer: CallAnswer) => this.#settle(answer));
    options.worker.on('error', (error) => this.#ended(error));
    options.worker.on('exit', () => this.#ended(null));
  }

  /**
   * The thread is sent the call with its id.
   * @param transfer memory in it that changes hands
   */
  call(call: object, transfer: ArrayBuffer[] = []): { id: number; answer: Promise<unknown> } {
    const id = ++this.#lastId;
    const answer = this.answerTo(id);
    if (this.#end === null) this.tell({ id, ...call }, transfer);
    return { id, answer };
  }

  /** The answer with this id, also to no call. */
  answerTo(id: number): Promise<unknown> {
    if (this.#end !== null) return Promise.reject(this.#end.reason);
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject, pieces: [] }));
  }

  /** What is not answered. */
  tell(message: object, transfer: ArrayBuffer[] = []): void {
    this.#options.worker.postMessage(message, transfer);
  }

  #settle(answer: CallAnswer): void {
    const pending = this.#pending.get(answer.id);
    if ('piece' in answer) {
      for (const row of answer.piece) pending?.pieces.push(row);
      return;
    }
    this.#pending.delete(answer.id);
    if ('error' in answer) pending?.reject(this.#options.toError(answer.error));
    else pending?.resolve(pending.pieces.length > 0 ? pending.pieces.concat(answer.value) : answer.value);
  }

  #ended(failure: Error | null): void {
    if (this.#end !== null) return;
    this.#end = { reason: this.#options.ended(failure) };
    for (const { reject } of this.#pending.values()) reject(this.#end.reason);
    this.#pending.clear();
  }
}

/** The memory of an object's typed arrays, which may change hands with it. */
export function buffersOf(value: object): ArrayBuffer[] {
  return Object.values(value).flatMap((part) => (ArrayBuffer.isView(part) ? [part.buffer as ArrayBuffer] : []));
}

/** In the thread: answers each call with what this makes of it. What it throws ends the thread. */
export function serveCalls<Call>(answer: (call: Call) => unknown): void {
  parentPort?.on('message', ({ id, ...call }: Call & { id: number }) => {
    parentPort?.postMessage({ id, value: answer(call as Call) } satisfies CallAnswer);
  });
}
