import { statSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import type { DuckDBAppender, DuckDBConnection, DuckDBInstance, DuckDBPreparedStatement } from '@duckdb/node-api';
import { MonitorError, messageOf } from '../../core/error.ts';
import type { Forecast } from '../../core/forecast.ts';
import { groupBy } from '../../core/group-by.ts';
import { placedAt } from '../../core/host-clock.ts';
import { type HostMetric, hostMetrics, type SnapshotHeader, type UsageMetric } from '../../core/snapshot.ts';
import type {
  Above,
  ForecastQuery,
  Point,
  RunQuery,
  SeriesKey,
  SnapshotKey,
  StoreOptions,
  TimeWindow,
  UsageFilter,
} from '../../core/store.ts';
import { replaceFile } from '../../durable-file.ts';
import { binByTime } from '../bin-by-time.ts';
import { GroupCommit } from '../group-commit.ts';
import { AboutIndex } from './about-index.ts';
import { UsageAppender } from './append.ts';
import { Dictionary } from './dictionary.ts';
import { askForVerification, openDatabase } from './open-database.ts';
import type { PackedSnapshot } from './packed-snapshot.ts';
import type { Engine } from './protocol.ts';
import {
  type About,
  detailedSql,
  forecastsSql,
  hostsSql,
  hostsWithSql,
  type IdFilter,
  meanSql,
  pageEndSql,
  type RunIds,
  type RunMetric,
  rowsSql,
  runsSql,
  seriesAboveSql,
  stepMeansSql,
  toForecast,
  toHeader,
  toMean,
  toUsage,
} from './queries.ts';
import { Readers } from './readers.ts';
import { RecentTimes, rememberedTimes } from './recent-times.ts';
import { type DictionaryName, dictionaryNames } from './schema.ts';

/** DuckDB would take four fifths of the machine's memory, which is there for what is being watched. */
const memoryLimit = '1GB';
/** A checkpoint compresses and rewrites; at DuckDB's own 16 MB it comes too often to be worth it. */
const checkpointAt = '64MB';
/** Bytes in one transaction, some 60,000 rows, and bytes waiting, at most. */
const limits = { group: 2 * 1024 ** 2, queue: 64 * 1024 ** 2 };
/** A header with its texts, in memory. */
const headerBytes = 1000;
/** About what a snapshot of 300 processes takes. */
const triedBytes = 64 * 1024;
/** Unused process names are looked for once the dictionary is larger than this. */
const largeDictionary = 20_000;

/**
 * The store itself, in the thread that calls this, and what had to be mended in its file. Only one process
 * can have the file open.
 * @throws MonitorError `unavailable` when the file cannot be opened, with the reason.
 */
export async function openEngine(
  path: string,
  options: Pick<StoreOptions, 'retentionMs'> & { stamp: string },
): Promise<{ engine: Engine; damage: string[] }> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const settings = {
      memory_limit: memoryLimit,
      wal_autocheckpoint: checkpointAt,
      // One core is left to the requests.
      threads: String(Math.max(1, availableParallelism() - 1)),
    };
    const { instance, damage } = await openDatabase(path, settings, options.stamp);
    const connection = await instance.connect();
    // It only appends: there is nothing to optimise, and a fifth of a flush is planning.
    await connection.run('PRAGMA disable_optimizer');
    const transaction = { begin: await connection.prepare('BEGIN'), commit: await connection.prepare('COMMIT') };
    const store = new DuckdbEngine(
      path,
      options.retentionMs,
      instance,
      connection,
      transaction,
      await Readers.connect(instance, () => askForVerification(path)),
    );
    await store.load();
    // Whoever may look into the folder may not look into these.
    for (const file of [path, `${path}.wal`]) await chmod(file, 0o600).catch(() => undefined);
    return { engine: store, damage };
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
  return message.split('\n', 1)[0] ?? message;
}

/** Prepared: parsing them anew for every group cost a tenth of it. */
type Transaction = Record<'begin' | 'commit', DuckDBPreparedStatement>;

