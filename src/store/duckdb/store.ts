import { MonitorError } from '../../core/error.ts';
import type { MetricSample } from '../../core/sample.ts';
import type { Snapshot } from '../../core/snapshot.ts';
import {
  type Appended,
  hourRetentionDefaultMs,
  minuteRetentionDefaultMs,
  newNamesDefault,
  newSeriesDefault,
  type Reading,
  type Reads,
  type Records,
  type Store,
  type StoreOptions,
} from '../../core/store.ts';
import { LruCache } from '../../platform/lru-cache.ts';
import { startWorker } from '../../platform/worker.ts';
import { WorkerCalls } from '../../platform/worker-calls.ts';
import { foldingWarning, foldNames, seriesPerDay, tooManySeries } from '../name-budget.ts';
import { packSamples, type UnknownSeries } from './packed-samples.ts';
import { pack } from './packed-snapshot.ts';
import {
  type Cancel,
  type Engine,
  type Method,
  openedId,
  type PlainError,
  readArguments,
  type ThreadData,
  type Written,
  type WrittenSamples,
} from './protocol.ts';

/** Names whose ids are remembered here, at least: those of 300 hosts that have none in common. */
const mostNames = 100_000;
const mostSeries = 100_000;

/**
 * The embedded default: one DuckDB file, no set-up. It lives in a thread of its own: appending blocks the
 * thread that does it, and between BEGIN and COMMIT every step would wait behind whatever requests are
 * being parsed. Measured with 64 clients, that doubles what the server takes in.
 * @throws MonitorError `unavailable` when the file cannot be opened, with the reason.
 */
export async function openDuckdbStore(path: string, options: StoreOptions): Promise<Store> {
  const { retentionMs, now = Date.now, warn } = options;
  const { newNamesPerDay = newNamesDefault, newSeriesPerDay = newSeriesDefault } = options;
  const budgets = { newNamesPerDay, newSeriesPerDay };
  const { minuteRetentionMs = minuteRetentionDefaultMs, hourRetentionMs = hourRetentionDefaultMs } = options;
  const retention = { retentionMs, minuteRetentionMs, hourRetentionMs, mostBytes: options.mostBytes ?? null };
  const { isReadOnly = false } = options;
  const thread = new StoreThread({ path, isReadOnly, ...retention, ...budgets, now: now(), stamp: timeStamp(now()) });
  for (const damage of (await thread.opened) as string[]) warn(damage);
  return new DuckdbStore(path, thread, { ...budgets, now, warn });
}

type WriteOptions = Required<Pick<StoreOptions, 'newNamesPerDay' | 'newSeriesPerDay' | 'now' | 'warn'>>;

class DuckdbStore implements Store {
  readonly url: string;
  readonly expiresItself = false;
  readonly latest: Engine['latest'];
  readonly headers: Engine['headers'];
  readonly samples: Engine['samples'];
  readonly rows: Engine['rows'];
  readonly means: Engine['means'];
  readonly resolution: Engine['resolution'];
  readonly page: Engine['page'];
  readonly parquet: Engine['parquet'];
  readonly select: Engine['select'];
  readonly statistics: Engine['statistics'];
  readonly above: Engine['above'];
  readonly forecasts: Engine['forecasts'];
  readonly tallies: Engine['tallies'];
  readonly stretches: Engine['stretches'];
  readonly disk: Engine['disk'];
  readonly ping: Engine['ping'];
  readonly close: Engine['close'];
  readonly #thread: StoreThread;
  readonly #engine: Engine;
  readonly #options: WriteOptions;
  readonly #ids = new LruCache<string, number>(mostNames);
  readonly #seriesIds = new LruCache<string, number>(mostSeries);
  /** Of the ids of series. */
  #epoch = 0;
  /** Writes wait while the ids of names are forgotten, which waits for the writes before it. */
  #gate: Promise<unknown> = Promise.resolve();
  readonly #underWay = new Set<Promise<unknown>>();
  /** What forgets and closes, one at a time. */
  #tending: Promise<unknown> = Promise.resolve();
  /** Every byte of what is closed is read once, beside the work. */
  #isVerified = false;

