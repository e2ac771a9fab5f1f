import { MonitorError, messageOf } from '../../core/error.ts';
import type { Selector } from '../../core/selector.ts';
import {
  type Appended,
  type ForecastQuery,
  type MeanQuery,
  newNamesDefault,
  type PageQuery,
  type Reading,
  type Records,
  type SelectQuery,
  type Store,
  type TimeWindow,
} from '../../core/store.ts';
import type { RowsWanted, SnapshotKey } from '../../core/usage-row.ts';
import type { InfluxCredentials, OpenOptions } from '../open-options.ts';
import { bootstrap } from './bootstrap.ts';
import { InfluxConnection, isAway, parseAddress } from './connection.ts';
import { ForecastReads } from './forecast-reads.ts';
import { HeaderReads } from './header-reads.ts';
import { triedPoint } from './points.ts';
import { Queries } from './queries.ts';
import { SeriesReads } from './series-reads.ts';
import { SourceReads } from './source-reads.ts';
import { triedStatement } from './statements.ts';
import { UsageReads } from './usage-reads.ts';
import { Writer } from './writer.ts';

/** While InfluxDB is away it is looked for at most so often. */
const prepareEveryMs = 2_000;
/**
 * InfluxDB 1.6 to 3.x. A repeated snapshot overwrites the same points, so a retry is stored once; a
 * different body for the same (host, time) would win over the first.
 * While InfluxDB is away everything is `unavailable`; when it comes it is set up then.
 * @throws MonitorError `invalid` for the url, `unavailable` when what it answers cannot be worked with
 */
export async function openInfluxdbStore(
  url: string,
  options: OpenOptions,
  credentials: InfluxCredentials,
): Promise<Store> {
  const address = parseAddress(url);
  const connection = new InfluxConnection(address, credentials);
  const prepare = () => bootstrap(connection, address.database, { ...options, ...credentials });
  const store = new InfluxdbStore(url, options, connection, prepare);
  await store.prepare().catch((error: unknown) => {
    if (!isAway(error)) throw error;
    options.warn(`${messageOf(error)}; the server starts without it, answers 503, and takes over when it is there`);
  });
  return store;
}

class InfluxdbStore implements Store {
  readonly url: string;
  readonly expiresItself = true;
  readonly #connection: InfluxConnection;
  readonly #prepareOnce: () => Promise<void>;
  /** Null: to be tried. */
  #prepared: Promise<void> | null = null;
  readonly #headers: HeaderReads;
  readonly #usage: UsageReads;
  readonly #series: SeriesReads;
  readonly #forecasts: ForecastReads;
  readonly #writer: Writer;

  constructor(url: string, options: OpenOptions, connection: InfluxConnection, prepare: () => Promise<void>) {
    const { retentionMs, newNamesPerDay = newNamesDefault, now = Date.now, warn } = options;
    this.url = url;
    this.#connection = connection;
    this.#prepareOnce = prepare;
    const whenPrepared = () => this.prepare();
    const queries = new Queries(connection, whenPrepared);
    this.#headers = new HeaderReads(queries, retentionMs);
    this.#usage = new UsageReads(queries);
    this.#series = new SeriesReads(queries, new SourceReads(queries));
    this.#forecasts = new ForecastReads(queries);
    this.#writer = new Writer({ retentionMs, newNamesPerDay, now, warn, connection, prepare: whenPrepared });
  }

  /** Finds out what InfluxDB this is and sets it up, unless that has been done. Whoever comes meanwhile waits for the same. */
  prepare(): Promise<void> {
    if (this.#prepared === null) {
      const trying = this.#prepareOnce();
      this.#prepared = trying;
      // A while later somebody else may try again.
      trying.catch(() => setTimeout(() => (this.#prepared = null), prepareEveryMs).unref());
    }
    return this.#prepared;
  }

  append(records: Records): Promise<Appended> {
    return this.#writer.append(records);
  }

  latest(at: number, reading?: Reading) {
    return this.#headers.latest(at, reading);
  }

  rows(snapshots: readonly SnapshotKey[], wanted?: RowsWanted, reading?: Reading) {
    return this.#usage.rows(snapshots, wanted, reading);
  }

  means(query: MeanQuery, reading?: Reading) {
    return this.#usage.means(query, reading);
  }

  page(query: PageQuery, reading?: Reading) {
    return this.#usage.page(query, reading);
  }

  select(query: SelectQuery, reading?: Reading) {
    return this.#series.select(query, reading);
  }

  above(selector: Selector, level: number, window: TimeWindow, reading?: Reading) {
    return this.#series.above(selector, level, window, reading);
  }

  forecasts(query: ForecastQuery, reading?: Reading) {
    return this.#forecasts.forecasts(query, reading);
  }

  tallies(query: ForecastQuery, reading?: Reading) {
    return this.#forecasts.tallies(query, reading);
  }

  /** InfluxDB does so by itself. */
  async expire(): Promise<void> {}

  /** Writes a point and asks for it: a token may have been revoked, or the database dropped. */
  async ping(): Promise<void> {
    await this.prepare();
    await this.#connection.write([triedPoint()]);
    if ((await this.#connection.query([triedStatement])).flat().length === 0)
      throw new MonitorError('unavailable', 'InfluxDB does not give back what was just written');
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}
