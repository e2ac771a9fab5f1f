import type { DuckDBAppender, DuckDBConnection } from '@duckdb/node-api';
import { dayOf } from '../../core/clock.ts';
import type { MetricSample } from '../../core/sample.ts';
import { type Series, seriesKey } from '../../core/series.ts';
import { LruCache } from '../../platform/lru-cache.ts';
import { admitSeries, type NameBudget } from '../name-budget.ts';
import { idsSql, lookUp, namesValue } from './name-texts.ts';
import type { PackedSamples, UnknownSeries } from './packed-samples.ts';
import { SampleAppender } from './sample-appender.ts';

/** Series whose ids, and whose newest samples, are remembered. */
const mostRemembered = 100_000;
/** A statement with a value each takes time to be read. */
const askedAtOnce = 5000;

interface Parts {
  /** Appends only. */
  connection: DuckDBConnection;
  /** For what has to be looked up before. */
  lookups: DuckDBConnection;
  budget: NameBudget<string>;
  nextSeries: number;
}

/** Samples that wait to be written, and what became of them. */
export interface PendingSamples {
  packed: PackedSamples;
  /** Wall time as they came. */
  now: number;
  /** Ids of what was not known; null: beyond the budget. */
  ids: (number | null)[];
  /** Places of samples of series beyond the budget. */
  beyondBudget: number[];
  /** Owners who are beyond theirs for the first time today. */
  warned: string[];
  /** Nothing of it was written: its ids are of another epoch, and may be of series that are forgotten. */
  isStale: boolean;
  epoch: number;
}

interface FreshSeries {
  id: number;
  key: string;
  metric: string;
  host: string | undefined;
  /** Null: of hosts and processes. */
  kind: MetricSample['kind'] | null;
  owner: string | null;
  now: number;
}

interface NewSample {
  id: number;
  time: number;
  /** NaN where the series has ended. */
  value: number;
}

/** Gives series their ids, and writes samples. Whoever calls has the turn in the chain of commits. */
export class SeriesWriter {
  readonly #connection: DuckDBConnection;
  readonly #lookups: DuckDBConnection;
  readonly #budget: NameBudget<string>;
  readonly #ids = new LruCache<string, number>(mostRemembered);
  /** Time of the newest sample of a series. */
  readonly #newest = new LruCache<number, number>(mostRemembered);
  readonly #appender = new SampleAppender();
  #nextSeries: number;
  /** Ids that were given before are of no use after another. */
  #epoch = 0;
  /** Ids that rows were written with since that was asked; null: nobody has. */
  #used: Set<number> | null = null;

  constructor({ connection, lookups, budget, nextSeries }: Parts) {
    this.#connection = connection;
    this.#lookups = lookups;
    this.#budget = budget;
    this.#nextSeries = nextSeries;
  }

  /** Writes rows of series in a transaction, those of `first` before; the ids of all series are there then. */
  async writeRows<T extends { series: Series }>(
    table: string,
    items: readonly T[],
    append: (appender: DuckDBAppender, item: T, id: number) => void,
    now: number,
    first?: string,
  ): Promise<void> {
    const keys = items.map(({ series }) => seriesKey(series));
    const known = await this.#idsOf(keys);
    const fresh = new Map<string, FreshSeries>();
    for (const [index, { series }] of items.entries()) {
      const key = keys[index] as string;
      if (!known.has(key) && !fresh.has(key))
        fresh.set(key, { id: this.#nextSeries++, ...placeOf(series), key, kind: null, owner: null, now });
    }
    const idOf = (key: string) => (known.get(key) ?? fresh.get(key)?.id) as number;
    await this.#transaction(async () => {
      if (first !== undefined) await this.#connection.run(first);
      await this.#appendSeries([...fresh.values()]);
      const appender = await this.#connection.createAppender(table);
      for (const [index, item] of items.entries()) append(appender, item, idOf(keys[index] as string));
      appender.closeSync();
    });
    this.#remember(fresh.values());
    for (const key of keys) this.#used?.add(idOf(key));
  }

