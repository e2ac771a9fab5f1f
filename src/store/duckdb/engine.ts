import { statSync } from 'node:fs';
import { chmod, mkdir, rm, stat, statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { MonitorError, messageOf } from '../../core/error.ts';
import type { Forecast } from '../../core/forecast.ts';
import type { DurableLog } from '../../core/log.ts';
import type { StretchQuery } from '../../core/sample.ts';
import type { DiskUse, PageQuery, Reading, TimeWindow } from '../../core/store.ts';
import type { HourTally } from '../../core/tally.ts';
import { collectGarbage } from '../../platform/collect-garbage.ts';
import { replaceFile } from '../../platform/durable-file.ts';
import { Company } from '../company.ts';
import { ComposedReads, type ReadParts } from '../composed-reads.ts';
import { GroupCommit } from '../group-commit.ts';
import { Compaction } from './compaction.ts';
import { Disk } from './disk.ts';
import { type EngineParts, loadEngineParts } from './engine-parts.ts';
import { Expiry } from './expiry.ts';
import { ForecastReads } from './forecast-reads.ts';
import { IdLookup } from './id-lookup.ts';
import { openDatabase, openToRead } from './open-database.ts';
import { type PackedSamples, packedBytes } from './packed-samples.ts';
import type { PackedSnapshot } from './packed-snapshot.ts';
import type { Engine, ThreadData, Written, WrittenSamples } from './protocol.ts';
import { SeriesReads } from './series-reads.ts';
import { appendForecast, appendTally } from './series-rows.ts';
import type { PendingSamples } from './series-writer.ts';
import { type Pending, storeFailure } from './snapshot-writer.ts';
import { SourceReads } from './source-reads.ts';
import { StatisticsReads } from './statistics-reads.ts';
import { UsageReads } from './usage-reads.ts';

/** One core is left to the requests, and more than four only compete for memory. */
const threads = Math.max(1, Math.min(4, availableParallelism() - 1));
/**
 * DuckDB would take four fifths of the machine's memory, which is there for what is being watched; each of its threads
 * needs its part. What has been read stays in it until something else is: after a while without a question it is
 * given back.
 */
const memoryLimit = { working: `${128 + 32 * threads}MB`, idle: '48MB' };
const idleAfterMs = 15_000;
/** What a question spills beside the file; DuckDB would fill the disk. */
const mostSpilled = '1GB';
/** A checkpoint compresses and rewrites; at DuckDB's own 16 MB it comes too often to be worth it. */
const checkpointAt = '64MB';
/** Bytes in one transaction, some 60,000 rows, and bytes waiting, at most. */
const limits = { group: 2 * 1024 ** 2, queue: 64 * 1024 ** 2 };
/** A header with its texts, in memory. */
const headerBytes = 1000;
const leastClosedMs = 3 * 3_600_000;
/** About what a snapshot of 300 processes takes. */
const triedBytes = 64 * 1024;

/**
 * The store itself, in the thread that calls this, and what had to be mended in its file. Only one process
 * can have the file open.
 * @throws MonitorError `unavailable` when the file cannot be opened, with the reason.
 */
export async function openEngine(options: ThreadData): Promise<{ engine: Engine; damage: string[] }> {
  const { path, isReadOnly } = options;
  try {
    if (!isReadOnly) await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // Left by a kill in the middle of a question.
    if (!isReadOnly) await rm(`${path}.tmp`, { recursive: true, force: true });
    const settings = {
      memory_limit: memoryLimit.working,
      wal_autocheckpoint: checkpointAt,
      max_temp_directory_size: mostSpilled,
      threads: String(threads),
    };
    const { instance, damage } = isReadOnly
      ? await openToRead(path, settings)
      : await openDatabase(path, settings, options.stamp);
    // Until the engine is there nobody writes: nothing has to wait for its turn.
    let chain: <T>(work: () => Promise<T>) => Promise<T> = (work) => work();
    const parts = await loadEngineParts(instance, options, (work) => chain(work));
    const engine = new DuckdbEngine(parts, await instance.connect(), options);
    chain = (work) => engine.exclusive(work);
    // Whoever may look into the folder may not look into these.
    if (!isReadOnly) for (const file of [path, `${path}.wal`]) await chmod(file, 0o600).catch(() => undefined);
    return { engine, damage };
  } catch (error) {
    throw new MonitorError('unavailable', `cannot open the store ${path}: ${openFailure(messageOf(error))}`, {
      cause: error,
    });
  }
}

function openFailure(message: string): string {
  const holder = /Conflicting lock is held in (.*?) \(PID (\d+)\)/.exec(message);
  if (holder) return `process ${holder[2]} has it open; stop that one or choose another --data folder`;
  if (/permission denied|EACCES/i.test(message))
    return 'permission denied; choose a folder this user may write to with --data';
  if (/EROFS|read-only file system/i.test(message))
    return 'the file system is read-only; choose a folder that can be written to with --data';
  if (/ENOSPC|no space left/i.test(message))
    return 'the disk is full; make room, or choose a folder on another with --data';
  return message.split('\n', 1)[0] ?? message;
}

function readsOf(parts: EngineParts): ReadParts & { series: SeriesReads; usage: UsageReads } {
  const lookup = new IdLookup(parts);
  const usage = new UsageReads(lookup);
  const sources = new SourceReads(lookup);
  const series = new SeriesReads(lookup, sources);
  const statistics = new StatisticsReads(lookup, (query, reading) => series.select(query, reading));
  return { headers: usage, usage, series, sources, statistics, forecasts: new ForecastReads(lookup) };
}

class DuckdbEngine extends ComposedReads implements Engine {
  readonly #path: string;
  /** Device and inode of the file that is open. */
  readonly #file: string;
  readonly #parts: EngineParts;
  readonly #series: SeriesReads;
  readonly #usage: UsageReads;
  readonly #commit: DurableLog<Pending>;
  readonly #samples: DurableLog<PendingSamples>;
  readonly #idleTimer: NodeJS.Timeout;
  readonly #expiry: Expiry;
  readonly #compaction: Compaction;
  readonly #disk: Disk;
  readonly #retentionMs: number;
  readonly #compacting: DuckDBConnection;

  constructor(
    parts: EngineParts,
    compacting: DuckDBConnection,
    { path, retentionMs, mostBytes, ...retention }: ThreadData,
  ) {
    const reads = readsOf(parts);
    super(reads);
    this.#series = reads.series;
    this.#usage = reads.usage;
    this.#parts = parts;
    this.#path = path;
    this.#retentionMs = retentionMs;
    this.#file = identityOf(path);
    this.#commit = new GroupCommit(
      (group) => this.#write(group),
      ({ packed }) => packed.data.byteLength + headerBytes,
      limits,
      new Company(() => performance.now()),
    );
    this.#samples = new GroupCommit(
      (group) => this.#commit.exclusive(() => this.#writeSamples(group)),
      ({ packed }) => packedBytes(packed),
      limits,
    );
    const exclusive = <T>(work: () => Promise<T>) => this.#commit.exclusive(work);
    this.#expiry = new Expiry({ ...parts, retentionMs, ...retention, exclusive });
    this.#compacting = compacting;
    this.#disk = new Disk({ ...parts, path, mostBytes });
    const checkpoint = () => exclusive(() => this.#checkpoint());
    this.#compaction = new Compaction({ ...parts, connection: compacting, checkpoint });
    this.#idleTimer = setInterval(() => void this.#giveMemoryBack(), idleAfterMs / 3);
  }

  /** In the chain of commits. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#commit.exclusive(work);
  }

  parquet(query: PageQuery, reading?: Reading) {
    return this.#usage.parquet(query, this.#parts.files, reading);
  }

  stretches(queries: readonly StretchQuery[], window: TimeWindow, reading?: Reading) {
    return this.#series.stretches(queries, window, reading);
  }

  async write(snapshots: readonly PackedSnapshot[], now: number): Promise<Written> {
    const waiting = snapshots.map(
      (packed): Pending => ({ packed, now, learned: [], overBudget: null, foldedSince: null, unname: null }),
    );
    await this.#commit.addAll(waiting);
    return {
      learned: waiting.flatMap(({ learned }) => learned),
      folding: waiting.flatMap(({ foldedSince }, index) =>
        foldedSince === null ? [] : [{ index, since: foldedSince }],
      ),
      overBudget: waiting.flatMap(({ overBudget }, index) => (overBudget ? [{ index, ...overBudget }] : [])),
    };
  }

  async writeSamples(packed: PackedSamples, now: number): Promise<WrittenSamples> {
    const pending: PendingSamples = { packed, now, ids: [], beyondBudget: [], warned: [], epoch: 0, isStale: false };
    await this.#samples.add(pending);
    const { ids, beyondBudget, warned, isStale, epoch } = pending;
    return { isStale, epoch, ids, beyondBudget, warned };
  }

  keepForecasts(forecasts: readonly Forecast[], now: number): Promise<void> {
    return this.#commit.exclusive(() => this.#parts.seriesWriter.writeRows('forecast', forecasts, appendForecast, now));
  }

  keepTallies({ from, to }: TimeWindow, tallies: readonly HourTally[], now: number): Promise<void> {
    const before = `DELETE FROM tally WHERE time > ${from} AND time <= ${to}`;
    return this.#commit.exclusive(() => this.#parts.seriesWriter.writeRows('tally', tallies, appendTally, now, before));
  }

  expire(now: number): Promise<void> {
    return this.#expiry.expire(now);
  }

  disk(): Promise<DiskUse> {
    return this.#disk.use();
  }

  async compact(now: number): Promise<string[]> {
    const { gone, said } = await this.#disk.beyond();
    await this.#expiry.forget(gone);
    // Rows that are kept for less would be forgotten before their hour is closed.
    const failures = this.#retentionMs < leastClosedMs ? [] : await this.#compaction.compact(now);
    return [...said, ...this.#parts.damagedParts.said(), ...failures];
  }

  /** Reads every byte once: a disk does not say what it has lost. */
  async verify(): Promise<string[]> {
    const { damagedParts } = this.#parts;
    await damagedParts.look(this.#parts.parts.all());
    return damagedParts.said();
  }

  findUnusedNames(): Promise<number> {
    return this.#expiry.findUnusedNames();
  }

  forgetNames(): Promise<void> {
    return this.#expiry.forgetNames();
  }

  /** A row is committed, and as much written beside the file as a snapshot takes: a little fits onto a full disk. */
  async ping(): Promise<void> {
    await this.#commit.exclusive(async () => {
      this.#checkFile();
      try {
        await replaceFile(`${this.#path}.tried`, new Uint8Array(triedBytes)).finally(() =>
          rm(`${this.#path}.tried`, { force: true }),
        );
        await this.#parts.connection.run('UPDATE version SET tried = tried + 1');
      } catch (error) {
        throw new MonitorError('unavailable', `the database takes no write: ${messageOf(error)}`, { cause: error });
      }
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#idleTimer);
    const { writer, connection, maintenance, readers, instance } = this.#parts;
    await this.#compaction.end();
    await readers.close();
    await this.#commit.exclusive(async () => {
      writer.dropAppenders();
      await connection.run('CHECKPOINT').catch(() => undefined);
      this.#expiry.end();
      for (const each of [connection, maintenance, this.#compacting]) each.closeSync();
      instance.closeSync();
    });
  }

  /** One that is refused, as somebody reads what was before, comes later by itself; so does one for which there is no room. */
  async #checkpoint(): Promise<void> {
    const { bavail, bsize } = await statfs(this.#path);
    if (bavail * bsize < 2 * (await stat(this.#path)).size) return;
    this.#parts.writer.dropAppenders();
    await this.#parts.maintenance.run('CHECKPOINT').catch(() => undefined);
  }

  #write(group: readonly Pending[]): Promise<void> {
    return this.#guarded(() => this.#parts.writer.write(group));
  }

  #writeSamples(group: readonly PendingSamples[]): Promise<void> {
    return this.#guarded(() => this.#parts.seriesWriter.writeSamples(group));
  }

  /** Nothing is acknowledged that went into a file that nobody can find. */
  async #guarded(write: () => Promise<void>): Promise<void> {
    this.#checkFile();
    try {
      await write();
    } catch (error) {
      if (/FATAL|invalidated/i.test(messageOf(error))) endThread(error);
      throw storeFailure(error);
    }
    this.#checkFile();
  }

  /** @throws MonitorError `unavailable`: what would be written now into a file that nobody can find would be lost */
  #checkFile(): void {
    if (identityOf(this.#path) === this.#file) return;
    throw new MonitorError(
      'unavailable',
      `${this.#path} has been removed or replaced while the server had it open; put it back, or restart the server`,
    );
  }

  /** Lowering the limit makes DuckDB let go of what it has read; then the same for what it was turned into. */
  #giveMemoryBack(): Promise<void> {
    if (!this.#parts.readers.isIdle(idleAfterMs)) return Promise.resolve();
    return this.#commit.exclusive(async () => {
      for (const limit of [memoryLimit.idle, memoryLimit.working])
        await this.#parts.maintenance.run(`SET memory_limit = '${limit}'`).catch(() => undefined);
      collectGarbage();
    });
  }
}

/**
 * After a disk that was full in the middle of a checkpoint DuckDB takes nothing more until it is opened again:
 * better the server ends with a sentence, and is started again, than that it answers 503 for ever.
 */
function endThread(cause: unknown): void {
  setImmediate(() => {
    throw new MonitorError(
      'unavailable',
      `DuckDB has failed and takes no more writes; restart the server: ${messageOf(cause)}`,
      { cause },
    );
  });
}

/** '' where there is none, or none that this user may see. */
function identityOf(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch {
    return '';
  }
}
