import { pipeline } from 'node:stream/promises';
import { createGunzip, gunzipSync } from 'node:zlib';
import type { Agent, Dispatcher } from 'undici';
import { MonitorError } from '../core/error.ts';
import { connectionReason } from '../core/failure-reason.ts';
import type { TimeWindow } from '../core/store.ts';
import { timeLimit } from '../platform/deadline.ts';
import type { Network } from '../platform/ip.ts';
import { namesPrivateAddress, publicLookup } from '../platform/public-address.ts';
import { type MatrixSeries, MatrixStream } from '../wire/matrix-stream.ts';

/** Where a Prometheus is, and how one is let in. */
export interface PrometheusAddress {
  /** Of its page; the API is below it. */
  url: URL;
  /** Private networks that may be called. */
  allowed: readonly Network[];
  /** The only authority (PEM) whose certificate it may have. */
  ca?: string;
  token?: string;
  user?: string;
  password?: string;
}

const connectTimeoutMs = 10_000;
/** Until the first byte, and between two. */
const silenceMs = 60_000;
/** Of a whole answer, and what is done with it as it comes. */
const longestMs = 180_000;
/** Unpacked. */
const longestAnswer = 128 * 1024 * 1024;
const longestError = 64 * 1024;

/** How long an answer may take, and who does not wait for it any more. */
export interface AskBounds {
  closing?: AbortSignal;
  deadlineMs?: number;
}

/** For the first question: most servers ask nobody. It is CommonJS, of which a bundle has the default alone. */
async function loadUndici() {
  return (await import('undici')).default;
}

/** What is asked of a Prometheus, or of whatever has its API. */
export class PrometheusApi {
  readonly #address: PrometheusAddress;
  #agent: Promise<Agent> | null = null;

  constructor(address: PrometheusAddress) {
    this.#address = address;
  }

