import ipaddr from 'ipaddr.js';
import { MonitorError } from '../../core/error.ts';
import type { Network } from '../../platform/ip.ts';

export interface ListenAddress {
  host: string;
  port: number;
}

/** `127.0.0.1:8000`, `[::1]:8000` or `localhost:8000`. */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new MonitorError(
      'invalid',
      `'${text}' is not an address and port; write it like 127.0.0.1:8000 or [::1]:8000`,
    );
  }
  return { host: match[1] ?? (match[2] as string), port };
}

/** The text that `parseListen` reads. */
export function formatListen({ host, port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Whether only this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

export const storeRemedy = 'set AMBERWATCH_INFLUX_TOKEN, or AMBERWATCH_INFLUX_USER and AMBERWATCH_INFLUX_PASSWORD';
const serverRemedy = 'set AMBERWATCH_TOKEN';

/** What stands in an address is seen by everybody who sees a process list, a log or a configuration. */
export function withoutSecrets(given: string, what: string, remedy: string): string {
  const text = given.trim();
  if (/^(?:duckdb|memory):/.test(text)) return text;
  if (text.includes('@'))
    throw new MonitorError(
      'invalid',
      `the ${what} url must not hold a user or password (it is not shown here); ${remedy}`,
    );
  if (/[?#]/.test(text))
    throw new MonitorError(
      'invalid',
      `the ${what} url must not have a part after ? or # (it is not shown here); ${remedy}`,
    );
  return text;
}

/** @throws MonitorError `invalid` for one that holds a secret */
export function serverUrl(text: string): string {
  return withoutSecrets(text, 'server', serverRemedy);
}

/**
 * The wire takes any name, since others report too; who chooses one has to be able to type it again.
 * @throws MonitorError `invalid`
 */
export function parseHostName(text: string): string {
  if (!/^[\p{L}\p{N}_][\p{L}\p{N}._:-]{0,252}$/u.test(text))
    throw new MonitorError(
      'invalid',
      `'${text}' is no host name; write letters, digits, dots, hyphens and underscores, such as web-01.example.com`,
    );
  return text;
}

export function parseWebhook(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    // Its path is often a secret.
    throw new MonitorError('invalid', 'the webhook is not a URL; write it like https://example.com/hook');
  if (url.username !== '' || url.password !== '')
    throw new MonitorError('invalid', 'the webhook must not hold a user or password: messages are signed instead');
  return url;
}

export function parseWebhookSecret(text: string | undefined): string | undefined {
  if (text !== undefined && text.length < 16)
    throw new MonitorError(
      'invalid',
      'the webhook secret is shorter than 16 characters; make one with: openssl rand -hex 24',
    );
  return text;
}

/** An address is the network of itself. */
export function parseNetwork(text: string): Network {
  try {
    const [address, bits] = text.includes('/') ? ipaddr.parseCIDR(text) : [ipaddr.parse(text), null];
    return { address: address.toString(), bits: bits ?? (address.kind() === 'ipv4' ? 32 : 128) };
  } catch {
    throw new MonitorError('invalid', `'${text}' is not an address or network; write it like 10.0.0.5 or 10.0.0.0/8`);
  }
}
