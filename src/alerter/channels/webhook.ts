import { createHash, createHmac } from 'node:crypto';
import { Agent, request } from 'undici';
import { parseRetryAfter } from '../../client/monitor-client.ts';
import type { Clock } from '../../core/clock.ts';
import { connectionReason } from '../../core/failure-reason.ts';
import type { Network } from '../../platform/ip.ts';
import { namesPrivateAddress, publicLookup } from '../../platform/public-address.ts';
import type { OutboxEntry } from '../outbox.ts';
import type { Channel, Outcome } from './channel.ts';

const timeoutMs = 10_000;

export interface WebhookOptions {
  url: URL;
  secret: string;
  /** Private networks that it may reach. */
  allowed: readonly Network[];
  clock: Clock;
}

/**
 * POSTs what the alerter says, with an id that stays the same however often it is sent. Signed as
 * https://www.standardwebhooks.com describes: `webhook-signature` is HMAC-SHA256 over id, time and body.
 */
export class Webhook implements Channel {
  readonly name: string;
  /** Only the host: the path or query of a webhook is often its secret. */
  readonly label: string;
  readonly isInstant = false;
  readonly #options: WebhookOptions;
  readonly #agent: Agent;

  constructor(options: WebhookOptions) {
    const { url, allowed } = options;
    this.#options = options;
    this.name = `webhook-${createHash('sha256').update(url.href).digest('hex').slice(0, 12)}`;
    this.label = `webhook ${url.host}`;
    this.#agent = new Agent({
      connect: { timeout: timeoutMs, lookup: publicLookup(allowed, refusal) },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
  }

  async deliver(said: OutboxEntry, signal: AbortSignal): Promise<Outcome> {
    const { url, allowed } = this.#options;
    if (namesPrivateAddress(url, allowed))
      return { kind: 'failed', detail: refusal(url.hostname.replace(/^\[|\]$/g, '')), retryAfterMs: null };
    try {
      return await this.#post(said, signal);
    } catch (error) {
      const how = { isTls: url.protocol === 'https:', caFlag: 'NODE_EXTRA_CA_CERTS' };
      return { kind: 'failed', detail: connectionReason(error, how), retryAfterMs: null };
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #post({ id, announcement }: OutboxEntry, signal: AbortSignal): Promise<Outcome> {
    const { url, secret, clock } = this.#options;
    const body = webhookBody(id, announcement);
    const headers = { 'content-type': 'application/json', ...signature(secret, id, clock.now(), body) };
    const answer = await request(url, { method: 'POST', headers, body, dispatcher: this.#agent, signal });
    await answer.body.dump();
    const { statusCode: status } = answer;
    if (status >= 200 && status < 300) return { kind: 'taken' };
    const detail = `it answers ${status}`;
    if (isFinal(status)) return { kind: 'refused', detail };
    const retryAfterMs = parseRetryAfter(String(answer.headers['retry-after'] ?? ''), clock.now());
    return { kind: 'failed', detail, retryAfterMs };
  }
}

function refusal(host: string): string {
  return `${host} is a private address; if webhooks may go there, list it with --webhook-allow`;
}

/** Whether trying again would not help. A redirect is never followed. */
function isFinal(status: number): boolean {
  return status >= 300 && status < 500 && ![408, 425, 429].includes(status);
}

function webhookBody(id: string, announcement: OutboxEntry['announcement']): string {
  const { time, since, id: alarmId, ...rest } = announcement;
  const iso = (at: number | null) => (at === null ? null : new Date(at).toISOString());
  return JSON.stringify({
    id,
    notify: isWorthWaking(announcement),
    alarmId,
    ...rest,
    time: iso(time),
    since: iso(since),
  });
}

/** AMBER only when the stricter policy says so too; a pause as the end of what somebody was told of, and not its own end. */
function isWorthWaking({ level, before, prediction }: OutboxEntry['announcement']): boolean {
  if (level === 'PAUSED') return before === 'RED' || before === 'STALE';
  if (level === 'OK') return before !== 'PAUSED';
  return level !== 'AMBER' || prediction?.notify === true;
}

export function signature(secret: string, id: string, now: number, body: string): Record<string, string> {
  const timestamp = String(Math.floor(now / 1000));
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : secret;
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${mac}` };
}
