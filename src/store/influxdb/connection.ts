import { HttpError, InfluxDB, type Point, setLogger } from '@influxdata/influxdb-client';
import { MonitorError, messageOf } from '../../core/error.ts';
import { connectionReason } from '../../core/failure-reason.ts';
import type { InfluxCredentials } from '../open-options.ts';

const timeoutMs = 30_000;
/** Of an answer: 50,000 raw rows are some 8 MB. */
const mostBytes = 128 * 1024 ** 2;

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
  minor: number;
}

/** Points older than InfluxDB keeps: it has not stored them, and never will; it has stored all others. */
export class PastRetention extends MonitorError {
  /** How many points; null where it does not say. */
  readonly points: number | null;

  constructor(message: string, points: number | null, cause: unknown) {
    super('invalid', message, { cause });
    this.points = points;
  }
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
    const { token, username, password, ca } = credentials;
    const basic = `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`;
    this.#client = new InfluxDB({
      url: address.base,
      timeout: timeoutMs,
      ...(token !== undefined && { token }),
      ...(token === undefined && username !== undefined && { headers: { authorization: basic } }),
      ...(ca !== undefined && { transportOptions: { ca } }),
    });
  }

  /** @throws MonitorError `unavailable` */
  async version(): Promise<InfluxVersion> {
    let header = '';
    const body = (await this.request('/ping', '', { method: 'GET' }, (headers) => {
      header = String(headers['x-influxdb-version'] ?? '');
    })) as { version?: string } | string | undefined;
    const text = header || (typeof body === 'object' ? (body?.version ?? '') : '');
    const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(text) ?? [];
    if (major === undefined) {
      throw new MonitorError('unavailable', `${this.#base} answers but does not say which InfluxDB it is; is it one?`);
    }
    return { major: Number(major), minor: Number(minor) };
  }

  /**
   * Resolves once InfluxDB has stored all points.
   * @throws PastRetention when some of them are older than it keeps; it has stored the others
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
      const refusal = this.#translate(error);
      throw isPastRetention(error) ? new PastRetention(refusal.message, droppedPoints(error), error) : refusal;
    } finally {
      writer.dispose();
    }
  }

  /** One or more InfluxQL statements; the rows of each. */
  async query(statements: readonly string[], signal?: AbortSignal): Promise<Row[][]> {
    const form = new URLSearchParams({ db: this.#database, epoch: 'ms', q: statements.join('; ') });
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' };
    const options = { method: 'POST', headers, ...(signal && { signal }) };
    const answer = (await this.request('/query', form.toString(), options)) as { results: Statement[] };
    const [error] = answer.results.flatMap((statement) => statement.error ?? []);
    if (error !== undefined)
      throw new MonitorError(
        awayPattern.test(error) ? 'unavailable' : 'internal',
        `InfluxDB refused a query: ${error === 'not executed' ? 'the database is gone' : error}; restart amberwatch serve, which makes it again`,
      );
    return answer.results.map(rowsOf);
  }

  /**
   * Once the signal is aborted the request is closed, which stops the query.
   * @throws MonitorError whose cause is the HttpError where InfluxDB answered; the signal's reason
   */
  async request(
    path: string,
    body: unknown,
    options: { method: string; headers?: Record<string, string>; signal?: AbortSignal },
    started?: (headers: Record<string, unknown>) => void,
  ): Promise<unknown> {
    options.signal?.throwIfAborted();
    const text = typeof body === 'string' ? body : JSON.stringify(body ?? '');
    // The library leaves a listener of every request in the signal, and one signal is for many.
    const own = new AbortController();
    const cut = () => own.abort();
    options.signal?.addEventListener('abort', cut, { once: true });
    try {
      return await this.#send(path, text, { ...options, signal: own.signal }, started);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw error instanceof MonitorError ? error : this.#translate(error);
    } finally {
      options.signal?.removeEventListener('abort', cut);
    }
  }

  #send(
    path: string,
    body: string,
    options: { method: string; signal: AbortSignal },
    started?: (headers: Record<string, unknown>) => void,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const chunks: Uint8Array[] = [];
      let [bytes, isJson, stop] = [0, false, () => {}];
      this.#client.transport.send(path, body, options, {
        responseStarted(headers) {
          isJson = String(headers['content-type']).includes('json');
          started?.(headers);
        },
        next(chunk) {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes <= mostBytes) return;
          chunks.length = 0;
          reject(new MonitorError('invalid', 'the answer of InfluxDB is larger than 128 MiB; ask for less'));
          stop();
        },
        useCancellable(cancellable) {
          stop = () => cancellable.cancel();
        },
        error: reject,
        complete() {
          try {
            const text = Buffer.concat(chunks).toString();
            resolve(isJson && text !== '' ? JSON.parse(text) : text === '' ? undefined : text);
          } catch (error) {
            reject(error);
          }
        },
      });
    });
  }

  #translate(error: unknown): MonitorError {
    if (!(error instanceof HttpError)) {
      const code = /timed out/i.test(messageOf(error)) ? 'timeout' : 'unavailable';
      return new MonitorError(
        code,
        `InfluxDB at ${this.#base} does not answer: ${connectionReason(error, { isTls: this.#base.startsWith('https:'), caFlag: '--store-ca' })}`,
        { cause: error },
      );
    }
    const text = reasonOf(error);
    if (error.statusCode === 401 || error.statusCode === 403) {
      return new MonitorError('unavailable', `InfluxDB at ${this.#base} refuses the credentials: ${text}`, {
        cause: error,
      });
    }
    if (awayPattern.test(text))
      return new MonitorError(
        'unavailable',
        `InfluxDB answered ${error.statusCode}: ${text}; restart amberwatch serve, which makes it again`,
        {
          cause: error,
        },
      );
    const transient = error.statusCode === 404 || error.statusCode === 429 || error.statusCode >= 500;
    return new MonitorError(transient ? 'unavailable' : 'internal', `InfluxDB answered ${error.statusCode}: ${text}`, {
      cause: error,
    });
  }
}

