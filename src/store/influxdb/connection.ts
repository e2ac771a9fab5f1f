import { HttpError, InfluxDB, type Point, setLogger } from '@influxdata/influxdb-client';
import { MonitorError, messageOf } from '../../core/error.ts';
import type { InfluxCredentials } from '../open-options.ts';

const timeoutMs = 30_000;

/** The library prints every failure to the console; ours are thrown. */
setLogger({ error: () => undefined, warn: () => undefined });

/** One row of an InfluxQL answer: columns and tags by name. */
export type Row = Record<string, string | number | boolean | null>;
interface Statement {
  series?: { tags?: Record<string, string>; columns: string[]; values?: Row[string][][] }[];
  error?: string;
}

export interface InfluxVersion {
  major: number;
  text: string;
}

/** `influxdb://host:8086/database` taken apart. */
export interface InfluxAddress {
  base: string;
  database: string;
}

/** @throws MonitorError `invalid` */
export function parseAddress(text: string): InfluxAddress {
  const url = URL.canParse(text) ? new URL(text) : null;
  const database = decodeURIComponent(url?.pathname.slice(1) ?? '');
  if (!url?.hostname || !/^[^/"\\]+$/.test(database)) {
    throw new MonitorError(
      'invalid',
      'the store url needs a host and a database; write it like influxdb://localhost:8086/monitoring',
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new MonitorError(
      'invalid',
      'the store url must not hold a user or password; set AMBERWATCH_INFLUX_TOKEN, or AMBERWATCH_INFLUX_USER and AMBERWATCH_INFLUX_PASSWORD',
    );
  }
  const scheme = url.protocol === 'influxdbs:' ? 'https' : 'http';
  return { base: `${scheme}://${url.hostname}:${url.port || '8086'}`, database };
}

/**
 * The HTTP side of InfluxDB 1.6 to 3.x: line protocol to `/write`, InfluxQL to `/query`, the one dialect
 * all of them speak. The client library gives transport and escaping; its buffering and retries are
 * switched off, since they would acknowledge what was never stored.
 */
export class InfluxConnection {
  readonly #client: InfluxDB;
  readonly #database: string;
  readonly #base: string;

  constructor(address: InfluxAddress, credentials: InfluxCredentials) {
    this.#base = address.base;
    this.#database = address.database;
    const { token, username, password } = credentials;
    const basic = `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`;
    this.#client = new InfluxDB({
      url: address.base,
      timeout: timeoutMs,
      ...(token !== undefined && { token }),
      ...(token === undefined && username !== undefined && { headers: { authorization: basic } }),
    });
  }

  /** @throws MonitorError `unavailable` */
  async version(): Promise<InfluxVersion> {
    let header = '';
    const body = (await this.request('/ping', '', { method: 'GET' }, (headers) => {
      header = String(headers['x-influxdb-version'] ?? '');
    })) as { version?: string } | string | undefined;
    const text = header || (typeof body === 'object' ? (body?.version ?? '') : '');
    const major = Number(/^v?(\d+)\./.exec(text)?.[1]);
    if (Number.isNaN(major)) {
      throw new MonitorError('unavailable', `${this.#base} answers but does not say which InfluxDB it is; is it one?`);
    }
    return { major, text };
  }

  /**
   * Resolves once InfluxDB has stored all points. What its retention refuses counts as stored: it would
   * be gone at once, and whoever sent it must not send it for ever.
   */
  async write(points: Point[]): Promise<void> {
    // A writer of its own per call: a shared one resolves a flush for lines another flush is still sending.
    const writer = this.#client.getWriteApi('', '', 'ms', {
      // Never reached: a batch that is sent for being full has its failure swallowed. It is allocated at once.
      batchSize: points.length + 1,
      maxBatchBytes: Number.MAX_SAFE_INTEGER,
      flushInterval: 0,
      maxRetries: 0,
    });
    writer.path = `/write?db=${encodeURIComponent(this.#database)}&precision=ms`;
    writer.writePoints(points);
    try {
      await writer.flush();
    } catch (error) {
      if (!isRetentionDrop(error)) throw this.#translate(error);
    } finally {
      writer.dispose();
    }
  }

  /** One or more InfluxQL statements; the rows of each. */
  async query(statements: readonly string[]): Promise<Row[][]> {
    const form = new URLSearchParams({ db: this.#database, epoch: 'ms', q: statements.join('; ') });
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
    const answer = (await this.request('/query', form.toString(), { method: 'POST', headers })) as {
      results: Statement[];
    };
    return answer.results.map((statement) => {
      if (statement.error !== undefined)
        throw new MonitorError('internal', `InfluxDB refused a query: ${statement.error}`);
      return rowsOf(statement);
    });
  }

  /** @throws MonitorError whose cause is the HttpError where InfluxDB answered */
  async request(
    path: string,
    body: unknown,
    options: { method: string; headers?: Record<string, string> },
    started?: (headers: Record<string, unknown>) => void,
  ): Promise<unknown> {
    try {
      return await this.#client.transport.request(path, body, options, started);
    } catch (error) {
      throw this.#translate(error);
    }
  }

  #translate(error: unknown): MonitorError {
    if (!(error instanceof HttpError)) {
      const code = /timed out/i.test(messageOf(error)) ? 'timeout' : 'unavailable';
      return new MonitorError(
        code,
        `InfluxDB at ${this.#base} does not answer: ${messageOf(error) || 'connection refused'}`,
        { cause: error },
      );
    }
    const text = reasonOf(error);
    if (error.statusCode === 401 || error.statusCode === 403) {
      return new MonitorError('unavailable', `InfluxDB at ${this.#base} refuses the credentials: ${text}`, {
        cause: error,
      });
    }
    const transient = error.statusCode === 404 || error.statusCode === 429 || error.statusCode >= 500;
    return new MonitorError(transient ? 'unavailable' : 'internal', `InfluxDB answered ${error.statusCode}: ${text}`, {
      cause: error,
    });
  }
}

/** 1.x and 3.x say `error`, 2.x says `message`. */
function reasonOf(error: HttpError): string {
  return String(error.json?.error ?? error.json?.message ?? error.body ?? error.statusMessage ?? '').slice(0, 300);
}

function isRetentionDrop(error: unknown): boolean {
  return (
    error instanceof HttpError &&
    (error.statusCode === 400 || error.statusCode === 422) &&
    /beyond retention policy/.test(reasonOf(error))
  );
}

function rowsOf(statement: Statement): Row[] {
  return (statement.series ?? []).flatMap(({ tags, columns, values = [] }) =>
    values.map((row) => ({
      ...tags,
      ...Object.fromEntries(columns.map((column, index) => [column, row[index] ?? null])),
    })),
  );
}
