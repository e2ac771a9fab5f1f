import { createHash, createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { type PutOutcome, parseRetryAfter } from '../client/monitor-client.ts';
import type { Clock } from '../core/clock.ts';
import { connectionReason } from '../core/failure-reason.ts';
import type { Network } from '../core/ip.ts';
import { backoffMs } from '../platform/back-off.ts';
import { mayReach, publicLookup, refusal } from './public-address.ts';
import type { Said, SaidLog } from './said-log.ts';

const timeoutMs = 10_000;

export interface WebhookOptions {
  url: URL;
  secret: string;
  /** Private networks that it may reach. */
  allowed: readonly Network[];
  log: SaidLog;
  clock: Clock;
  random: () => number;
  note: (message: string) => void;
}

/**
 * POSTs everything the alerter says, in order and each at least once, with an id that stays the same. Signed
 * as https://www.standardwebhooks.com describes: `webhook-signature` is HMAC-SHA256 over id, time and body.
 */
export class Webhook {
  readonly #options: WebhookOptions;
  readonly #reader: string;
  readonly #agent: Agent;
  readonly #stopped = new AbortController();
  #wake: () => void = () => undefined;
  #running: Promise<void> | null = null;
  #isFailing = false;

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#reader = `webhook-${createHash('sha256').update(options.url.href).digest('hex').slice(0, 12)}`;
    this.#agent = new Agent({
      connect: { timeout: timeoutMs, lookup: publicLookup(options.allowed) },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
  }

  /** Resolves once its place in the log is known: from then on nothing is missed. */
  async start(): Promise<void> {
    await this.#options.log.unread(this.#reader);
    this.#running = this.#run();
  }

  wake(): void {
    this.#wake();
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    this.#wake();
    await this.#running;
    await this.#agent.destroy();
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    while (!this.#stopped.signal.aborted) {
      const news = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const [next] = await log.unread(this.#reader);
      if (next === undefined) await news;
      else if (await this.#deliver(next)) await log.read(this.#reader, next.number);
    }
  }

  /** Until it is taken, or refused for good. */
  async #deliver(said: Said): Promise<boolean> {
    for (let failures = 1; !this.#stopped.signal.aborted; failures++) {
      const outcome = await this.#post(said);
      const { status } = outcome;
      if (status !== null && status >= 200 && status < 300) return this.#taken();
      if (isFinal(status)) return this.#refused(outcome);
      this.#failed(outcome);
      const waitMs = backoffMs(failures, outcome.retryAfterMs, this.#options.random());
      await sleep(waitMs, undefined, { signal: this.#stopped.signal }).catch(() => undefined);
    }
    return false;
  }

  async #post({ id, announcement }: Said): Promise<PutOutcome> {
    const { url, secret, allowed, clock } = this.#options;
    const host = url.hostname.replace(/^\[|\]$/g, '');
    // An address is connected to without a look-up.
    if (/^[\d.]+$|:/.test(host) && !mayReach(host, allowed))
      return { status: null, detail: refusal(host), retryAfterMs: null };
    const body = webhookBody(id, announcement);
    try {
      const headers = { 'content-type': 'application/json', ...signature(secret, id, clock.now(), body) };
      const signal = this.#stopped.signal;
      const answer = await request(url, { method: 'POST', headers, body, dispatcher: this.#agent, signal });
      await answer.body.dump();
      const retryAfterMs = parseRetryAfter(String(answer.headers['retry-after'] ?? ''), clock.now());
      return { status: answer.statusCode, detail: `it answers ${answer.statusCode}`, retryAfterMs };
    } catch (error) {
      return {
        status: null,
        detail: connectionReason(error, { isTls: url.protocol === 'https:', caFlag: 'NODE_EXTRA_CA_CERTS' }),
        retryAfterMs: null,
      };
    }
  }

  #taken(): true {
    if (this.#isFailing) this.#options.note(`webhook ${this.#options.url.host} takes messages again`);
    this.#isFailing = false;
    return true;
  }

  #refused({ detail }: PutOutcome): true {
    this.#options.note(
      `webhook ${this.#options.url.host} refused a message for good: ${detail}; going on with the next`,
    );
    return true;
  }

  #failed({ detail }: PutOutcome): void {
    // Only the host: the path or query of a webhook is often its secret.
    if (!this.#isFailing) this.#options.note(`webhook ${this.#options.url.host}: ${detail}; trying again`);
    this.#isFailing = true;
  }
}

/** Whether trying again would not help. A redirect is never followed. */
function isFinal(status: number | null): boolean {
  return status !== null && status >= 300 && status < 500 && ![408, 425, 429].includes(status);
}

function webhookBody(id: string, announcement: Said['announcement']): string {
  const { time, since, id: alarmId, ...rest } = announcement;
  const iso = (at: number | null) => (at === null ? null : new Date(at).toISOString());
  // What is worth waking somebody: AMBER only when the stricter policy says so too.
  const notify = announcement.level !== 'AMBER' || announcement.prediction?.notify === true;
  return JSON.stringify({ id, notify, alarmId, ...rest, time: iso(time), since: iso(since) });
}

export function signature(secret: string, id: string, now: number, body: string): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000));
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : secret;
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${mac}` };
}