class DuckdbEngine implements Engine {
  readonly #path: string;
  /** Device and inode of the file that is open. */
  readonly #file: string;
  readonly #retentionMs: number;
  readonly #instance: DuckDBInstance;
  /** Writes only. */
  readonly #connection: DuckDBConnection;
  readonly #transaction: Transaction;
  readonly #readers: Readers;
  readonly #commit: GroupCommit<PackedSnapshot>;
  readonly #usage = new UsageAppender();
  readonly #recent = new RecentTimes();
  /** A text that came with a snapshot that could not be stored stays fresh, and is stored with the next. */
  #dictionaries: Record<DictionaryName, Dictionary> = {
    host: new Dictionary(),
    name: new Dictionary(),
    about: new Dictionary(),
  };
  #about = new AboutIndex();
  #appenders: Record<DictionaryName | 'snapshot' | 'usage', DuckDBAppender> | null = null;

  constructor(
    path: string,
    retentionMs: number,
    instance: DuckDBInstance,
    connection: DuckDBConnection,
    transaction: Transaction,
    readers: Readers,
  ) {
    this.#path = path;
    this.#file = identityOf(path);
    this.#retentionMs = retentionMs;
    this.#instance = instance;
    this.#connection = connection;
    this.#transaction = transaction;
    this.#readers = readers;
    this.#commit = new GroupCommit(
      (group) => this.#write(group),
      (snapshot) => snapshot.data.byteLength + headerBytes,
      limits,
    );
  }

  async load(): Promise<void> {
    for (const name of dictionaryNames) {
      const rows = await this.#readers.query(`SELECT id, text FROM ${name}`);
      this.#dictionaries[name] = new Dictionary(rows.map((row) => [row.id as number, row.text as string]));
    }
    this.#about = new AboutIndex(this.#dictionaries.about.entries());
    const recent = await this.#readers.query(`
      SELECT host, list(time::DOUBLE)::VARCHAR AS times FROM (
        SELECT host, time FROM snapshot
        QUALIFY row_number() OVER (PARTITION BY host ORDER BY time DESC) <= ${rememberedTimes}) GROUP BY host`);
    for (const row of recent) this.#recent.load(row.host as number, JSON.parse(row.times as string));
  }

  async write(snapshots: readonly PackedSnapshot[]): Promise<void> {
    for (const [id, name] of snapshots.flatMap((snapshot) => snapshot.freshNames))
      this.#dictionaries.name.add(id, name);
    await this.#commit.addAll(snapshots);
  }

  async hosts(at: number) {
    const rows = await this.#readers.query(hostsSql(at, this.#about.fromFuture));
    const headers = rows.map((row) => toHeader(row, this.#dictionaries.host, this.#dictionaries.about));
    const byHost = new Map(headers.map((header) => [header.host, header]));
    return [...byHost.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  async rowsOf(snapshots: readonly SnapshotKey[], above?: Above) {
    const keys = snapshots.flatMap(({ host, time }) => {
      const id = this.#dictionaries.host.find(host);
      return id === undefined ? [] : [{ host: id, time }];
    });
    const bins = await Promise.all(binByTime(keys).map((bin) => this.#readers.query(rowsSql(bin, above))));
    return bins.flat().map((row) => toUsage(row, this.#dictionaries.host, this.#dictionaries.name));
  }

  async mean(query: TimeWindow & UsageFilter & { top?: number }) {
    const filter = await this.#ids(query);
    if (!filter) return [];
    const rows = await this.#readers.query(meanSql(query, filter, query.top));
    return rows.map((row) => toMean(row, this.#dictionaries.name));
  }

  async detailed(query: TimeWindow & UsageFilter & { limit: number; skip: number }) {
    const filter = await this.#ids(query);
    if (!filter) return [];
    const [end] = await this.#readers.query(pageEndSql(query, filter, query.skip + query.limit));
    const page = end ? { from: query.from, to: end.time as number } : query;
    const rows = await this.#readers.query(detailedSql(page, filter, query.limit, query.skip));
    return rows.map((row) => toUsage(row, this.#dictionaries.host, this.#dictionaries.name));
  }

  async runs(queries: readonly RunQuery[], window: TimeWindow) {
    const known = queries.flatMap(({ series, ...levels }, index): (RunIds & { metric: RunMetric })[] => {
      const ids = this.#seriesIds(series);
      return ids ? [{ ...levels, index, ...ids, metric: series.metric }] : [];
    });
    const since: (number | null)[] = queries.map(() => null);
    for (const [metric, group] of groupBy(known, (query) => query.metric)) {
      const rows = await this.#readers.query(runsSql(metric, group, window));
      for (const row of rows) since[row.i as number] = row.since as number;
    }
    return since;
  }

  async stepMeans(series: readonly SeriesKey[], window: TimeWindow, stepMs: number) {
    const points: Point[][] = series.map(() => []);
    const known = series.flatMap((key, index) => {
      const ids = this.#seriesIds(key);
      return ids ? [{ ...ids, index, metric: key.metric as RunMetric }] : [];
    });
    for (const [metric, group] of groupBy(known, (ids) => ids.metric)) {
      for (const row of await this.#readers.query(stepMeansSql(metric, group, window, stepMs))) {
        if (row.value !== null) points[row.i as number]?.push({ time: row.step as number, value: row.value as number });
      }
    }
    return points;
  }

  async seriesAbove(metric: RunMetric, level: number, window: TimeWindow): Promise<SeriesKey[]> {
    const rows = await this.#readers.query(seriesAboveSql(metric, level, window));
    return rows.map((row) => {
      const host = this.#dictionaries.host.text(row.host as number);
      if (row.name === null) return { kind: 'system', host, metric: metric as HostMetric };
      const process = this.#dictionaries.name.text(row.name as number);
      return { kind: 'process', host, process, metric: metric as UsageMetric };
    });
  }

  keepForecasts(forecasts: readonly Forecast[]): Promise<void> {
    return this.#commit.exclusive(async () => {
      const appender = await this.#connection.createAppender('forecast');
      for (const forecast of forecasts) {
        const host = this.#dictionaries.host.find(forecast.host);
        const name = forecast.process === null ? null : this.#dictionaries.name.find(forecast.process);
        // What has expired meanwhile needs no forecast any more.
        if (host !== undefined && name !== undefined) appendForecast(appender, forecast, host, name);
      }
      appender.closeSync();
    });
  }

  async forecasts({ host, process, metric, ...window }: ForecastQuery) {
    const hostId = host === undefined ? undefined : this.#dictionaries.host.find(host);
    const name = process == null ? process : this.#dictionaries.name.find(process);
    if ((host !== undefined && hostId === undefined) || (process != null && name === undefined)) return [];
    const ids = { ...(hostId !== undefined && { host: hostId }), ...(name !== undefined && { name }) };
    const rows = await this.#readers.query(forecastsSql(window, { ...ids, ...(metric && { metric }) }));
    return rows.map((row) => toForecast(row, this.#dictionaries.host, this.#dictionaries.name));
  }

  names(): Promise<[id: number, text: string][]> {
    return Promise.resolve(this.#dictionaries.name.entries());
  }

  expire(now: number): Promise<void> {
    return this.#commit.exclusive(async () => {
      const oldest = Math.floor(now - this.#retentionMs);
      for (const table of ['usage', 'snapshot', 'forecast'])
        await this.#readers.query(`DELETE FROM ${table} WHERE time < ${oldest}`);
      await this.#forgetUnused('host', 'snapshot');
      await this.#forgetUnused('about', 'snapshot');
      if (this.#dictionaries.name.size > largeDictionary) await this.#forgetUnused('name', 'usage');
      await this.load();
    });
  }

  /** A row is committed, and as much written beside the file as a snapshot takes: a little fits onto a full disk. */
  async ping(): Promise<void> {
    await this.#commit.exclusive(async () => {
      this.#checkFile();
      try {
        await replaceFile(`${this.#path}.tried`, new Uint8Array(triedBytes)).finally(() =>
          rm(`${this.#path}.tried`, { force: true }),
        );
        await this.#connection.run('UPDATE version SET tried = tried + 1');
      } catch (error) {
        throw new MonitorError('unavailable', `it takes no write: ${messageOf(error)}`, { cause: error });
      }
    });
  }

  /** @throws MonitorError `unavailable`: what would be written now into a file that nobody can find would be lost */
  #checkFile(): void {
    if (identityOf(this.#path) === this.#file) return;
    throw new MonitorError(
      'unavailable',
      `${this.#path} has been removed or replaced while the server had it open; put it back, or restart the server`,
    );
  }

  async close(): Promise<void> {
    await this.#commit.exclusive(async () => {
      this.#dropAppenders();
      await this.#connection.run('CHECKPOINT').catch(() => undefined);
      this.#connection.closeSync();
      this.#readers.close();
      this.#instance.closeSync();
    });
  }

  /** Null when its host or process was never stored. */
  #seriesIds(series: SeriesKey): { host: number; name: number | null } | null {
    const host = this.#dictionaries.host.find(series.host);
    const name = series.kind === 'process' ? this.#dictionaries.name.find(series.process) : null;
    return host === undefined || name === undefined ? null : { host, name };
  }

  /** Names and the address as ids; null when what is asked for was never stored. */
  async #ids(filter: UsageFilter & TimeWindow): Promise<IdFilter | null> {
    const hosts = filter.hosts?.map((host) => this.#dictionaries.host.find(host)).filter((id) => id !== undefined);
    const name = filter.process === undefined ? undefined : this.#dictionaries.name.find(filter.process);
    if (hosts?.length === 0 || (filter.process !== undefined && name === undefined)) return null;
    const ofHosts =
      filter.ip === undefined ? { ...(hosts && { hosts }) } : await this.#withIp(filter.ip, filter, hosts);
    return ofHosts && { ...ofHosts, ...(name !== undefined && { name }) };
  }

  /** Nearly always a host has one address in the whole window, and then its id says all. */
  async #withIp(ip: string, window: TimeWindow, hosts: number[] | undefined): Promise<IdFilter | null> {
    const about = this.#about.withIp(ip);
    const rows = about.length === 0 ? [] : await this.#readers.query(hostsWithSql(window, about, hosts));
    if (rows.length === 0) return null;
    const idsOf = (whole: boolean) => rows.filter((row) => row.whole === whole).map((row) => row.host as number);
    const partly = idsOf(false);
    return { hosts: idsOf(true), ...(partly.length > 0 && { partly: { hosts: partly, about } }) };
  }

  #forgetUnused(dictionary: DictionaryName, table: string): Promise<unknown> {
    return this.#readers.query(
      `DELETE FROM ${dictionary} WHERE id NOT IN (SELECT DISTINCT ${dictionary} FROM ${table})`,
    );
  }

  async #write(group: readonly PackedSnapshot[]): Promise<void> {
    this.#checkFile();
    const fresh = await this.#withoutStored(group);
    if (fresh.size === 0) return;
    let texts: Record<DictionaryName, number>;
    try {
      await this.#transaction.begin.run();
      texts = await this.#append(fresh);
      await this.#transaction.commit.run();
    } catch (error) {
      await this.#rollBack(fresh);
      if (/FATAL|invalidated/i.test(messageOf(error))) endThread(error);
      // Of a full disk or a failed commit no snapshot is the cause: none is to be tried again alone.
      const code = /IO Error|FATAL|invalidated|No space|memory/i.test(messageOf(error)) ? 'unavailable' : 'internal';
      throw new MonitorError(code, `DuckDB could not store a snapshot: ${messageOf(error)}`, { cause: error });
    }
    for (const name of dictionaryNames) this.#dictionaries[name].keep(texts[name]);
    for (const [{ header }, host] of fresh) this.#recent.add(host, header.time);
    this.#checkFile();
  }

  /** The snapshots that are not stored yet, each (host, time) once, with the host's id. */
  async #withoutStored(group: readonly PackedSnapshot[]): Promise<Map<PackedSnapshot, number>> {
    const fresh = new Map<PackedSnapshot, number>();
    const doubtful: number[] = [];
    const seen = new Set<string>();
    for (const snapshot of group) {
      const { time } = snapshot.header;
      const host = this.#dictionaries.host.idOf(snapshot.header.host);
      const known = this.#recent.lookUp(host, time);
      if (seen.has(`${host} ${time}`) || known === 'stored') continue;
      seen.add(`${host} ${time}`);
      fresh.set(snapshot, host);
      if (known === 'ask') doubtful.push(time);
    }
    const stored = doubtful.length > 0 ? await this.#stored(doubtful) : new Set();
    return new Map([...fresh].filter(([{ header }, host]) => !stored.has(`${host} ${header.time}`)));
  }

  async #stored(times: readonly number[]): Promise<Set<string>> {
    const list = [...new Set(times)].join(', ');
    const rows = await this.#readers.query(`SELECT host, time::DOUBLE AS time FROM snapshot WHERE time IN (${list})`);
    return new Set(rows.map((row) => `${row.host} ${row.time}`));
  }

  /** Resolves with how many texts of each dictionary went along: more may come before the commit. */
  async #append(snapshots: ReadonlyMap<PackedSnapshot, number>): Promise<Record<DictionaryName, number>> {
    const appenders = await this.#openAppenders();
    for (const [snapshot, host] of snapshots) {
      this.#appendHeader(appenders.snapshot, snapshot.header, host);
      this.#usage.add(appenders.usage, snapshot, host);
    }
    this.#usage.flush(appenders.usage);
    const texts = { host: 0, name: 0, about: 0 };
    for (const name of dictionaryNames) {
      for (const [id, text] of this.#dictionaries[name].fresh()) {
        appenders[name].appendInteger(id);
        appenders[name].appendVarchar(text);
        appenders[name].endRow();
        texts[name]++;
      }
      if (texts[name] > 0) appenders[name].flushSync();
    }
    appenders.snapshot.flushSync();
    appenders.usage.flushSync();
    return texts;
  }

  async #openAppenders(): Promise<Record<DictionaryName | 'snapshot' | 'usage', DuckDBAppender>> {
    if (this.#appenders) return this.#appenders;
    const open = (table: string) => this.#connection.createAppender(table);
    const [host, name, about, snapshot, usage] = [
      await open('host'),
      await open('name'),
      await open('about'),
      await open('snapshot'),
      await open('usage'),
    ];
    this.#appenders = { host, name, about, snapshot, usage };
    return this.#appenders;
  }

  #appendHeader(appender: DuckDBAppender, header: SnapshotHeader, host: number): void {
    const { host: _, time, metrics, ...about } = header;
    appender.appendInteger(host);
    appender.appendBigInt(BigInt(time));
    appender.appendInteger(this.#aboutId(about));
    appender.appendVarchar(JSON.stringify(hostMetrics.map((metric) => metrics[metric] ?? null)));
    appender.appendBigInt(BigInt(placedAt(header)));
    appender.endRow();
  }

  #aboutId(about: About): number {
    const { about: dictionary } = this.#dictionaries;
    const [text, known] = [JSON.stringify(about), dictionary.size];
    const id = dictionary.idOf(text);
    if (dictionary.size > known) this.#about.learn(id, about);
    return id;
  }

  async #rollBack(snapshots: ReadonlyMap<PackedSnapshot, number>): Promise<void> {
    this.#usage.clear();
    this.#dropAppenders();
    await this.#connection.run('ROLLBACK').catch(() => undefined);
    for (const [{ header }, host] of snapshots) this.#recent.distrust(host, header.time);
  }

  #dropAppenders(): void {
    for (const appender of Object.values(this.#appenders ?? {})) {
      appender.clear();
      appender.closeSync();
    }
    this.#appenders = null;
  }
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

function appendForecast(appender: DuckDBAppender, forecast: Forecast, host: number, name: number | null): void {
  const number = (value: number | null) => (value === null ? appender.appendNull() : appender.appendDouble(value));
  const time = (value: number | null) =>
    value === null ? appender.appendNull() : appender.appendBigInt(BigInt(value));
  time(forecast.time);
  appender.appendInteger(host);
  if (name === null) appender.appendNull();
  else appender.appendInteger(name);
  appender.appendVarchar(forecast.metric);
  for (const value of [forecast.value, forecast.threshold, forecast.probability]) number(value);
  time(forecast.amberSince);
  time(forecast.notifySince);
  appender.appendBoolean(forecast.isMuted);
  for (const value of [forecast.etaSeconds, ...(forecast.intervalSeconds ?? [null, null])]) number(value);
  appender.appendVarchar(forecast.reason);
  appender.endRow();
}
