import type { Worker } from 'node:worker_threads';
import { MonitorError } from '../../core/error.ts';
import type { MetricSample } from '../../core/sample.ts';
import type { Snapshot } from '../../core/snapshot.ts';
import {
  type Appended,
  newNamesDefault,
  type Reading,
  type Reads,
  type Records,
  type Store,
  type StoreOptions,
} from '../../core/store.ts';
import { startWorker } from '../../platform/worker.ts';
import { LruCache } from '../lru-cache.ts';
import { foldingWarning, foldNames, tooManySeries } from '../name-budget.ts';
import { pack } from './packed-snapshot.ts';
import {
  type Answer,
  type Engine,
  type Method,
  openedId,
  type PlainError,
  readArguments,
  type ThreadData,
  type Written,
} from './protocol.ts';

/** Names whose ids are remembered here, at least: those of 300 hosts that have none in common. */
const mostNames = 100_000;

/**
 * The embedded default: one DuckDB file, no set-up. It lives in a thread of its own: appending blocks the
 * thread that does it, and between BEGIN and COMMIT every step would wait behind whatever requests are
 * being parsed. Measured with 64 clients, that doubles what the server takes in.
 * @throws MonitorError `unavailable` when the file cannot be opened, with the reason.
 */
export async function openDuckdbStore(path: string, options: StoreOptions): Promise<Store> {
  const { retentionMs, newNamesPerDay = newNamesDefault, now = Date.now, warn } = options;
  const thread = new StoreThread({ path, retentionMs, newNamesPerDay, now: now(), stamp: timeStamp(now()) });
  for (const damage of (await thread.opened) as string[]) warn(damage);
  return new DuckdbStore(path, thread, { newNamesPerDay, now, warn });
}

class DuckdbStore implements Store {
  readonly url: string;
  readonly expiresItself = false;
  readonly latest: Engine['latest'];
  readonly rows: Engine['rows'];
  readonly means: Engine['means'];
  readonly page: Engine['page'];
  readonly select: Engine['select'];
  readonly above: Engine['above'];
  readonly forecasts: Engine['forecasts'];
  readonly tallies: Engine['tallies'];
  readonly stretches: Engine['stretches'];
  readonly ping: Engine['ping'];
  readonly close: Engine['close'];
  readonly #thread: StoreThread;
  readonly #engine: Engine;
  readonly #options: Required<Pick<StoreOptions, 'newNamesPerDay' | 'now' | 'warn'>>;
  readonly #ids = new LruCache<string, number>(mostNames);
  /** Writes wait while the ids of names are forgotten, which waits for the writes before it. */
  #gate: Promise<unknown> = Promise.resolve();
  readonly #underWay = new Set<Promise<unknown>>();
  /** One at a time. */
  #expiring: Promise<void> = Promise.resolve();

  constructor(
    path: string,
    thread: StoreThread,
    options: Required<Pick<StoreOptions, 'newNamesPerDay' | 'now' | 'warn'>>,
  ) {
    this.url = `duckdb:${path}`;
    this.#thread = thread;
    this.#engine = thread.engine();
    this.#options = options;
    const { latest, rows, means, page, select, above, forecasts, tallies, stretches, ping, close } = this.#engine;
    this.latest = latest;
    this.rows = rows;
    this.means = means;
    this.page = page;
    this.select = select;
    this.above = above;
    this.forecasts = forecasts;
    this.tallies = tallies;
    this.stretches = stretches;
    this.ping = ping;
    this.close = close;
  }

  async append({ snapshots = [], samples = [], forecasts = [], accuracy }: Records): Promise<Appended> {
    const now = this.#options.now();
    if (snapshots.length > 0) await this.#write(snapshots);
    const beyondBudget = samples.length > 0 ? await this.#writeSamples(samples) : [];
    if (forecasts.length > 0) await this.#engine.keepForecasts(forecasts, now);
    if (accuracy !== undefined) await this.#engine.keepTallies(accuracy.hours, accuracy.tallies, now);
    return { refused: [], beyondBudget };
  }

  expire(at: number): Promise<void> {
    this.#expiring = this.#expiring.catch(() => undefined).then(() => this.#expireNow(at));
    return this.#expiring;
  }