  async #connections(): Promise<Agent> {
    const { Agent } = await loadUndici();
    const { allowed, ca } = this.#address;
    return new Agent({
      connect: { timeout: connectTimeoutMs, lookup: publicLookup(allowed, refusal), ...(ca !== undefined && { ca }) },
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
    });
  }

  /**
   * Every sample that a selector names in the window, as it was taken, one series after the other: a range selector in
   * an instant query has no steps (https://prometheus.io/docs/prometheus/latest/querying/basics/#range-vector-selectors).
   * @param take is waited for
   * @returns its wall time as it answered; null: it does not say
   * @throws MonitorError `invalid` for a selector that it does not take, `too_large` for an answer that is too large or
   * takes too long, `unauthorized`, and `unavailable` for everything else
   */
  async samples(
    selector: string,
    { from, to }: TimeWindow,
    take: (series: MatrixSeries) => Promise<void>,
    bounds: AskBounds = {},
  ): Promise<number | null> {
    const query = new URLSearchParams({
      query: `${selector}[${Math.max(1, Math.round(to - from))}ms]`,
      time: String(to / 1000),
    });
    return this.#ask('api/v1/query', query, bounds, (body) => readSeries(body, take));
  }

  /** What it is, as it says itself; null: it does not. @throws MonitorError as `samples` */
  async version(): Promise<string | null> {
    let text = '';
    await this.#ask('api/v1/status/buildinfo', null, {}, async (body) => {
      for await (const piece of body) if (text.length < longestError) text += String(piece);
    });
    try {
      return JSON.parse(text).data.version ?? null;
    } catch {
      return null;
    }
  }

  /** Its wall time; null: it does not say. @throws MonitorError as `samples`, where there is nobody */
  async time(closing: AbortSignal): Promise<number | null> {
    const form = new URLSearchParams({ query: 'time()' });
    const skip = async (body: AsyncIterable<Buffer>) => {
      for await (const _ of body);
    };
    return this.#ask('api/v1/query', form, { closing }, skip);
  }

  async close(): Promise<void> {
    await (await this.#agent)?.destroy();
  }

  async #ask(
    path: string,
    form: URLSearchParams | null,
    { closing, deadlineMs = longestMs }: AskBounds,
    read: (body: AsyncIterable<Buffer>) => Promise<void>,
  ): Promise<number | null> {
    const { url, allowed } = this.#address;
    if (namesPrivateAddress(url, allowed)) throw new MonitorError('unavailable', refusal(url.hostname));
    const deadline = timeLimit(
      deadlineMs,
      () => new MonitorError('too_large', `it has not answered all within ${deadlineMs / 1000} s`),
    );
    const signal = closing === undefined ? deadline : AbortSignal.any([deadline, closing]);
    try {
      const { request } = await loadUndici();
      this.#agent ??= this.#connections();
      const answer = await request(new URL(path, `${url.href.replace(/\/+$/, '')}/`), {
        method: form === null ? 'GET' : 'POST',
        headers: this.#headers(form),
        ...(form !== null && { body: form.toString() }),
        dispatcher: await this.#agent,
        signal,
      });
      if (answer.statusCode !== 200) throw await refused(answer);
      await readBody(answer, signal, read);
      const date = Date.parse(String(answer.headers.date));
      return Number.isNaN(date) ? null : date;
    } catch (error) {
      throw this.#explained(error, signal);
    }
  }

  #headers(form: URLSearchParams | null): Record<string, string> {
    const { token, user, password = '' } = this.#address;
    const basic = user === undefined ? undefined : `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    const authorization = token === undefined ? basic : `Bearer ${token}`;
    return {
      'accept-encoding': 'gzip',
      ...(form !== null && { 'content-type': 'application/x-www-form-urlencoded' }),
      ...(authorization !== undefined && { authorization }),
    };
  }

  #explained(error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    if (error instanceof MonitorError) return error;
    const { url } = this.#address;
    const why = connectionReason(error, { isTls: url.protocol === 'https:', caFlag: 'ca (--ca)' });
    return new MonitorError('unavailable', why, { cause: error });
  }
}

function refusal(host: string): string {
  return `${host} is a private address; if it may be asked, list it: allow: ${host.replace(/^\[|\]$/g, '')} (--allow)`;
}

async function readBody(
  { headers, body }: Dispatcher.ResponseData,
  signal: AbortSignal,
  read: (body: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  const bounded = (pieces: AsyncIterable<Buffer>) =>
    read(atMost(pieces, longestAnswer)).catch((error: unknown) => {
      failures.push(error);
      throw error;
    });
  const isPacked = headers['content-encoding'] === 'gzip';
  await (isPacked ? pipeline(body, createGunzip(), bounded, { signal }) : pipeline(body, bounded, { signal })).catch(
    (error: unknown) => {
      // A pipeline may tell of what it stopped instead of why.
      throw failures[0] ?? error;
    },
  );
}

async function* atMost(pieces: AsyncIterable<Buffer>, most: number): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > most) throw new MonitorError('too_large', `it answers more than ${most / 1024 / 1024} MiB at once`);
    yield piece;
  }
}

async function readSeries(body: AsyncIterable<Buffer>, take: (series: MatrixSeries) => Promise<void>): Promise<void> {
  const stream = new MatrixStream();
  for await (const piece of body) for (const series of stream.push(piece)) await take(series);
  if (!stream.hasEnded) throw new MonitorError('unavailable', 'its answer ends in the middle');
}

/** What it says of why it does not answer. A redirect is not followed: it would lead to where nobody has allowed. */
async function refused({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<MonitorError> {
  const text = await errorText(headers, body);
  const said = errorIn(text);
  const told = said === null ? '' : `: ${said}`;
  if (statusCode >= 300 && statusCode < 400)
    return new MonitorError(
      'unavailable',
      `it sends on to ${placeOf(headers.location)}, which is not followed; write that address if it is right`,
    );
  if (statusCode === 401 || statusCode === 403)
    return new MonitorError('unauthorized', `it wants another token, or user and password (${statusCode})${told}`);
  if (statusCode === 422) return new MonitorError('too_large', `it does not answer that much at once (422)${told}`);
  if (statusCode === 404)
    return new MonitorError('unavailable', 'there is no API of a Prometheus (404); write the address of its page');
  if (statusCode === 400) return new MonitorError('invalid', `it does not take the selector${told}`);
  return new MonitorError('unavailable', `it answers ${statusCode}${told}`);
}

/** Without a query: tokens stand there. */
function placeOf(location: unknown): string {
  const text = String(location);
  return (
    URL.canParse(text) ? `${new URL(text).origin}${new URL(text).pathname}` : (text.split('?', 1)[0] ?? '')
  ).slice(0, 200);
}

/** As far as it is not too long. */
async function errorText(headers: Dispatcher.ResponseData['headers'], body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > longestError) break;
  }
  const whole = Buffer.concat(pieces);
  if (headers['content-encoding'] !== 'gzip') return whole.toString();
  try {
    return gunzipSync(whole, { maxOutputLength: longestError }).toString();
  } catch {
    return '';
  }
}

function errorIn(text: string): string | null {
  try {
    const { error } = JSON.parse(text);
    return typeof error === 'string' ? error.slice(0, 300) : null;
  } catch {
    return null;
  }
}
