import { Readable } from 'node:stream';
import {
  type ClickHouseClient,
  type ClickHouseClientConfigOptions,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
} from '@clickhouse/client';
import { MonitorError } from '../../core/error.ts';
import type { ClickHouseOptions } from '../open-options.ts';
import type { Cluster } from './cluster.ts';
import { isRefusal, translated } from './failure.ts';
import { onReplica, type Replica, Replicas } from './replicas.ts';

/** What a query is longest answered in. */
const timeoutMs = 30_000;
/** Names in SQL are written as digits: two for a byte. */
const mostSqlBytes = 16 * 1024 ** 2;
/** Three for a name, which is in each part of a question; ClickHouse's own 50,000 are fewer than 20,000 names. */
const mostSqlElements = 1_000_000;
/**
 * For each column of each part that is read at a time; of ClickHouse's own mebibyte a hundred parts, as they pile up
 * while nobody merges them, take more memory than a question may.
 */
const readBufferBytes = 65_536;
/** A replica that does not take part is waited for so long. */
const quorumTimeoutMs = 2000;
/** No quorum: too few live; one that another waits for; not reached in time. */
const withoutQuorum = ['285', '286', '319'];
/** After it was not reached it is not asked for so long. */
const quorumRestMs = 10_000;

/** By the names of the columns; whole numbers of 64 bits come as texts from older servers. */
export type Row = Record<string, string | number | null>;

/** What has been found out about the servers. */
export interface ClickHouseAbout {
  /** Year times 100 and month, as `2003`. */
  version: number;
  /** That the tables are of; null: they are of one server. */
  cluster: Cluster | null;
}

/** One of several replicas: the one that answered last, and the next where it does not. */
export class ClickHouseConnection {
  readonly #clients: readonly ClickHouseClient[];
  readonly #replicas: Replicas;
  #about: ClickHouseAbout = { version: 0, cluster: null };
  #noQuorumUntil = 0;

  /** @param database absent: none, as long as there may be none yet */
  constructor(bases: readonly string[], database: string | undefined, credentials: ClickHouseOptions) {
    const made = bases.map((base) => {
      const options = optionsOf(base, database, credentials);
      // More than there are reads at a time: no write waits for one.
      const client = createClient({ ...options, max_open_connections: 20 });
      return { base, client, looking: createClient({ ...options, max_open_connections: 2 }) };
    });
    this.#clients = made.flatMap(({ client, looking }) => [client, looking]);
    this.#replicas = new Replicas(made);
  }

  /** As it was found to be: before, it is taken for an old one alone. */
  setUp(about: ClickHouseAbout): void {
    this.#about = about;
  }

  get about(): ClickHouseAbout {
    return this.#about;
  }

  /** @throws MonitorError `unavailable`, or `internal` for what ClickHouse refuses; the signal's reason */
  async query(sql: string, signal?: AbortSignal): Promise<Row[]> {
    return this.#ask(await this.#replicas.upToDate(), sql, signal);
  }

  /** The same of the server itself and its tables, which one that has yet to join the others knows as well. */
  async queryServer(sql: string): Promise<Row[]> {
    return this.#ask(await this.#replicas.inOrder(), sql, undefined);
  }