  async #write(snapshots: readonly Snapshot[]): Promise<void> {
    const { now, warn, newNamesPerDay } = this.#options;
    for (let rest = [...snapshots]; rest.length > 0; ) {
      // Whoever waited for one may find the next.
      for (let passed: unknown; passed !== this.#gate; ) {
        passed = this.#gate;
        await passed;
      }
      const { learned, overBudget, folding } = await this.#writePacked(rest, now());
      for (const [name, id] of learned) this.#ids.set(name, id);
      for (const { index, since } of folding) (rest[index] as Snapshot).metrics['collector.foldedSinceMs'] = since;
      rest = overBudget.map(({ index, names, since, isFirst }) => {
        const snapshot = rest[index] as Snapshot;
        if (isFirst) warn(foldingWarning(snapshot.host, newNamesPerDay));
        foldNames(snapshot, new Set(names), since);
        return snapshot;
      });
    }
  }

  async #writePacked(snapshots: readonly Snapshot[], now: number): Promise<Written> {
    const packed = snapshots.map((snapshot) => pack(snapshot, this.#ids));
    const data = packed.map((each) => each.data);
    const written = this.#thread.call('write', [packed, now], data) as Promise<Written>;
    this.#underWay.add(written);
    return written.finally(() => this.#underWay.delete(written));
  }

  async #writeSamples(samples: readonly MetricSample[]): Promise<MetricSample[]> {
    const { now, warn, newNamesPerDay } = this.#options;
    const { beyondBudget, warned } = await this.#engine.writeSamples(samples, now());
    for (const owner of warned) warn(tooManySeries(owner, newNamesPerDay));
    return beyondBudget.map((index) => samples[index] as MetricSample);
  }

  async #expireNow(at: number): Promise<void> {
    await this.#engine.expire(at);
    if ((await this.#engine.findUnusedNames()) === 0) return;
    this.#gate = Promise.allSettled(this.#underWay).then(() => this.#ids.clear());
    await this.#gate;
    await this.#engine.forgetNames();
  }
}

/** `20261121T063415`, of when the store is opened. */
function timeStamp(time: number): string {
  return new Date(time).toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
}

interface Pending {
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  pieces: unknown[];
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
      'writeSamples',
      'keepForecasts',
      'keepTallies',
      'findUnusedNames',
      'forgetNames',
      'expire',
      'ping',
      'close',
    ];
    const calls = methods.map((method) => [method, (...args: unknown[]) => this.call(method, args)]);
    const reads = Object.entries(readArguments).map(([method, count]) => [
      method,
      (...args: unknown[]) =>
        this.#read(
          method as keyof Reads,
          Array.from({ length: count }, (_, index) => args[index]),
          args[count] as Reading | undefined,
        ),
    ]);
    return Object.fromEntries([...calls, ...reads]) as unknown as Engine;
  }

  /** `transfer`: memory in `args` that changes hands. */
  call(method: Method, args: unknown[], transfer: ArrayBuffer[] = []): Promise<unknown> {
    if (this.#ended) return Promise.reject(new MonitorError('unavailable', 'the store is closed'));
    const id = ++this.#lastId;
    const answered = this.#expect(id);
    this.#worker.postMessage({ id, method, args }, transfer);
    return answered;
  }

  /** Once it is aborted the thread is told to stop; it knows whether the read ran, or waited and is refused. */
  #read(method: keyof Reads, args: unknown[], { signal, lane }: Reading = {}): Promise<unknown> {
    if (this.#ended) return Promise.reject(new MonitorError('unavailable', 'the store is closed'));
    if (signal?.aborted) return Promise.reject(signal.reason);
    const id = ++this.#lastId;
    const answered = this.#expect(id);
    this.#worker.postMessage({ id, method, args, lane: lane ?? 'own' });
    if (signal === undefined) return answered;
    const cancel = () => this.#worker.postMessage({ cancel: id });
    signal.addEventListener('abort', cancel, { once: true });
    return answered
      .catch((error: unknown) => {
        throw isCancelled(error) ? signal.reason : error;
      })
      .finally(() => signal.removeEventListener('abort', cancel));
  }

  #expect(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.#pending.set(id, { resolve, reject, pieces: [] }));
  }

  #settle(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    if ('piece' in answer) {
      for (const row of answer.piece) pending?.pieces.push(row);
      return;
    }
    this.#pending.delete(answer.id);
    if ('error' in answer) pending?.reject(toError(answer.error));
    else pending?.resolve(pending.pieces.length > 0 ? pending.pieces.concat(answer.value) : answer.value);
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

function isCancelled(error: unknown): boolean {
  return error instanceof MonitorError && error.code === 'timeout';
}

function toError({ code, message, retryAfterSeconds }: PlainError): MonitorError {
  return new MonitorError(code, message, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
}
