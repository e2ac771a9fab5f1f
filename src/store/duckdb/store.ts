import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type DuckDBAppender, type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { MonitorError, messageOf } from '../../core/error.ts';
import { groupBy } from '../../core/group-by.ts';
import { hostMetrics, type Snapshot } from '../../core/snapshot.ts';
import type { Above, RunQuery, SnapshotKey, Store, StoreOptions, TimeWindow, UsageFilter } from '../../core/store.ts';
import { binByTime } from '../bin-by-time.ts';
import { GroupCommit } from '../group-commit.ts';
import { UsageAppender } from './append.ts';
import { Dictionary } from './dictionary.ts';
import {
  detailedSql,
  hostsSql,
  type IdFilter,
  meanSql,
  type RunIds,
  type RunMetric,
  rowsSql,
  runsSql,
  toHeader,
  toMean,
  toUsage,
} from './queries.ts';
import { Readers } from './readers.ts';
import { RecentTimes, rememberedTimes } from './recent-times.ts';
import { tables } from './schema.ts';

/** DuckDB would take four fifths of the machine's memory, which is there for what is being watched. */
const memoryLimit = '1GB';
/** Rows in one transaction and rows waiting, at most. */
const limits = { group: 60_000, queue: 2_000_000 };
/** Unused process names are looked for once the dictionary is larger than this. */
const largeDictionary = 20_000;

/**
 * The embedded default: one file, no set-up. Only this process can have it open.
 * @throws MonitorError `unavailable` when the file cannot be opened, with the reason.
 */
export async function openDuckdbStore(path: string, options: StoreOptions): Promise<Store> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const instance = await DuckDBInstance.create(path, { memory_limit: memoryLimit });
    const connection = await instance.connect();
    for (const statement of tables) await connection.run(statement);
    const store = new DuckdbStore(`duckdb:${path}`, options.retentionMs, instance, connection, await Readers.connect(instance));
    await store.load();
    return store;
  } catch (error) {
    throw new MonitorError('unavailable', `cannot open the store ${path}: ${openFailure(messageOf(error))}`, { cause: error });
  }
}

function openFailure(message: string): string {
  const holder = /Conflicting lock is held in (.*?) \(PID (\d+)\)/.exec(message);
  if (holder) return `process ${holder[2]} has it open; stop that one or choose another --data folder`;
  if (/permission denied|EACCES/i.test(message)) return 'permission denied; choose a folder this user may write to with --data';
  return message.split('\n', 1)[0] ?? message;
}

class DuckdbStore implements Store {
  readonly url: string;
  readonly #retentionMs: number;
  readonly #instance: DuckDBInstance;
  readonly #connection: DuckDBConnection;
  readonly #readers: Readers;
  readonly #commit: GroupCommit<Snapshot>;
  readonly #usage = new UsageAppender();
  readonly #recent = new RecentTimes();
  #hosts = new Dictionary([]);
  #names = new Dictionary([]);
  #appenders: Record<'host' | 'name' | 'snapshot' | 'usage', DuckDBAppender> | null = null;

