import { type Config, isLoopback, parseHostName } from './config.ts';
import { clockTime } from './core/clock-time.ts';
import { parseDuration } from './core/duration.ts';
import { MonitorError } from './core/error.ts';
import { terminalText } from './core/terminal-text.ts';
import {
  issueInvite,
  issueToken,
  isValid,
  type Role,
  revokeToken,
  rotateToken,
  type TokenRecord,
} from './core/token.ts';
import { ownAddress } from './own-address.ts';
import { TokenFile } from './token-file.ts';

const longestTtlMs = 10 * 366 * 86_400_000;

/** What `amberwatch token` does: each resolves with the lines to print. A secret is printed this once. */

export async function createToken(
  config: Config,
  role: Role,
  { host, source }: { host?: string; source?: string },
  expires: string | undefined,
  now: number,
): Promise<string[]> {
  const ttlMs = expires === undefined ? null : parseDuration(expires, 'expires');
  if (ttlMs !== null && ttlMs > longestTtlMs)
    throw new MonitorError('invalid', `expires '${expires}' is longer than ten years; leave it out for no end`);
  if (host !== undefined && source !== undefined)
    throw new MonitorError('invalid', 'a token belongs to a host or to a source; leave out --host or --source');
  if (host === '' || source === '') throw new MonitorError('invalid', 'a host or a source has a name; it is empty');
  const owner = host ?? (source === undefined ? null : { source });
  const secret = await new TokenFile(config.data).issue((book) => issueToken(book, role, owner, now, ttlMs));
  return [secret];
}

export async function inviteHost(config: Config, host: string | null, now: number): Promise<string[]> {
  if (host !== null) parseHostName(host);
  const url = urlForOthers(config);
  const code = await new TokenFile(config.data).issue((book) => issueInvite(book, host, now));
  return [
    code,
    `On ${host ?? 'the new host'}, within ten minutes:`,
    `  amberwatch join ${url} ${code}${host === null ? '' : ` --host ${host}`}`,
    `The server must listen for others: --listen 0.0.0.0:${new URL(url).port || 80}. If they call it by another name, or with TLS: token invite --server URL`,
  ].slice(0, isLoopbackUrl(config.server) ? 4 : 3);
}

export async function rotate(config: Config, id: string, overlap: string, now: number): Promise<string[]> {
  const overlapMs = parseDuration(overlap, 'overlap');
  return [await new TokenFile(config.data).issue((book) => rotateToken(book, id, now, overlapMs))];
}

export async function revoke(config: Config, id: string, now: number): Promise<string[]> {
  await new TokenFile(config.data).change((book) => revokeToken(book, id, now));
  return [`token ${id} is revoked`];
}

export function listTokens(config: Config, now: number): string[] {
  const { tokens, invites } = new TokenFile(config.data).book();
  const open = invites.filter((invite) => invite.expiresAt > now);
  if (tokens.length === 0 && open.length === 0)
    return ['no tokens: only this machine can reach the server, and everybody on it may read and write'];
  return [
    ...tokens.map((token) => tokenLine(token, now)),
    ...open.map(({ host, expiresAt }) => `invite    ${terminalText(host ?? 'any host')}  until ${time(expiresAt)}`),
  ];
}

function isLoopbackUrl(server: string): boolean {
  return URL.canParse(server) && isLoopback(new URL(server).hostname.replace(/^\[|\]$/g, ''));
}

/** Another host cannot call this one by a loopback address. */
function urlForOthers({ server, listen, tlsCert }: Config): string {
  if (!URL.canParse(server))
    throw new MonitorError('invalid', `server '${server}' is not a URL; write it like http://10.0.0.1:8000`);
  const [url, own] = [new URL(server), ownAddress()];
  if (!isLoopbackUrl(server)) return url.origin;
  const address = ['0.0.0.0', '::'].includes(listen.host) || isLoopback(listen.host) ? own : listen.host;
  if (address !== null) url.hostname = address.includes(':') ? `[${address}]` : address;
  // The default of --server; another was meant.
  if (url.port === '8000' && listen.port !== 0) url.port = String(listen.port);
  if (tlsCert !== undefined) url.protocol = 'https:';
  return url.origin;
}

function tokenLine(token: TokenRecord, now: number): string {
  const { id, role, host, source, createdAt, expiresAt, revokedAt } = token;
  const state = isValid(token, now)
    ? expiresAt === null
      ? 'valid'
      : `valid until ${time(expiresAt)}`
    : revokedAt === null
      ? 'expired'
      : 'revoked';
  return `${id}  ${role.padEnd(5)}  ${terminalText(source == null ? (host ?? '-') : `source ${source}`).padEnd(20)}  made ${time(createdAt)}  ${state}`;
}

function time(at: number): string {
  return clockTime(at).slice(0, '2026-11-21 00:00'.length);
}
