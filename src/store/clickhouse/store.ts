import type { Agreements } from '../../core/agreement.ts';
import { dayMs } from '../../core/clock.ts';
import { MonitorError, messageOf } from '../../core/error.ts';
import {
  type Appended,
  hourRetentionDefaultMs,
  newNamesDefault,
  newSeriesDefault,
  type Records,
  type Store,
} from '../../core/store.ts';
import { ComposedReads } from '../composed-reads.ts';
import type { ClickHouseOptions, OpenOptions } from '../open-options.ts';
import { Preparation } from '../preparation.ts';
import { parseAddress } from './address.ts';
import { ClickHouseAgreements } from './agreements.ts';
import { bootstrap, checkTables } from './bootstrap.ts';
import { ClickHouseConnection } from './connection.ts';
import { ForecastReads } from './forecast-reads.ts';
import { HeaderReads } from './header-reads.ts';
import { Hours } from './hours.ts';
import { commandAll } from './on-cluster.ts';
import { Queries } from './queries.ts';
import { Rolling } from './rolling.ts';
import { rowBinary } from './row-binary.ts';
import { onCluster, storedIn, tables, triedTable } from './schema.ts';
import { SeriesReads } from './series-reads.ts';
import { SourceReads } from './source-reads.ts';
import { StatisticsReads } from './statistics-reads.ts';
import { UsageReads } from './usage-reads.ts';
import { Writer } from './writer.ts';

/** Each insert is a part that ClickHouse has to merge, and costs as much as thousands of rows do. */
const insertEveryMsDefault = 1000;

/**
 * ClickHouse from 18.16 on. A repeated snapshot replaces the same rows, so a retry is stored once; of a different body
 * for the same (host, time) the later wins. While ClickHouse is away everything is `unavailable`; when it comes it is
 * set up then.
 * @throws MonitorError `invalid` for the url, `internal` when it cannot be worked with
 */
export async function openClickHouseStore(
  url: string,
  options: OpenOptions,
  credentials: ClickHouseOptions,
): Promise<Store> {
  const { bases, database } = parseAddress(url);
  const connection = new ClickHouseConnection(bases, database, credentials);
  const prepare = options.isReadOnly === true ? checkTables : bootstrap;
  const preparation = new Preparation(() => prepare(connection, bases, database, credentials));
  await preparation.once().catch((error: unknown) => {
    if (!(error instanceof MonitorError) || error.code !== 'unavailable') throw error;
    options.warn(`${messageOf(error)}; the server starts without it, answers 503, and takes over when it is there`);
  });
  return new ClickHouseStore(url, options, connection, preparation);
}

class ClickHouseStore extends ComposedReads implements Store {
  readonly url: string;
  readonly expiresItself = false;
  readonly isShared = true;
  readonly agreements: Agreements;
  readonly #retentionMs: number;
  readonly #hourRetentionMs: number;
  readonly #connection: ClickHouseConnection;
  readonly #preparation: Preparation;
  readonly #writer: Writer;
  readonly #rolling: Rolling;

  constructor(url: string, options: OpenOptions, connection: ClickHouseConnection, preparation: Preparation) {
    const { retentionMs, hourRetentionMs = hourRetentionDefaultMs, now = Date.now, warn } = options;
    const { newNamesPerDay = newNamesDefault, newSeriesPerDay = newSeriesDefault } = options;
    const queries = new Queries(connection, preparation);
    const sources = new SourceReads(queries);
    const hours = new Hours(queries, { retentionMs, now });
    const series = new SeriesReads(queries, sources, hours);
    super({
      headers: new HeaderReads(queries, retentionMs),
      usage: new UsageReads(queries, hours),
      series,
      sources,
      statistics: new StatisticsReads(queries, hours, (wanted, bounds) => series.select(wanted, bounds)),
      forecasts: new ForecastReads(queries),
    });
    this.url = url;
    this.#retentionMs = retentionMs;
    this.#hourRetentionMs = Math.max(retentionMs, hourRetentionMs);
    this.#connection = connection;
    this.#preparation = preparation;
    this.agreements = new ClickHouseAgreements(connection, preparation);
    const { insertEveryMs = insertEveryMsDefault } = options.clickhouse ?? {};
    const budgets = { newNamesPerDay, newSeriesPerDay };
    this.#rolling = new Rolling({ retentionMs, connection, queries });
    this.#writer = new Writer({ ...budgets, insertEveryMs, now, warn, connection, preparation });
  }

  append(records: Records): Promise<Appended> {
    return this.#writer.append(records);
  }

  /** Whole days: what is partly within the retention stays. */
  async expire(now: number): Promise<void> {
    await this.#preparation.once();
    const parts = await this.#connection.query(
      'SELECT DISTINCT table, partition FROM system.parts WHERE database = currentDatabase() AND active',
    );
    const { cluster } = this.#connection.about;
    const dated = tables.filter(({ time }) => time !== undefined);
    const keptMs = new Map(
      dated.map((table) => [storedIn(table, cluster), table.isRolled ? this.#hourRetentionMs : this.#retentionMs]),
    );
    // Each shard has a part of every day; replicas tell each other.
    const others = cluster !== null && cluster.shards > 1 ? cluster : null;
    for (const { table, partition } of parts)
      if (Number(partition) < Math.floor((now - (keptMs.get(String(table)) ?? Number.POSITIVE_INFINITY)) / dayMs))
        await commandAll(
          this.#connection,
          others,
          `ALTER TABLE ${table}${onCluster(others)} DROP PARTITION ${Number(partition)}`,
        );
  }

  /** Rows are merged by ClickHouse itself. */
  compact(now: number): Promise<void> {
    return this.#rolling.roll(now);
  }

  async disk(): Promise<null> {
    return null;
  }

  /** Writes a row and asks for it: a table may be read-only. */
  async ping(): Promise<void> {
    await this.#preparation.once();
    const columns = triedTable.columns.map(({ name }) => name);
    await this.#connection.insert(triedTable.name, columns, rowBinary(triedTable.columns, [[1, 0]]));
    if ((await this.#connection.query('SELECT place FROM tried LIMIT 1')).length === 0)
      throw new MonitorError('unavailable', 'ClickHouse does not give back what was just written');
  }

  async close(): Promise<void> {
    await this.#rolling.close();
    await this.#writer.close();
    await this.#connection.close();
  }
}