  constructor(path: string, thread: StoreThread, options: WriteOptions) {
    this.url = `duckdb:${path}`;
    this.#thread = thread;
    this.#engine = thread.engine();
    this.#options = options;
    const {
      latest,
      headers,
      samples,
      rows,
      means,
      resolution,
      page,
      parquet,
      select,
      statistics,
      above,
      forecasts,
      tallies,
      stretches,
      disk,
      ping,
      close,
    } = this.#engine;
    this.latest = latest;
    this.headers = headers;
    this.samples = samples;
    this.rows = rows;
    this.means = means;
    this.resolution = resolution;
    this.page = page;
    this.parquet = parquet;
    this.select = select;
    this.statistics = statistics;
    this.above = above;
    this.forecasts = forecasts;
    this.tallies = tallies;
    this.stretches = stretches;
    this.disk = disk;
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
    return this.#tend(() => this.#expireNow(at));
  }

  compact(at: number): Promise<void> {
    return this.#tend(() => this.#compactNow(at));
  }

  #tend(work: () => Promise<void>): Promise<void> {
    const tended = this.#tending.catch(() => undefined).then(work);
    this.#tending = tended;
    return tended;
  }

  async #compactNow(at: number): Promise<void> {
    const { warn } = this.#options;
    if (!this.#isVerified) for (const text of await this.#engine.verify()) warn(text);
    this.#isVerified = true;
    for (const text of await this.#engine.compact(at)) warn(text);
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
    const { now, warn } = this.#options;
    const { beyondBudget, warned } = await this.#writePackedSamples(samples, now());
    const perDay = seriesPerDay(this.#options);
    for (const owner of warned) warn(tooManySeries(owner, perDay(owner)));
    return beyondBudget.map((index) => samples[index] as MetricSample);
  }

  /** Once more where series have been forgotten since their ids were learned. */
  async #writePackedSamples(samples: readonly MetricSample[], now: number): Promise<WrittenSamples> {
    for (;;) {
      const packed = packSamples(samples, this.#seriesIds, this.#epoch);
      const { ids, times, values, unknown } = packed;
      const memory = [ids.buffer, times.buffer, values.buffer];
      const written = (await this.#thread.call('writeSamples', [packed, now], memory)) as WrittenSamples;
      if (written.epoch !== this.#epoch) this.#seriesIds.clear();
      this.#epoch = written.epoch;
      if (written.isStale) continue;
      for (const [place, id] of written.ids.entries())
        if (id !== null) this.#seriesIds.set((unknown[place] as UnknownSeries).key, id);
      return written;
    }
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

class StoreThread {
  readonly opened: Promise<unknown>;
  readonly #calls: WorkerCalls;

  constructor(data: ThreadData) {
    const worker = startWorker('./thread', import.meta.url, data);
    worker.on('error', endServer);
    this.#calls = new WorkerCalls({
      worker,
      toError: (plain) => toError(plain as PlainError),
      ended: (failure) => new MonitorError('unavailable', failure ? failedText(failure) : 'the store is closed'),
    });
    this.opened = this.#calls.answerTo(openedId);
  }

  /** Every method of the store as a call to the thread. */
  engine(): Engine {
    const methods: Method[] = [
      'write',
      'writeSamples',
      'keepForecasts',
      'keepTallies',
      'disk',
      'compact',
      'verify',
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
    return this.#calls.call({ method, args }, transfer).answer;
  }

  /** Once it is aborted the thread is told to stop; it knows whether the read ran, or waited and is refused. */
  #read(method: keyof Reads, args: unknown[], { signal, lane }: Reading = {}): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { id, answer } = this.#calls.call({ method, args, lane: lane ?? 'own' });
    if (signal === undefined) return answer;
    const cancel = () => this.#calls.tell({ cancel: id } satisfies Cancel);
    signal.addEventListener('abort', cancel, { once: true });
    return answer
      .catch((error: unknown) => {
        throw isCancelled(error) ? signal.reason : error;
      })
      .finally(() => signal.removeEventListener('abort', cancel));
  }
}

/** Without its thread the server can do nothing: better it ends with a sentence and is started again. */
function endServer(failure: Error): void {
  setImmediate(() => {
    throw new MonitorError('internal', failedText(failure), { cause: failure });
  });
}

function failedText({ message }: Error): string {
  return `the store's thread failed: ${message}`;
}

function isCancelled(error: unknown): boolean {
  return error instanceof MonitorError && error.code === 'timeout';
}

function toError({ code, message, retryAfterSeconds }: PlainError): MonitorError {
  return new MonitorError(code, message, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
}
