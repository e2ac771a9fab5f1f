import { statSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import type { DuckDBAppender, DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { dayOf } from '../../core/clock.ts';
import { MonitorError, messageOf } from '../../core/error.ts';
import type { Forecast } from '../../core/forecast.ts';
import type { MetricSample } from '../../core/sample.ts';
import { seriesKey } from '../../core/series.ts';
import type { TimeWindow } from '../../core/store.ts';
import { type HourTally, tallyCounts } from '../../core/tally.ts';
import { collectGarbage } from '../../platform/collect-garbage.ts';
import { replaceFile } from '../../platform/durable-file.ts';
import { GroupCommit } from '../group-commit.ts';
import { NameBudget } from '../name-budget.ts';
import { Dictionary } from './dictionary.ts';
import { decoded, NameTexts } from './name-texts.ts';
import { askForVerification, openDatabase } from './open-database.ts';
import type { PackedSnapshot } from './packed-snapshot.ts';
import type { Engine, ThreadData, Written, WrittenSamples } from './protocol.ts';
import { Readers } from './readers.ts';
import { DuckdbReads } from './reads.ts';
import { RecentTimes, rememberedTimes } from './recent-times.ts';
import { RowCounts } from './row-counts.ts';
import { type PendingSamples, SeriesWriter } from './series-writer.ts';
import { type Pending, SnapshotWriter, storeFailure } from './snapshot-writer.ts';
import { UnusedNames } from './unused-names.ts';

/** One core is left to the requests, and more than four only compete for memory. */
const threads = Math.max(1, Math.min(4, availableParallelism() - 1));
/**
 * DuckDB would take four fifths of the machine's memory, which is there for what is being watched; each of its threads
 * needs its part. What has been read stays in it until something else is: after a while without a question it is
 * given back.
 */
const memoryLimit = { working: `${96 + 32 * threads}MB`, idle: '48MB' };
const idleAfterMs = 15_000;
/** What a question spills beside the file; DuckDB would fill the disk. */
const mostSpilled = '1GB';
/** A checkpoint compresses and rewrites; at DuckDB's own 16 MB it comes too often to be worth it. */
const checkpointAt = '64MB';
/** Bytes in one transaction, some 60,000 rows, and bytes waiting, at most. */
const limits = { group: 2 * 1024 ** 2, queue: 64 * 1024 ** 2 };
/** A header with its texts, in memory. */
const headerBytes = 1000;
/** About what a snapshot of 300 processes takes. */
const triedBytes = 64 * 1024;
/** So much of other sources' samples is deleted at a time. */
const samplesExpiredMs = 6 * 3_600_000;
const seriesDeletedAtOnce = 20_000;
/** Bytes of a sample as it waits, beside the text of its labels. */
const sampleBytes = 200;
/** Process rows deleted at a time. */
const mostExpired = 2_000_000;

/**
 * The store itself, in the thread that calls this, and what had to be mended in its file. Only one process
 * can have the file open.
 * @throws MonitorError `unavailable` when the file cannot be opened, with the reason.
 */
export async function openEngine(options: ThreadData): Promise<{ engine: Engine; damage: string[] }> {
  const { path } = options;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // Left by a kill in the middle of a question.
    await rm(`${path}.tmp`, { recursive: true, force: true });
    const settings = {
      memory_limit: memoryLimit.working,
      wal_autocheckpoint: checkpointAt,
      max_temp_directory_size: mostSpilled,
      threads: String(threads),
    };
    const { instance, damage } = await openDatabase(path, settings, options.stamp);
    const engine = await DuckdbEngine.load(instance, options);
    // Whoever may look into the folder may not look into these.
    for (const file of [path, `${path}.wal`]) await chmod(file, 0o600).catch(() => undefined);
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

interface Parts {
  instance: DuckDBInstance;
  /** Appends only. */
  connection: DuckDBConnection;
  /** What a write looks up, and deletions. Whoever uses it has the turn in the chain of commits. */
  maintenance: DuckDBConnection;
  readers: Readers;
  hosts: Dictionary;
  names: NameTexts;
  recent: RecentTimes;
  series: NameTexts;
  counts: RowCounts;
  writer: SnapshotWriter;
  seriesWriter: SeriesWriter;
}

class DuckdbEngine extends DuckdbReads implements Engine {
  readonly #path: string;
  /** Device and inode of the file that is open. */
  readonly #file: string;
  readonly #retentionMs: number;
  readonly #parts: Parts;
  readonly #commit: GroupCommit<Pending>;
  readonly #samples: GroupCommit<PendingSamples>;
  readonly #idleTimer: NodeJS.Timeout;
  readonly #unused: UnusedNames;

  private constructor(parts: Parts, { path, retentionMs }: ThreadData) {
    super(parts);
    this.#parts = parts;
    this.#unused = new UnusedNames(parts);
    this.#path = path;
    this.#file = identityOf(path);
    this.#retentionMs = retentionMs;
    this.#commit = new GroupCommit(
      (group) => this.#write(group),
      ({ packed }) => packed.data.byteLength + headerBytes,
      limits,
    );
    this.#samples = new GroupCommit(
      (group) => this.#commit.exclusive(() => this.#writeSamples(group)),
      ({ samples }) => samples.reduce((sum, { series }) => sum + sampleBytes + 2 * seriesKey(series).length, 0),
      limits,
    );
    this.#idleTimer = setInterval(() => void this.#giveMemoryBack(), idleAfterMs / 3);
  }

  /** Reads what a write needs to know. Of process names that is the next id alone. */
  static async load(instance: DuckDBInstance, options: ThreadData): Promise<DuckdbEngine> {
    const connection = await instance.connect();
    // It only appends: there is nothing to optimise, and a fifth of a flush is planning.
    await connection.run('PRAGMA disable_optimizer');
    const transaction = { begin: await connection.prepare('BEGIN'), commit: await connection.prepare('COMMIT') };
    const maintenance = await instance.connect();
    const readers = await Readers.connect(instance, () => askForVerification(options.path));
    const [recent, counts, budget] = [
      new RecentTimes(),
      new RowCounts(),
      new NameBudget<number>(options.newNamesPerDay),
    ];
    const query = (sql: string) => readers.query(sql, { lane: 'present' });
    const hosts = new Dictionary(
      (await query('SELECT id, encode(text) AS text FROM host')).map(({ id, text }) => [id as number, decoded(text)]),
    );
    const times = await query(`
      SELECT host, list(time::DOUBLE)::VARCHAR AS times FROM (
        SELECT host, time FROM snapshot
        QUALIFY row_number() OVER (PARTITION BY host ORDER BY time DESC) <= ${rememberedTimes}) GROUP BY host`);
    for (const row of times) recent.load(row.host as number, JSON.parse(row.times as string));
    const hours = await query(`
      SELECT min(time)::DOUBLE AS time, count(*)::DOUBLE AS snapshots,
        (SELECT count(*) FROM usage) / (SELECT count(*) FROM snapshot)::DOUBLE AS rows FROM snapshot GROUP BY time // 3600000`);
    for (const { time, snapshots, rows } of hours as Record<string, number>[])
      counts.add(time as number, (snapshots as number) * (rows as number), snapshots);
    const today = dayOf(options.now);
    for (const row of await query(
      `SELECT host, count(*)::DOUBLE AS names FROM name WHERE day = ${today} AND host IS NOT NULL GROUP BY host`,
    ))
      budget.spend(row.host as number, row.names as number, options.now);
    const [next] = await query('SELECT coalesce(max(id), -1) + 1 AS id FROM name');
    const nextName = Number(next?.id ?? 0);
    const writer = new SnapshotWriter({
      connection,
      transaction,
      lookups: maintenance,
      hosts,
      budget,
      recent,
      counts,
      nextName,
    });
    const names = new NameTexts(readers, 'name');
    const series = new NameTexts(readers, 'series');
    const seriesWriter = await openSeriesWriter(connection, maintenance, readers, options);
    const parts = {
      instance,
      connection,
      maintenance,
      readers,
      hosts,
      names,
      series,
      recent,
      counts,
      writer,
      seriesWriter,
    };
    return new DuckdbEngine(parts, options);
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

  async writeSamples(samples: readonly MetricSample[], now: number): Promise<WrittenSamples> {
    const pending: PendingSamples = { samples, now, beyondBudget: [], warned: [] };
    await this.#samples.add(pending);
    return { beyondBudget: pending.beyondBudget, warned: pending.warned };
  }

  keepForecasts(forecasts: readonly Forecast[], now: number): Promise<void> {
    return this.#commit.exclusive(() => this.#parts.seriesWriter.writeRows('forecast', forecasts, appendForecast, now));
  }

  keepTallies({ from, to }: TimeWindow, tallies: readonly HourTally[], now: number): Promise<void> {
    const before = `DELETE FROM tally WHERE time > ${from} AND time <= ${to}`;
    return this.#commit.exclusive(() => this.#parts.seriesWriter.writeRows('tally', tallies, appendTally, now, before));
  }

  /** A stretch at a time: a week's rows in one deletion would take more memory than there is, and keep writers waiting. */
  async expire(now: number): Promise<void> {
    const oldest = Math.floor(now - this.#retentionMs);
    for (const end of this.#parts.counts.stretchesBefore(oldest, mostExpired))
      await this.#commit.exclusive(async () => {
        await this.#parts.maintenance.run(`DELETE FROM usage WHERE time < ${end}`);
      });
    await this.#expireSamples(oldest);
    await this.#commit.exclusive(() => this.#expireRest(oldest));
    this.#parts.counts.forget(oldest);
    await this.#forgetSeries();
  }

  async #expireSamples(oldest: number): Promise<void> {
    const first = async () => {
      const sql = `SELECT min(time)::DOUBLE AS time FROM sample WHERE time < ${oldest}`;
      const [row] = await this.#parts.readers.query(sql, { lane: 'background' });
      return (row?.time ?? null) as number | null;
    };
    for (let time = await first(); time !== null; time = await first()) {
      const sql = `DELETE FROM sample WHERE time < ${Math.min(oldest, time + samplesExpiredMs)}`;
      await this.#commit.exclusive(async () => void (await this.#parts.maintenance.run(sql)));
    }
  }

  /** Found beside the writing, and deleted as far as they are not used again meanwhile. */
  async #forgetSeries(): Promise<void> {
    const { seriesWriter, series, readers } = this.#parts;
    seriesWriter.watch();
    try {
      const used = ['sample', 'forecast', 'tally'].map((table) => `SELECT series FROM ${table}`).join(' UNION ');
      const rows = await readers.query(`SELECT id FROM series WHERE id NOT IN (${used})`, { lane: 'background' });
      if (rows.length === 0) return;
      for (let from = 0; from < rows.length; from += seriesDeletedAtOnce) {
        const ids = rows.slice(from, from + seriesDeletedAtOnce).map(({ id }) => id as number);
        await this.#commit.exclusive(() => seriesWriter.forget(ids));
        series.clear();
      }
    } finally {
      seriesWriter.unwatch();
    }
  }

  async #expireRest(oldest: number): Promise<void> {
    const { maintenance } = this.#parts;
    await maintenance.run(`DELETE FROM usage WHERE time < ${oldest}`);
    // What was marked as from the future is kept from when it came.
    const late = `FROM snapshot WHERE received < ${oldest}`;
    const [[count = 0] = []] = (await maintenance.runAndReadAll(`SELECT count(*)::INTEGER ${late}`)).getRows();
    if ((count as number) > 0)
      await maintenance.run(`DELETE FROM usage WHERE (host, time) IN (SELECT (host, time) ${late})`);
    await maintenance.run(`DELETE FROM snapshot WHERE time < ${oldest} OR received < ${oldest}`);
    for (const table of ['forecast', 'tally']) await maintenance.run(`DELETE FROM ${table} WHERE time < ${oldest}`);
    await this.#forgetHosts();
  }

  async #forgetHosts(): Promise<void> {
    const { hosts, recent, maintenance } = this.#parts;
    const rows = (await maintenance.runAndReadAll('SELECT DISTINCT host FROM snapshot')).getRows();
    const used = new Set(rows.map(([id]) => id));
    // Of one whose first snapshot could not be stored the next one brings the name along.
    for (const [id] of hosts.fresh()) used.add(id);
    const unused = hosts.ids().filter((id) => !used.has(id));
    if (unused.length === 0) return;
    await maintenance.run(`DELETE FROM host WHERE id IN (${unused.join(', ')})`);
    for (const id of unused) {
      hosts.remove(id);
      recent.forget(id);
    }
  }

  findUnusedNames(): Promise<number> {
    return this.#unused.find();
  }

  /** A few at a time, and none that has been used again. */
  async forgetNames(): Promise<void> {
    try {
      for (let left = true; left; ) left = await this.#commit.exclusive(() => this.#unused.deleteSome());
    } finally {
      this.#unused.end();
    }
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
        throw new MonitorError('unavailable', `it takes no write: ${messageOf(error)}`, { cause: error });
      }
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#idleTimer);
    await this.#commit.exclusive(async () => {
      const { writer, connection, maintenance, readers, instance } = this.#parts;
      writer.dropAppenders();
      await connection.run('CHECKPOINT').catch(() => undefined);
      readers.close();
      this.#unused.end();
      for (const each of [connection, maintenance]) each.closeSync();
      instance.closeSync();
    });
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