  constructor(
    url: string,
    retentionMs: number,
    instance: DuckDBInstance,
    connection: DuckDBConnection,
    readers: Readers,
  ) {
    this.url = url;
    this.#retentionMs = retentionMs;
    this.#instance = instance;
    this.#connection = connection;
    this.#readers = readers;
    this.#commit = new GroupCommit(
      (group) => this.#write(group),
      (snapshot) => snapshot.processes.name.length + 1,
      limits,
    );
  }

  async load(): Promise<void> {
    const entries = async (table: string) =>
      (await this.#readers.query(`SELECT id, name FROM ${table}`)).map((row) => [row.id as number, row.name as string] as const);
    this.#hosts = new Dictionary(await entries('host'));
    this.#names = new Dictionary(await entries('name'));
    const recent = await this.#readers.query(`
      SELECT host, list(time::DOUBLE)::VARCHAR AS times FROM (
        SELECT host, time FROM snapshot
        QUALIFY row_number() OVER (PARTITION BY host ORDER BY time DESC) <= ${rememberedTimes}) GROUP BY host`);
    for (const row of recent) this.#recent.load(row.host as number, JSON.parse(row.times as string));
  }

  async write(snapshots: readonly Snapshot[]): Promise<void> {
    await this.#commit.addAll(snapshots);
  }

  async hosts(at: number) {
    const rows = await this.#readers.query(hostsSql(at));
    return rows.map((row) => toHeader(row, this.#hosts)).sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  async rowsOf(snapshots: readonly SnapshotKey[], above?: Above) {
    const keys = snapshots.flatMap(({ host, time }) => {
      const id = this.#hosts.find(host);
      return id === undefined ? [] : [{ host: id, time }];
    });
    const bins = await Promise.all(binByTime(keys).map((bin) => this.#readers.query(rowsSql(bin, above))));
    return bins.flat().map((row) => toUsage(row, this.#hosts, this.#names));
  }

  async mean(query: TimeWindow & UsageFilter & { top?: number }) {
    const filter = this.#ids(query);
    if (!filter) return [];
    const rows = await this.#readers.query(meanSql(query, filter, query.top));
    return rows.map((row) => toMean(row, this.#names));
  }

  async detailed(query: TimeWindow & UsageFilter & { limit: number; skip: number }) {
    const filter = this.#ids(query);
    if (!filter) return [];
    const rows = await this.#readers.query(detailedSql(query, filter, query.limit, query.skip));
    return rows.map((row) => toUsage(row, this.#hosts, this.#names));
  }

  async runs(queries: readonly RunQuery[], window: TimeWindow) {
    const known = queries.flatMap(({ series, ...levels }, index): (RunIds & { metric: RunMetric })[] => {
      const host = this.#hosts.find(series.host);
      const name = series.kind === 'process' ? this.#names.find(series.process) : null;
      return host === undefined || name === undefined ? [] : [{ ...levels, index, host, name, metric: series.metric }];
    });
    const since: (number | null)[] = queries.map(() => null);
    for (const [metric, group] of groupBy(known, (query) => query.metric)) {
      const rows = await this.#readers.query(runsSql(metric, group, window));
      for (const row of rows) since[row.i as number] = row.since as number;
    }
    return since;
  }

  expire(now: number): Promise<void> {
    return this.#commit.exclusive(async () => {
      const oldest = Math.floor(now - this.#retentionMs);
      for (const table of ['usage', 'snapshot']) await this.#connection.run(`DELETE FROM ${table} WHERE time < ${oldest}`);
      await this.#connection.run('DELETE FROM host WHERE id NOT IN (SELECT host FROM snapshot)');
      if (this.#names.size > largeDictionary) {
        await this.#connection.run('DELETE FROM name WHERE id NOT IN (SELECT DISTINCT name FROM usage)');
      }
      await this.load();
    });
  }

  async ping(): Promise<void> {
    await this.#commit.exclusive(() => this.#connection.run('SELECT 1'));
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

  /** Names as ids; null when a name asked for was never stored. */
  #ids(filter: UsageFilter): IdFilter | null {
    const hosts = filter.hosts?.map((host) => this.#hosts.find(host)).filter((id) => id !== undefined);
    const name = filter.process === undefined ? undefined : this.#names.find(filter.process);
    if (hosts?.length === 0 || (filter.process !== undefined && name === undefined)) return null;
    return { ...(hosts && { hosts }), ...(name !== undefined && { name }) };
  }

  async #write(group: readonly Snapshot[]): Promise<void> {
    const fresh = await this.#withoutStored(group);
    if (fresh.size === 0) return;
    try {
      await this.#connection.run('BEGIN');
      await this.#append(fresh);
      await this.#connection.run('COMMIT');
    } catch (error) {
      await this.#rollBack(fresh);
      throw new MonitorError('internal', `DuckDB refused to store a snapshot: ${messageOf(error)}`, { cause: error });
    }
    this.#hosts.keep();
    this.#names.keep();
    for (const [snapshot, host] of fresh) this.#recent.add(host, snapshot.time);
  }

  /** The snapshots that are not stored yet, each (host, time) once, with the host's id. */
  async #withoutStored(group: readonly Snapshot[]): Promise<Map<Snapshot, number>> {
    const fresh = new Map<Snapshot, number>();
    const doubtful: SnapshotKey[] = [];
    const seen = new Set<string>();
    for (const snapshot of group) {
      const host = this.#hosts.idOf(snapshot.host);
      const key = `${host} ${snapshot.time}`;
      const known = this.#recent.lookUp(host, snapshot.time);
      if (seen.has(key) || known === 'stored') continue;
      seen.add(key);
      fresh.set(snapshot, host);
      if (known === 'ask') doubtful.push(snapshot);
    }
    const stored = doubtful.length > 0 ? await this.#stored(doubtful) : new Set();
    for (const [snapshot, host] of fresh) if (stored.has(`${host} ${snapshot.time}`)) fresh.delete(snapshot);
    return fresh;
  }

  async #stored(keys: readonly SnapshotKey[]): Promise<Set<string>> {
    const times = [...new Set(keys.map((key) => key.time))].join(', ');
    const rows = await this.#readers.query(`SELECT host, time::DOUBLE AS time FROM snapshot WHERE time IN (${times})`);
    return new Set(rows.map((row) => `${row.host} ${row.time}`));
  }

  async #append(snapshots: ReadonlyMap<Snapshot, number>): Promise<void> {
    this.#appenders ??= {
      host: await this.#connection.createAppender('host'),
      name: await this.#connection.createAppender('name'),
      snapshot: await this.#connection.createAppender('snapshot'),
      usage: await this.#connection.createAppender('usage'),
    };
    const { host, name, snapshot: header, usage } = this.#appenders;
    for (const [snapshot, id] of snapshots) {
      appendHeader(header, snapshot, id);
      this.#usage.add(usage, snapshot, id, this.#names);
    }
    this.#usage.flush(usage);
    for (const [appender, dictionary] of [[host, this.#hosts] as const, [name, this.#names] as const]) {
      for (const [id, text] of dictionary.fresh()) {
        appender.appendInteger(id);
        appender.appendVarchar(text);
        appender.endRow();
      }
      appender.flushSync();
    }
    header.flushSync();
    usage.flushSync();
  }

  async #rollBack(snapshots: ReadonlyMap<Snapshot, number>): Promise<void> {
    this.#usage.clear();
    this.#dropAppenders();
    await this.#connection.run('ROLLBACK').catch(() => undefined);
    this.#hosts.undo();
    this.#names.undo();
    for (const host of snapshots.values()) this.#recent.distrust(host);
  }

  #dropAppenders(): void {
    for (const appender of Object.values(this.#appenders ?? {})) {
      appender.clear();
      appender.closeSync();
    }
    this.#appenders = null;
  }
}

function appendHeader(appender: DuckDBAppender, snapshot: Snapshot, host: number): void {
  const text = (value: string | null) => (value === null ? appender.appendNull() : appender.appendVarchar(value));
  const number = (value: number | null | undefined) =>
    value === null || value === undefined ? appender.appendNull() : appender.appendDouble(value);
  appender.appendInteger(host);
  appender.appendBigInt(BigInt(snapshot.time));
  text(snapshot.ip);
  appender.appendInteger(snapshot.intervalMs);
  text(snapshot.bootId);
  number(snapshot.cores);
  number(snapshot.memoryBytes);
  text(snapshot.limitedBy);
  for (const metric of hostMetrics) number(snapshot.metrics[metric]);
  appender.endRow();
}