  /** In one transaction, each (series, time) once. What is of a new series beyond the budget is left out, and said. */
  async writeSamples(group: readonly PendingSamples[]): Promise<void> {
    const fresh = new Map<string, FreshSeries>();
    for (const pending of group) {
      pending.epoch = this.#epoch;
      pending.isStale = pending.packed.epoch !== this.#epoch;
    }
    const wanted = await this.#admitted(
      group.filter(({ isStale }) => !isStale),
      fresh,
    );
    let samples: NewSample[];
    try {
      samples = await this.#withoutStored(wanted, new Set([...fresh.values()].map(({ id }) => id)));
      await this.#transaction(async () => {
        await this.#appendSeries([...fresh.values()]);
        await this.#appendSamples(samples);
      });
    } catch (error) {
      for (const { owner, now } of fresh.values()) this.#budget.spend(owner ?? '', -1, now);
      // The outcome may be unknown: the database is asked from now on.
      this.#newest.clear();
      throw error;
    }
    this.#remember(fresh.values());
    this.#rememberSamples(samples);
  }

  /** Those that are of a series that is known, or that may be one: `fresh` has those afterwards. */
  async #admitted(group: readonly PendingSamples[], fresh: Map<string, FreshSeries>): Promise<NewSample[]> {
    const known = await this.#idsOf(group.flatMap(({ packed }) => packed.unknown.map(({ key }) => key)));
    const wanted: NewSample[] = [];
    for (const pending of group) {
      const { ids, times, values, unknown } = pending.packed;
      pending.beyondBudget = [];
      pending.ids = unknown.map(
        (series) => known.get(series.key) ?? fresh.get(series.key)?.id ?? this.#admit(series, pending, fresh),
      );
      for (let i = 0; i < ids.length; i++) {
        const given = ids[i] as number;
        const id = given < 0 ? (pending.ids[-1 - given] as number | null) : given;
        if (id === null) pending.beyondBudget.push(i);
        else wanted.push({ id, time: times[i] as number, value: values[i] as number });
      }
    }
    return wanted;
  }

  async #appendSamples(samples: readonly NewSample[]): Promise<void> {
    const appender = await this.#connection.createAppender('sample');
    this.#appender.clear();
    for (const { id, time, value } of samples) this.#appender.add(appender, id, time, value);
    this.#appender.flush(appender);
    appender.closeSync();
  }

  #rememberSamples(samples: readonly NewSample[]): void {
    for (const { id, time } of samples) {
      if (time > (this.#newest.get(id) ?? Number.NEGATIVE_INFINITY)) this.#newest.set(id, time);
      this.#used?.add(id);
    }
  }

  /** From now on it is remembered which series are written. */
  watch(): void {
    this.#used = new Set();
  }

  /** Deletes series that no row had as it was looked, and none has got since. */
  async forget(ids: readonly number[]): Promise<void> {
    const gone = ids.filter((id) => !this.#used?.has(id));
    // Also where nobody knows whether it has been done.
    this.#epoch++;
    this.#ids.clear();
    this.#newest.clear();
    if (gone.length > 0) await this.#lookups.run(`DELETE FROM series WHERE id IN (${gone.join(', ')})`);
  }

  unwatch(): void {
    this.#used = null;
  }

  #idsOf(keys: readonly string[]): Promise<Map<string, number>> {
    return lookUp(
      keys,
      this.#ids,
      () => true,
      async (missing) => {
        const { value, type } = namesValue(missing);
        const rows = (await this.#lookups.runAndReadAll(idsSql('series'), [value], [type])).getRows();
        return rows.map(([i, id]) => [missing[(i as number) - 1] as string, id as number]);
      },
    );
  }

  /** The id of a new series; null: its owner has too many today. */
  #admit(series: UnknownSeries, pending: PendingSamples, fresh: Map<string, FreshSeries>): number | null {
    const { now } = pending;
    const { key, owner } = series;
    if (!admitSeries(owner, this.#budget, now, () => pending.warned.push(owner))) return null;
    const id = this.#nextSeries++;
    fresh.set(key, { ...series, id, now });
    return id;
  }

  /** Nearly all are later than what there is of their series. */
  async #withoutStored(wanted: readonly NewSample[], fresh: ReadonlySet<number>): Promise<NewSample[]> {
    const last = new Map<number, number>();
    const [later, others]: [NewSample[], NewSample[]] = [[], []];
    for (const sample of wanted) {
      const { id, time } = sample;
      const newest = last.get(id) ?? (fresh.has(id) ? Number.NEGATIVE_INFINITY : this.#newest.get(id));
      if (newest === undefined || time <= newest) others.push(sample);
      else {
        last.set(id, time);
        later.push(sample);
      }
    }
    if (others.length === 0) return later;
    const doubtful = new Map(others.toReversed().map((sample) => [nameOf(sample), sample]));
    const ids = new Set(others.map(({ id }) => id));
    for (const sample of later) if (ids.has(sample.id)) doubtful.delete(nameOf(sample));
    const asked = [...doubtful.values()].filter(({ id }) => !fresh.has(id));
    for (const name of await this.#stored(asked)) doubtful.delete(name);
    return [...later, ...doubtful.values()];
  }

  /** Which of these there are. */
  async #stored(samples: readonly NewSample[]): Promise<string[]> {
    const found: string[] = [];
    for (let from = 0; from < samples.length; from += askedAtOnce) {
      const part = samples.slice(from, from + askedAtOnce);
      const list = (values: readonly number[]) => [...new Set(values)].join(', ');
      const sql = `SELECT series, time::DOUBLE FROM sample WHERE time IN (${list(part.map(({ time }) => time))})
        AND series IN (${list(part.map(({ id }) => id))})`;
      const rows = (await this.#lookups.runAndReadAll(sql)).getRows();
      for (const [id, time] of rows) found.push(`${id} ${time}`);
    }
    return found;
  }

  async #appendSeries(fresh: readonly FreshSeries[]): Promise<void> {
    if (fresh.length === 0) return;
    const appender = await this.#connection.createAppender('series');
    const text = (value: string | null | undefined) =>
      value == null ? appender.appendNull() : appender.appendVarchar(value);
    for (const { id, metric, host, key, kind, owner, now } of fresh) {
      appender.appendInteger(id);
      for (const value of [key, metric, host, kind]) text(value);
      text(owner);
      if (owner === null) appender.appendNull();
      else appender.appendInteger(dayOf(now));
      appender.endRow();
    }
    appender.closeSync();
  }

  #remember(fresh: Iterable<FreshSeries>): void {
    for (const { key, id } of fresh) this.#ids.set(key, id);
  }

  async #transaction(work: () => Promise<void>): Promise<void> {
    await this.#connection.run('BEGIN');
    try {
      await work();
      await this.#connection.run('COMMIT');
    } catch (error) {
      await this.#connection.run('ROLLBACK').catch(() => undefined);
      throw error;
    }
  }
}

function placeOf({ metric, labels }: Series): { metric: string; host: string | undefined } {
  return { metric, host: labels.host };
}

function nameOf({ id, time }: NewSample): string {
  return `${id} ${time}`;
}