/** Reads what is needed to know: the next id, and what has been spent today. */
async function openSeriesWriter(
  connection: DuckDBConnection,
  lookups: DuckDBConnection,
  readers: Readers,
  { newNamesPerDay, now }: ThreadData,
): Promise<SeriesWriter> {
  const budget = new NameBudget<string>(newNamesPerDay);
  const spent = await readers.query(
    `SELECT encode(owner) AS owner, count(*)::DOUBLE AS series FROM series WHERE day = ${dayOf(now)} GROUP BY owner`,
    { lane: 'present' },
  );
  for (const { owner, series } of spent) budget.spend(decoded(owner), series as number, now);
  // Rows of a file that was damaged may have ids of series that are lost: they are not given again.
  const ids = [
    'SELECT id FROM series',
    ...['sample', 'forecast', 'tally'].map((table) => `SELECT max(series) FROM ${table}`),
  ];
  const [next] = await readers.query(`SELECT coalesce(max(id), -1) + 1 AS id FROM (${ids.join(' UNION ALL ')})`, {
    lane: 'present',
  });
  return new SeriesWriter({ connection, lookups, budget, nextSeries: Number(next?.id ?? 0) });
}

/**
 * After a disk that was full in the middle of a checkpoint DuckDB takes nothing more until it is opened again:
 * better the server ends with a sentence, and is started again, than that it answers 503 for ever.
 */
