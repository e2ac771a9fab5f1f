import type { Worker } from 'node:worker_threads';
import { MonitorError } from '../../core/error.ts';
import type { Store, StoreOptions } from '../../core/store.ts';
import { startWorker } from '../../worker.ts';
import { Dictionary } from './dictionary.ts';
import { pack } from './packed-snapshot.ts';
import { type Answer, type Engine, type Method, openedId, type PlainError, type ThreadData } from './protocol.ts';

/**
 * The embedded default: one DuckDB file, no set-up. It lives in a thread of its own: appending blocks the
 * thread that does it, and between BEGIN and COMMIT every step would wait behind whatever requests are
 * being parsed. Measured with 64 clients, that doubles what the server takes in.
 * @throws MonitorError `unavailable` when the file cannot be opened, with the reason.
 */
export async function openDuckdbStore(path: string, options: StoreOptions): Promise<Store> {
  const thread = new StoreThread({ path, retentionMs: options.retentionMs, stamp: timeStamp() });
  for (const damage of (await thread.opened) as string[]) options.warn(damage);
  const engine = thread.engine();
  let names = new Dictionary(await engine.names());
  /** Writes wait while names are sorted out; the sorting waits for the writes before it. */
  let gate: Promise<unknown> = Promise.resolve();
  const underWay = new Set<Promise<void>>();

  return {
    ...engine,
    url: `duckdb:${path}`,
    expiresItself: false,
    async write(snapshots) {
      await gate;
      const packed = snapshots.map((snapshot) => pack(snapshot, names));
      const written = thread.call(
        'write',
        [packed],
        packed.map((each) => each.data),
      ) as Promise<void>;
      underWay.add(written);
      await written.finally(() => underWay.delete(written));
      return [];
    },
    expire(now) {
      const expired = gate.then(async () => {
        await Promise.allSettled(underWay);
        await engine.expire(now);
        names = new Dictionary(await engine.names());
      });
      gate = expired.catch(() => undefined);
      return expired;
    },
  };
}

/** `20261121T063415`, of when the store is opened. */
function timeStamp(): string {
  return new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
}

interface Pending {
  resolve: (value: unknown) => void;
  reject: (error: MonitorError) => void;
}

class StoreThread {
  readonly opened: Promise<unknown>;
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #lastId = openedId;
  #ended = false;

  constructor(data: ThreadData) {
    this.#worker = startWorker('./thread', import.meta.url, data);
    this.opened = this.#expect(openedId);
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#end('the store is closed'));
  }

  /** Every method of the store as a call to the thread. */
  engine(): Engine {
    const methods: Method[] = [
      'write',
      'hosts',
      'rowsOf',
      'mean',
      'detailed',
      'runs',
      'stepMeans',
      'seriesAbove',
      'keepForecasts',
      'forecasts',
      'names',
      'expire',
      'ping',
      'close',
    ];
    const calls = methods.map((method) => [method, (...args: unknown[]) => this.call(method, args)]);
    return Object.fromEntries(calls) as unknown as Engine;
  }

  /** `transfer`: memory in `args` that changes hands. */
  call(method: Method, args: unknown[], transfer: ArrayBuffer[] = []): Promise<unknown> {
    if (this.#ended) return Promise.reject(new MonitorError('unavailable', 'the store is closed'));
    const id = ++this.#lastId;
    const answered = this.#expect(id);
    this.#worker.postMessage({ id, method, args }, transfer);
    return answered;
  }

  #expect(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject }));
  }

  #settle(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if ('error' in answer) pending?.reject(toError(answer.error));
    else pending?.resolve(answer.value);
  }

  /** Without its thread the server can do nothing: better it ends with a sentence and is started again. */
  #fail(error: Error): void {
    this.#end(`the store's thread failed: ${error.message}`);
    setImmediate(() => {
      throw new MonitorError('internal', `the store's thread failed: ${error.message}`, { cause: error });
    });
  }

  #end(message: string): void {
    this.#ended = true;
    for (const pending of this.#pending.values()) pending.reject(new MonitorError('unavailable', message));
    this.#pending.clear();
  }
}

function toError({ code, message, retryAfterSeconds }: PlainError): MonitorError {
  return new MonitorError(code, message, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
}