  #ask(replicas: readonly Replica[], sql: string, signal: AbortSignal | undefined): Promise<Row[]> {
    const ask = async (client: ClickHouseClient, work: AbortSignal) => {
      const answer = await client.query({
        query: sql,
        format: 'JSONEachRow',
        clickhouse_settings: this.#shardSettings(),
        abort_signal: work,
      });
      return answer.json<Row>();
    };
    return this.#onAny(replicas, ask, signal);
  }

  async command(sql: string, settings: ClickHouseSettings = {}, signal?: AbortSignal): Promise<void> {
    const tell = (client: ClickHouseClient, work: AbortSignal) =>
      client.command({ query: sql, clickhouse_settings: settings, abort_signal: work });
    await this.#onAny(await this.#replicas.inOrder(), tell, signal);
  }

  /**
   * Resolves once it is stored, on most of the replicas as long as most are there. Where the answer is lost the same
   * rows are sent to another, and stored there whatever it has heard of them: that a replica has had a block of them
   * means nothing, once it is gone.
   */
  async insert(table: string, columns: readonly string[], rowBinary: Buffer): Promise<void> {
    const query = `INSERT INTO ${table} (${columns.join(', ')}) FORMAT RowBinary`;
    await this.#onAny(await this.#replicas.inOrder(), async (client, work) => {
      const send = async (settings: ClickHouseSettings) => {
        const values = Readable.from([rowBinary], { objectMode: false });
        const { stream } = await client.exec({ query, values, clickhouse_settings: settings, abort_signal: work });
        for await (const _ of stream);
      };
      const quorum = this.#quorum();
      if (quorum === null) return send(this.#insertSettings());
      try {
        await send({ ...this.#insertSettings(), ...quorum });
      } catch (error) {
        if (!isRefusal(error, withoutQuorum)) throw error;
        // Another insert is waited for: that passes by itself.
        if (!isRefusal(error, ['286'])) this.#noQuorumUntil = performance.now() + quorumRestMs;
        await send(this.#insertSettings());
      }
    });
  }

  /** `INSERT ... SELECT`: what can be made again at any time. Nobody waits for other replicas to have it. */
  async insertSelected(sql: string, signal?: AbortSignal): Promise<void> {
    await this.command(sql, this.#insertSettings(), signal);
  }

  async close(): Promise<void> {
    this.#replicas.close();
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  /** Null: it would not be reached. */
  #quorum(): ClickHouseSettings | null {
    const replicas = this.#about.cluster?.replicas ?? 1;
    if (replicas < 2 || performance.now() < this.#noQuorumUntil || this.#replicas.isDegraded()) return null;
    return { insert_quorum: String(Math.floor(replicas / 2) + 1), insert_quorum_timeout: quorumTimeoutMs };
  }

  #insertSettings(): ClickHouseSettings {
    const { version, cluster } = this.#about;
    return {
      ...(cluster !== null && { insert_deduplicate: 0 }),
      ...this.#shardSettings(),
      // What is sent is a batch already; today's server would wait for others.
      ...(version >= 2111 && { async_insert: 0 }),
    };
  }

  /** Stored on the others before it is answered; what is asked of a table within a question is on the same shard. */
  #shardSettings(): ClickHouseSettings {
    if ((this.#about.cluster?.shards ?? 1) < 2) return {};
    return { insert_distributed_sync: 1, distributed_product_mode: 'local' };
  }

  async #onAny<T>(
    replicas: readonly Replica[],
    work: (client: ClickHouseClient, signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    let failure: MonitorError | null = null;
    for (const replica of replicas) {
      signal?.throwIfAborted();
      try {
        return await onReplica(replica, work, signal);
      } catch (error) {
        signal?.throwIfAborted();
        const said = translated(error, replica.base);
        if (said.code !== 'unavailable') throw said;
        this.#replicas.failed(replica);
        // What the best one says matters more than that another is away too.
        failure ??= said;
      }
    }
    throw failure ?? new MonitorError('unavailable', 'ClickHouse has no address');
  }
}

function optionsOf(
  base: string,
  database: string | undefined,
  { username, password, ca }: ClickHouseOptions,
): ClickHouseClientConfigOptions {
  return {
    url: base,
    ...(database !== undefined && { database }),
    request_timeout: timeoutMs,
    log: { level: ClickHouseLogLevel.OFF },
    // 18.16 goes on with a query that nobody waits for any more: it has an end of its own.
    clickhouse_settings: {
      max_query_size: String(mostSqlBytes),
      max_ast_elements: String(mostSqlElements),
      max_expanded_ast_elements: String(mostSqlElements),
      max_execution_time: timeoutMs / 1000,
      max_read_buffer_size: String(readBufferBytes),
    },
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(ca !== undefined && { tls: { ca_cert: Buffer.from(ca) } }),
  };
}