function endThread(cause: unknown): void {
  setImmediate(() => {
    throw new MonitorError('unavailable', `DuckDB gave up and has to be opened again: ${messageOf(cause)}`, { cause });
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

function appendNumber(appender: DuckDBAppender, value: number | null): void {
  if (value === null) appender.appendNull();
  else appender.appendDouble(value);
}

function appendTime(appender: DuckDBAppender, value: number | null): void {
  if (value === null) appender.appendNull();
  else appender.appendBigInt(BigInt(value));
}

function appendForecast(appender: DuckDBAppender, forecast: Forecast, series: number): void {
  appendTime(appender, forecast.time);
  appender.appendInteger(series);
  for (const value of [forecast.value, forecast.threshold, forecast.probability]) appendNumber(appender, value);
  appendTime(appender, forecast.amberSince);
  appendTime(appender, forecast.notifySince);
  appender.appendBoolean(forecast.isMuted);
  for (const value of [forecast.etaSeconds, ...(forecast.intervalSeconds ?? [null, null])])
    appendNumber(appender, value);
  appender.appendVarchar(forecast.reason);
  appender.endRow();
}

function appendTally(appender: DuckDBAppender, hour: HourTally, series: number): void {
  appendTime(appender, hour.time);
  appender.appendInteger(series);
  appender.appendBoolean(hour.isMuted);
  for (const count of tallyCounts) appendNumber(appender, hour.tally[count]);
  if (hour.tally.leadsMs.length === 0) appender.appendNull();
  else appender.appendVarchar(hour.tally.leadsMs.join(' '));
  appender.endRow();
}
