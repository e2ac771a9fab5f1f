import type { IncomingMessage } from 'node:http';
import type { DesiredSettings } from '../core/collector-settings.ts';
import { type ErrorCode, errorCodes, MonitorError } from '../core/error.ts';
import { connectionReason } from '../core/failure-reason.ts';
import { HttpConnections, type HttpRequest } from '../platform/http-connections.ts';
import type { AlarmsAnswer, EndingsAnswer, EndingsBody } from '../wire/alarm.ts';
import { desiredHeader, parseDesired } from '../wire/desired-settings.ts';
import type { DiskAnswer } from '../wire/disk.ts';
import { errorStatus } from '../wire/error-status.ts';
import type { ExpiryAnswer } from '../wire/expiry.ts';
import type { AccuracyAnswer, ForecastsAnswer } from '../wire/forecast.ts';
import type { DetailedAnswer } from '../wire/history.ts';
import type { HostAnswer, HostBody, HostsAnswer } from '../wire/host.ts';
import type { NewestAnswer } from '../wire/newest.ts';
import type { SeriesAnswer } from '../wire/series.ts';
import type { SlaPredictionsAnswer, SlaStatusAnswer, SlasAnswer, ViolationsAnswer } from '../wire/sla.ts';
import type { TakenAnswer } from '../wire/snapshot.ts';
import type { SourcesAnswer } from '../wire/source.ts';
import type { StatisticsBody } from '../wire/statistics.ts';

const timeouts = { connectMs: 10_000, silenceMs: 30_000 };
/** A PUT has its whole answer within this, however slowly it comes; what people ask for may take the server longer. */
const defaultDeadlines = { putMs: 30_000, askMs: 120_000 };
const late = new Error('late');
/** An answer that is longer is none of ours. */
const limits = { put: 64 * 1024, ask: 256 * 1024 * 1024 };

/** What became of a PUT. `null`: no answer, the server is away. */
export interface PutOutcome {
  status: number | null;
  detail: string;
  /** Where some were too old to be stored: how many were stored, and how many not. */
  taken?: TakenAnswer | null;
  /** What somebody wants of the collector. */
  desired?: DesiredSettings;
  /** From Retry-After, given as seconds or as a date. */
  retryAfterMs: number | null;
}

/** What a server may ask for: a token, and certificates (PEM). */
export interface ClientOptions {
  token?: string;
  /** A Unix socket that may lead to the same server, and asks for nothing; tried first. */
  local?: string;
  /** The only authority that is trusted. */
  ca?: string;
  cert?: string;
  key?: string;
}

type Query = Record<string, string | number | undefined>;

type Asked = HttpRequest & { headers: Record<string, string> };

/** The HTTP API, typed. Answers that are errors become MonitorError with the server's own code. */
export class MonitorClient {
  readonly server: string;
  readonly #connections: HttpConnections;
  readonly #local: HttpConnections | null;
  readonly #headers: Record<string, string>;
  readonly #deadlines: typeof defaultDeadlines;

