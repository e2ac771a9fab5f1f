import { MonitorError, messageOf } from '../../core/error.ts';
import { type Appended, newNamesDefault, newSeriesDefault, type Records, type Store } from '../../core/store.ts';
import { ComposedReads } from '../composed-reads.ts';
import type { InfluxCredentials, OpenOptions } from '../open-options.ts';
import { Preparation } from '../preparation.ts';
import { bootstrap } from './bootstrap.ts';
import { InfluxConnection, isAway, parseAddress } from './connection.ts';
import { ForecastReads } from './forecast-reads.ts';
import { HeaderReads } from './header-reads.ts';
import { MeanReads } from './mean-reads.ts';
import { triedPoint } from './points.ts';
import { Queries } from './queries.ts';
import { Rolling } from './rolling.ts';
import { Rollups } from './rollups.ts';
import { SeriesReads } from './series-reads.ts';
import { SourceReads } from './source-reads.ts';
import { triedStatement } from './statements.ts';
import { StatisticsReads } from './statistics-reads.ts';
import { UsageReads } from './usage-reads.ts';
import { Writer } from './writer.ts';

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
  const preparation = new Preparation(() => bootstrap(connection, address.database, { ...options, ...credentials }));
  await preparation.once().catch((error: unknown) => {
    if (!isAway(error)) throw error;
    options.warn(`${messageOf(error)}; the server starts without it, answers 503, and takes over when it is there`);
  });
  return new InfluxdbStore(url, options, connection, preparation);
}

class InfluxdbStore extends ComposedReads implements Store {
  readonly url: string;
  readonly expiresItself = true;
  readonly isShared = true;
  readonly #connection: InfluxConnection;
  readonly #preparation: Preparation;
  readonly #writer: Writer;
  readonly #rolling: Rolling;

  constructor(url: string, options: OpenOptions, connection: InfluxConnection, preparation: Preparation) {
    const { retentionMs, now = Date.now, warn } = options;
    const { newNamesPerDay = newNamesDefault, newSeriesPerDay = newSeriesDefault } = options;
    const queries = new Queries(connection, preparation);
    const sources = new SourceReads(queries);
    const series = new SeriesReads(queries, sources);
    const rollups = new Rollups(queries);
    super({
      headers: new HeaderReads(queries, retentionMs),
      usage: new UsageReads(queries, new MeanReads(queries, rollups)),
      series,
      sources,
      statistics: new StatisticsReads(rollups, (wanted, bounds) => series.select(wanted, bounds)),
      forecasts: new ForecastReads(queries),
    });
    this.url = url;
    this.#connection = connection;
    this.#preparation = preparation;
    this.#rolling = new Rolling({ retentionMs, connection, rollups });
    this.#writer = new Writer({ retentionMs, newNamesPerDay, newSeriesPerDay, now, warn, connection, preparation });
  }

  append(records: Records): Promise<Appended> {
    return this.#writer.append(records);
  }

  /** InfluxDB does so by itself. */
  async expire(): Promise<void> {}

  /** What is over stays where it is; it is rolled up for statistics and means. */
  compact(now: number): Promise<void> {
    return this.#rolling.roll(now);
  }

  async disk(): Promise<null> {
    return null;
  }

  /** Writes a point and asks for it: a token may have been revoked, or the database dropped. */
  async ping(): Promise<void> {
    await this.#preparation.once();
    await this.#connection.write([triedPoint()]);
    if ((await this.#connection.query([triedStatement])).flat().length === 0)
      throw new MonitorError('unavailable', 'InfluxDB does not give back what was just written');
  }

  async close(): Promise<void> {
    await this.#rolling.close();
    await this.#writer.close();
  }
}
