import type { DuckDBAppender, DuckDBConnection, DuckDBPreparedStatement } from '@duckdb/node-api';
import { dayOf } from '../../core/clock.ts';
import { MonitorError, messageOf } from '../../core/error.ts';
import { placedAt } from '../../core/host-clock.ts';
import { hostColumn, hostMetrics } from '../../core/metric.ts';
import { reservedNames, type SnapshotHeader } from '../../core/snapshot.ts';
import type { NameBudget } from '../name-budget.ts';
import type { Dictionary } from './dictionary.ts';
import type { KeptHeader } from './header-sql.ts';
import { idsSql, namesValue } from './name-texts.ts';
import { nameUnknown, type PackedSnapshot, section } from './packed-snapshot.ts';
import type { OverBudget } from './protocol.ts';
import type { RecentTimes } from './recent-times.ts';
import type { RowCounts } from './row-counts.ts';
import { UsageAppender } from './usage-appender.ts';

/** A snapshot that waits to be written, and what became of it. */
export interface Pending {
  packed: PackedSnapshot;
  /** Wall time as it came. */
  now: number;
  learned: [name: string, id: number][];
  overBudget: Omit<OverBudget, 'index'> | null;
  /** Since when names of its host are folded today; null: none are. */
  foldedSince: number | null;
  /** Takes its new ids out again; null: it has none. */
  unname: (() => void) | null;
}

/** Prepared: parsing them anew for every group cost a tenth of it. */
export type Transaction = Record<'begin' | 'commit', DuckDBPreparedStatement>;

type Table = 'host' | 'name' | 'snapshot' | 'usage';
/** A name that is stored with the rows that have it for the first time. */
interface FreshName {
  id: number;
  name: string;
  host: number;
  /** Wall time as it came. */
  at: number;
}

interface Parts {
  /** Appends only. */
  connection: DuckDBConnection;
  transaction: Transaction;
  /** For what has to be looked up before: no write waits for whoever reads. */
  lookups: DuckDBConnection;
  hosts: Dictionary;
  budget: NameBudget<number>;
  recent: RecentTimes;
  counts: RowCounts;
  nextName: number;
}

/** Writes groups of snapshots, one at a time. */
export class SnapshotWriter {
  readonly #connection: DuckDBConnection;
  readonly #transaction: Transaction;
  readonly #lookups: DuckDBConnection;
  readonly #hosts: Dictionary;
  readonly #budget: NameBudget<number>;
  readonly #recent: RecentTimes;
  readonly #counts: RowCounts;
  readonly #usage = new UsageAppender();
  #nextName: number;
  #appenders: Record<Table, DuckDBAppender> | null = null;
  /** Ids of names that rows were written with since that was asked; null: nobody has. */
  #usedNames: Set<number> | null = null;

  constructor({ connection, transaction, lookups, hosts, budget, recent, counts, nextName }: Parts) {
    this.#connection = connection;
    this.#transaction = transaction;
    this.#lookups = lookups;
    this.#hosts = hosts;
    this.#budget = budget;
    this.#recent = recent;
    this.#counts = counts;
    this.#nextName = nextName;
  }