  /** @throws MonitorError `invalid` */
  constructor(server: string, { token, local, ...tls }: ClientOptions = {}, deadlines = defaultDeadlines) {
    this.#deadlines = deadlines;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#connections = new HttpConnections({ ...timeouts, ...tls });
    this.#local = local === undefined ? null : new HttpConnections({ ...timeouts, socketPath: local });
    const url = URL.canParse(server) ? new URL(server) : null;
    if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
      throw new MonitorError('invalid', `server '${server}' is not a URL; write it like http://10.0.0.1:8000`);
    }
    if (url.username !== '' || url.password !== '') {
      throw new MonitorError('invalid', 'the server URL must not hold a user or password; set AMBERWATCH_TOKEN');
    }
    this.server = url.href.replace(/\/$/, '');
  }

  /** Sends gzip JSON; never throws. `now` is wall time: the server measures this clock by it. */
  async put(path: string, gzip: Uint8Array, now: number, signal?: AbortSignal): Promise<PutOutcome> {
    const deadline = new AbortController();
    const isLate = () => deadline.signal.reason === late;
    const timer = setTimeout(() => deadline.abort(late), this.#deadlines.putMs);
    // Not AbortSignal.any: it leaves something of every request in a signal that lives as long as the collector.
    const cut = () => deadline.abort();
    signal?.addEventListener('abort', cut, { once: true });
    if (signal?.aborted) cut();
    try {
      return await this.#putWithin(path, gzip, now, deadline.signal);
    } catch (error) {
      const detail = isLate() ? `no whole answer within ${this.#deadlines.putMs / 1000} s` : this.#reasonOf(error);
      return { status: null, detail, taken: null, retryAfterMs: null };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cut);
    }
  }

  async #putWithin(path: string, gzip: Uint8Array, now: number, signal: AbortSignal): Promise<PutOutcome> {
    const headers = {
      'content-type': 'application/json',
      'content-encoding': 'gzip',
      date: new Date(now).toUTCString(),
    };
    const answer = await this.#request(path, { method: 'PUT', headers, body: gzip, signal });
    const text = await textOf(answer, limits.put);
    const retryAfterMs = parseRetryAfter(String(answer.headers['retry-after'] ?? ''), now);
    const desired = parseDesired(String(answer.headers[desiredHeader] ?? ''));
    return { status: answer.statusCode ?? null, detail: detailOf(text), taken: takenOf(text), desired, retryAfterMs };
  }

  alarms(query: Query = {}): Promise<AlarmsAnswer> {
    return this.#get('/v1/alarms', query);
  }

  /** How alarms and silences that are not there any more have ended; at most `mostEndings` of each. */
  endings(asked: EndingsBody): Promise<EndingsAnswer> {
    return this.#ask('/v1/alarms/endings', { method: 'POST', body: JSON.stringify(asked) });
  }

  hosts(): Promise<HostsAnswer> {
    return this.#get('/v1/hosts', {});
  }

  /** Says that a host is gone for good. */
  forgetHost(host: string): Promise<{ host: string; at: string }> {
    return this.#ask(`/v1/hosts/${encodeURIComponent(host)}`, { method: 'DELETE' });
  }

  /** What is wanted of a host's collector: an interval in seconds (null: its own), whether it is to pause. */
  setHost(host: string, desired: HostBody): Promise<HostAnswer> {
    return this.#ask(`/v1/hosts/${encodeURIComponent(host)}`, { method: 'PATCH', body: JSON.stringify(desired) });
  }

  detailed(query: Query = {}): Promise<DetailedAnswer> {
    return this.#get('/v1/usage/detailed', query);
  }

  newest(query: Query = {}): Promise<NewestAnswer> {
    return this.#get('/v1/usage/newest', query);
  }

  forecasts(query: Query = {}): Promise<ForecastsAnswer> {
    return this.#get('/v1/forecasts', query);
  }

  accuracy(query: Query = {}): Promise<AccuracyAnswer> {
    return this.#get('/v1/forecasts/accuracy', query);
  }

  series(query: Query): Promise<SeriesAnswer> {
    return this.#get('/v1/series', query);
  }

  statistics(query: Query): Promise<StatisticsBody> {
    return this.#get('/v1/statistics', query);
  }

  slas(): Promise<SlasAnswer> {
    return this.#get('/v1/slas', {});
  }

  slaStatus(query: Query = {}): Promise<SlaStatusAnswer> {
    return this.#get('/v1/slas/status', query);
  }

  slaViolations(id: string, query: Query = {}): Promise<ViolationsAnswer> {
    return this.#get(`/v1/slas/${encodeURIComponent(id)}/violations`, query);
  }

  slaPredictions(id: string): Promise<SlaPredictionsAnswer> {
    return this.#get(`/v1/slas/${encodeURIComponent(id)}/predictions`, {});
  }

  sources(): Promise<SourcesAnswer> {
    return this.#get('/v1/sources', {});
  }

  disk(): Promise<DiskAnswer> {
    return this.#get('/v1/store/disk', {});
  }

  expiry(): Promise<ExpiryAnswer> {
    return this.#get('/v1/store/expiry', {});
  }

  /** Says that the server's clock is right, and lets it forget what is older than the retention. */
  confirmExpiry(): Promise<ExpiryAnswer> {
    return this.#ask('/v1/store/expiry', { method: 'POST', body: JSON.stringify({ confirm: true }) });
  }

  /** Exchanges a one-time code for the write token of a host. */
  async join(code: string, host: string): Promise<string> {
    const body = JSON.stringify({ code, host });
    const { token } = await this.#ask<{ token: string }>('/v1/join', { method: 'POST', body });
    return token;
  }

  async close(): Promise<void> {
    this.#connections.close();
    this.#local?.close();
  }

  #reasonOf(error: unknown): string {
    return connectionReason(error, {
      isTls: this.server.startsWith('https:'),
      caFlag: '--ca',
      certificateFlags: '--client-cert and --client-key',
    });
  }

  async #request(path: string, options: Asked): Promise<IncomingMessage> {
    if (this.#local !== null) {
      try {
        return await this.#local.request(`http://localhost${path}`, options);
      } catch (error) {
        // Nobody listens there, or not for this user: nothing has been sent.
        if ((error as NodeJS.ErrnoException).syscall !== 'connect') throw error;
      }
    }
    const headers = { ...this.#headers, ...options.headers };
    return this.#connections.request(`${this.server}${path}`, { ...options, headers });
  }

  async #get<T>(path: string, query: Query): Promise<T> {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value));
    return this.#ask(`${path}?${search}`, { method: 'GET' });
  }

  async #ask<T>(path: string, options: Pick<Asked, 'method'> & { body?: string }): Promise<T> {
    let status: number;
    let text: string;
    try {
      const headers: Record<string, string> = options.body ? { 'content-type': 'application/json' } : {};
      const signal = AbortSignal.timeout(this.#deadlines.askMs);
      const answer = await this.#request(path, { ...options, headers, signal });
      status = answer.statusCode ?? 0;
      text = await textOf(answer, limits.ask);
    } catch (error) {
      throw new MonitorError('unavailable', `${this.server} does not answer: ${this.#reasonOf(error)}`, {
        cause: error,
      });
    }
    if (status >= 400) throw new MonitorError(codeOf(status), detailOf(text));
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw new MonitorError('unavailable', `${this.server} answered something that is not JSON; is it amberwatch?`, {
        cause: error,
      });
    }
  }
}

/** @throws when it is longer than `limit` bytes; what is left of it is not read */
async function textOf(body: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limit) {
      body.destroy();
      throw new Error(`the answer is longer than ${limit} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function takenOf(text: string): TakenAnswer | null {
  try {
    const { stored, expired } = JSON.parse(text) as Record<string, unknown>;
    return isCount(stored) && isCount(expired) ? { stored, expired } : null;
  } catch {
    return null;
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Milliseconds to wait: `Retry-After` is seconds or an HTTP date (RFC 9110, 10.2.3). */
export function parseRetryAfter(text: string, now: number): number | null {
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

function codeOf(status: number): ErrorCode {
  const found = errorCodes.find((code) => errorStatus[code] === status);
  return found ?? (status >= 500 ? 'internal' : 'invalid');
}

function detailOf(text: string): string {
  try {
    return String((JSON.parse(text) as { detail?: unknown }).detail ?? text.slice(0, 200));
  } catch {
    return text.slice(0, 200);
  }
}
