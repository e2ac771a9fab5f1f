import { Readable } from 'node:stream';
import { type ClickHouseClient, ClickHouseError, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { MonitorError, messageOf } from '../../core/error.ts';
import { connectionReason } from '../../core/failure-reason.ts';
import type { ClickHouseCredentials } from '../open-options.ts';

/** What a query is longest answered in. */
const timeoutMs = 30_000;
/** Names in SQL are written as digits: two for a byte. */
const mostSqlBytes = 16 * 1024 ** 2;

/** By the names of the columns; whole numbers of 64 bits come as texts. */
export type Row = Record<string, string | number | null>;

/** One of several replicas: the one that answered last, and the next where it does not. */
export class ClickHouseConnection {
  readonly #clients: readonly { base: string; client: ClickHouseClient }[];
  #current = 0;

  /** @param database absent: none, as long as there may be none yet */
  constructor(
    bases: readonly string[],
    database: string | undefined,
    { username, password, ca }: ClickHouseCredentials,
  ) {
    this.#clients = bases.map((base) => ({
      base,
      client: createClient({
        url: base,
        ...(database !== undefined && { database }),
        request_timeout: timeoutMs,
        // More than there are reads at a time: no write waits for one.
        max_open_connections: 20,
        log: { level: ClickHouseLogLevel.OFF },
        // 18.16 goes on with a query that nobody waits for any more: it has an end of its own.
        clickhouse_settings: { max_query_size: String(mostSqlBytes), max_execution_time: timeoutMs / 1000 },
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password }),
        ...(ca !== undefined && { tls: { ca_cert: Buffer.from(ca) } }),
      }),
    }));
  }

  /** @throws MonitorError `unavailable`, or `internal` for what ClickHouse refuses; the signal's reason */
  async query(sql: string, signal?: AbortSignal): Promise<Row[]> {
    return this.#onAny(async (client) => {
      const answer = await client.query({
        query: sql,
        format: 'JSONEachRow',
        ...(signal !== undefined && { abort_signal: signal }),
      });
      return answer.json<Row>();
    }, signal);
  }

  async command(sql: string): Promise<void> {
    await this.#onAny((client) => client.command({ query: sql }));
  }

  /** Resolves once it is stored. What is sent again to another replica is the same block. */
  async insert(table: string, columns: readonly string[], rowBinary: Buffer): Promise<void> {
    const query = `INSERT INTO ${table} (${columns.join(', ')}) FORMAT RowBinary`;
    await this.#onAny(async (client) => {
      const { stream } = await client.exec({ query, values: Readable.from([rowBinary], { objectMode: false }) });
      for await (const _ of stream);
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map(({ client }) => client.close()));
  }

  async #onAny<T>(work: (client: ClickHouseClient) => Promise<T>, signal?: AbortSignal): Promise<T> {
    let failure: MonitorError | null = null;
    for (let tries = 0; tries < this.#clients.length; tries++) {
      const { base, client } = this.#clients[this.#current] as { base: string; client: ClickHouseClient };
      signal?.throwIfAborted();
      try {
        return await work(client);
      } catch (error) {
        signal?.throwIfAborted();
        failure = translated(error, base);
        if (failure.code !== 'unavailable') throw failure;
        this.#current = (this.#current + 1) % this.#clients.length;
      }
    }
    throw failure ?? new MonitorError('unavailable', 'ClickHouse has no address');
  }
}

/** ClickHouse answers `Code: 47, e.displayText() = DB::Exception: what is wrong`, later `Code: 47. DB::Exception: ...`. */
const refusal = /Code: (\d+)[.,].*?DB::\w*Exception: ([\s\S]*)/;
/** 159 is that a query took too long. These pass: too many queries, memory, a table that is read-only for want of its Keeper, no quorum: another may answer. */
const passing = new Set(['202', '209', '210', '241', '242', '285', '286', '319', '999']);

function translated(error: unknown, base: string): MonitorError {
  const text = messageOf(error);
  // Of an error of today's server the client takes off what the older ones are recognised by.
  const [, code, reason = text] =
    error instanceof ClickHouseError ? ['', error.code, text] : (refusal.exec(text) ?? []);
  if (code === undefined) {
    const isTls = base.startsWith('https:');
    const why = connectionReason(error, { isTls, caFlag: '--store-ca' });
    return new MonitorError('unavailable', `ClickHouse at ${base} does not answer: ${why}`, { cause: error });
  }
  const kind = code === '159' ? 'timeout' : passing.has(code) ? 'unavailable' : 'internal';
  const said = reason.replace(/, e\.what\(\)[\s\S]*/, '').slice(0, 300);
  return new MonitorError(kind, `ClickHouse at ${base} answered ${code}: ${said}`, { cause: error });
}