  /** In one transaction. One with too many new names is left out, and says so. */
  async write(group: readonly Pending[]): Promise<void> {
    const repeats = new Map<Pending, Pending>();
    const waiting = await this.#withoutStored(group, repeats);
    if (waiting.size === 0) return;
    const known = await this.#namesOf([...waiting.keys()]);
    const names: FreshName[] = [];
    const fresh = new Map([...waiting].filter(([pending, host]) => this.#admit(pending, host, known, names)));
    // What is not stored now is acknowledged to nobody.
    for (const [repeat, first] of repeats) repeat.overBudget = first.overBudget;
    if (fresh.size === 0) return;
    let hosts = 0;
    try {
      await this.#transaction.begin.run();
      hosts = await this.#append(fresh, names);
      await this.#transaction.commit.run();
    } catch (error) {
      await this.#rollBack(fresh, names);
      throw error;
    }
    this.#hosts.keep(hosts);
    for (const [{ packed }, host] of fresh) {
      this.#recent.add(host, packed.header.time);
      this.#counts.add(packed.header.time, packed.rows);
      if (this.#usedNames) for (const id of section(packed.data, packed.rows, 'name')) this.#usedNames.add(id);
    }
  }

  /** From now on. */
  watchNames(): void {
    this.#usedNames = new Set();
  }

  usedNames(): ReadonlySet<number> {
    return this.#usedNames ?? new Set();
  }

  unwatchNames(): void {
    this.#usedNames = null;
  }

  /** What is held open would be in the way of a checkpoint. */
  dropAppenders(): void {
    for (const appender of Object.values(this.#appenders ?? {})) {
      appender.clear();
      appender.closeSync();
    }
    this.#appenders = null;
  }

  /** The snapshots that are not stored yet, each (host, time) once, with the host's id; others of them are `repeats`. */
  async #withoutStored(group: readonly Pending[], repeats: Map<Pending, Pending>): Promise<Map<Pending, number>> {
    const fresh = new Map<Pending, number>();
    const doubtful: number[] = [];
    const seen = new Map<string, Pending>();
    for (const pending of group) {
      const { time, host: name } = pending.packed.header;
      const host = this.#hosts.idOf(name);
      const known = this.#recent.lookUp(host, time);
      const first = seen.get(`${host} ${time}`);
      if (first !== undefined) repeats.set(pending, first);
      if (first !== undefined || known === 'stored') continue;
      seen.set(`${host} ${time}`, pending);
      fresh.set(pending, host);
      if (known === 'ask') doubtful.push(time);
    }
    const stored = doubtful.length > 0 ? await this.#stored(doubtful) : new Set();
    return new Map([...fresh].filter(([{ packed }, host]) => !stored.has(`${host} ${packed.header.time}`)));
  }

  async #stored(times: readonly number[]): Promise<Set<string>> {
    const list = [...new Set(times)].join(', ');
    const sql = `SELECT host, time::DOUBLE AS time FROM snapshot WHERE time IN (${list})`;
    const rows = (await this.#lookups.runAndReadAll(sql)).getRows();
    return new Set(rows.map(([host, time]) => `${host} ${time}`));
  }

  /** The ids of those names, of all that came without one, that are stored. */
  async #namesOf(group: readonly Pending[]): Promise<Map<string, number>> {
    const wanted = [...new Set(group.flatMap(({ packed }) => packed.unknown))];
    if (wanted.length === 0) return new Map();
    const { value, type } = namesValue(wanted);
    const rows = (await this.#lookups.runAndReadAll(idsSql('name'), [value], [type])).getRows();
    return new Map(rows.map(([i, id]) => [wanted[(i as number) - 1] as string, id as number]));
  }

  /** Gives its new names ids, unless they are too many. */
  #admit(pending: Pending, host: number, known: Map<string, number>, fresh: FreshName[]): boolean {
    const { packed, now } = pending;
    const unknown = packed.unknown.filter((name) => !known.has(name));
    const counted = unknown.filter((name) => !reservedNames.has(name));
    const left = this.#budget.left(host, now);
    if (counted.length > left) {
      const isFirst = this.#budget.foldedSince(host, now) === null;
      pending.overBudget = { names: counted.slice(left), since: this.#budget.fold(host, now), isFirst };
      return false;
    }
    this.#budget.spend(host, counted.length, now);
    pending.foldedSince = this.#budget.foldedSince(host, now);
    if (pending.foldedSince !== null) packed.header.metrics['collector.foldedSinceMs'] = pending.foldedSince;
    for (const name of unknown) {
      const id = this.#nextName++;
      known.set(name, id);
      fresh.push({ id, name, host, at: now });
    }
    pending.unname = nameUnknown(packed, (name) => known.get(name) as number);
    pending.learned = packed.unknown.map((name) => [name, known.get(name) as number]);
    return true;
  }

  /** Resolves with how many host names went along: more may come before the commit. */
  async #append(snapshots: ReadonlyMap<Pending, number>, names: readonly FreshName[]): Promise<number> {
    const appenders = await this.#openAppenders();
    for (const [{ packed, now }, host] of snapshots) {
      appendHeader(appenders.snapshot, packed.header, host, now);
      this.#usage.add(appenders.usage, packed, host);
    }
    this.#usage.flush(appenders.usage);
    const hosts = this.#hosts.fresh();
    for (const [id, text] of hosts) {
      appenders.host.appendInteger(id);
      appenders.host.appendVarchar(text);
      appenders.host.endRow();
    }
    if (hosts.length > 0) appenders.host.flushSync();
    for (const name of names) appendName(appenders.name, name);
    if (names.length > 0) appenders.name.flushSync();
    appenders.snapshot.flushSync();
    appenders.usage.flushSync();
    return hosts.length;
  }

  async #openAppenders(): Promise<Record<Table, DuckDBAppender>> {
    if (this.#appenders) return this.#appenders;
    const open = (table: Table) => this.#connection.createAppender(table);
    const [host, name, snapshot, usage] = [
      await open('host'),
      await open('name'),
      await open('snapshot'),
      await open('usage'),
    ];
    this.#appenders = { host, name, snapshot, usage };
    return this.#appenders;
  }

  async #rollBack(snapshots: ReadonlyMap<Pending, number>, names: readonly FreshName[]): Promise<void> {
    this.#usage.clear();
    this.dropAppenders();
    await this.#connection.run('ROLLBACK').catch(() => undefined);
    for (const [pending, host] of snapshots) {
      this.#recent.distrust(host, pending.packed.header.time);
      // It may be written again, alone, and then gets others.
      pending.unname?.();
      pending.learned = [];
    }
    for (const { name, host, at } of names) if (!reservedNames.has(name)) this.#budget.spend(host, -1, at);
  }
}

function appendName(appender: DuckDBAppender, { id, name, host, at }: FreshName): void {
  appender.appendInteger(id);
  appender.appendVarchar(name);
  appender.appendInteger(host);
  appender.appendInteger(dayOf(at));
  appender.endRow();
}

function appendHeader(appender: DuckDBAppender, header: SnapshotHeader, host: number, now: number): void {
  const { time, ip, metrics, intervalMs, bootId, cores, memoryBytes, limitedBy, isFromFuture } = header;
  const kept: KeptHeader = { intervalMs, bootId, cores, memoryBytes, limitedBy };
  appender.appendInteger(host);
  appender.appendBigInt(BigInt(time));
  if (ip === null) appender.appendNull();
  else appender.appendVarchar(ip);
  appender.appendVarchar(JSON.stringify(kept));
  appender.appendVarchar(JSON.stringify(metricsByPlace(metrics)));
  appender.appendBigInt(BigInt(placedAt(header)));
  if (isFromFuture) appender.appendBigInt(BigInt(now));
  else appender.appendNull();
  appender.endRow();
}

/** Up to the last place that any has; a place without one has null. */
function metricsByPlace(metrics: SnapshotHeader['metrics']): (number | null)[] {
  const places: (number | null)[] = new Array(hostMetrics.length).fill(null);
  for (const metric of hostMetrics) places[hostColumn(metric).place] = metrics[metric] ?? null;
  return places;
}

/** Of a full disk or a failed commit no snapshot is the cause: none is to be tried again alone. */
export function storeFailure(error: unknown): MonitorError {
  const code = /IO Error|FATAL|invalidated|No space|memory/i.test(messageOf(error)) ? 'unavailable' : 'internal';
  return new MonitorError(code, `DuckDB could not store a snapshot: ${messageOf(error)}`, { cause: error });
}