/** What is asked of is not there: whoever made it may do so again. Of two statements 1.6 says only that it did not. */
const awayPattern = /^(database|retention policy) not found\b|^not executed$|\bno dbrp mapping found\b/i;

/** 1.x and 3.x say `error`, 2.x says `message`. */
function reasonOf(error: HttpError): string {
  return wholeReasonOf(error).slice(0, 300);
}

function wholeReasonOf(error: HttpError): string {
  return String(error.json?.error ?? error.json?.message ?? error.body ?? error.statusMessage ?? '');
}

/** Up to 1.8 and 2.7.11; then 1.12 and 2.7.12. With 2.x the words of the storage engine come after its own. */
const pastRetention =
  /^(failure writing points to database: )?partial write: (points beyond retention policy|dropped \d+ points? outside retention policy)\b/;

/** `... dropped=2`, and from 1.12 and 2.7.12 on `dropped 2 points outside ...`. */
function droppedPoints(error: HttpError): number | null {
  const [, , , , words, equals] =
    /^(failure writing points to database: )?(partial write: )(dropped (\d+) points|.*\bdropped=(\d+)\b)/.exec(
      wholeReasonOf(error),
    ) ?? [];
  const count = Number(words ?? equals);
  return Number.isSafeInteger(count) ? count : null;
}

/** A write window that somebody has set is another thing: what it refuses now it may take later. */
function isPastRetention(error: unknown): error is HttpError {
  if (!(error instanceof HttpError) || (error.statusCode !== 400 && error.statusCode !== 422)) return false;
  const reason = wholeReasonOf(error);
  return pastRetention.test(reason) && !/outside write window/.test(reason);
}

/** The status with which InfluxDB refused; undefined where it did not answer. */
export function statusOf(error: unknown): number | undefined {
  const cause = error instanceof MonitorError ? error.cause : error;
  return cause instanceof HttpError ? cause.statusCode : undefined;
}

/** Nobody answers, or not yet as it will: what a start need not wait for. */
export function isAway(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return status >= 500 || status === 429;
  return error instanceof MonitorError && error.cause !== undefined;
}

function rowsOf(statement: Statement): Row[] {
  return (statement.series ?? []).flatMap(({ tags, columns, values = [] }) =>
    values.map((row) => ({
      ...tags,
      ...Object.fromEntries(columns.map((column, index) => [column, row[index] ?? null])),
    })),
  );
}
