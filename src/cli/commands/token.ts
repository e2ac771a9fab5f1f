import { type Command, Option } from 'commander';
import {
  issueInvite,
  issueToken,
  isValid,
  type Role,
  revokeToken,
  roles,
  rotateToken,
  type TokenOwner,
  type TokenRecord,
} from '../../access/token.ts';
import { TokenFile } from '../../access/token-file.ts';
import { parseDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import { clockTime } from '../../platform/clock-time.ts';
import { ownAddress } from '../../platform/own-address.ts';
import { terminalText } from '../../platform/terminal-text.ts';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { isLoopback, parseHostName } from '../config/address.ts';
import type { Config } from '../config/settings.ts';

const longestTtlMs = 10 * 366 * 86_400_000;

/** A secret is printed this once. */
export function addToken(program: Command): void {
  const token = program.command('token').description('who may use a server; run on the server, with its --data');
  const id = ['<id>', "the first column of 'amberwatch token list'"] as const;
  const code = 'print a code with which one host can join, once and within ten minutes';
  addCommand(token, ['token', 'invite'], code, printed(invite)).option('--host <name>', 'only this host');
  addCreate(token);
  addCommand(token, ['token', 'list'], 'list tokens; the tokens themselves are not kept', printed(list));
  const like = 'print a new token like another, which stays valid for a while';
  addCommand(token, ['token', 'rotate'], like, printed(rotate))
    .argument(...id)
    .option('--overlap <duration>', 'how long both are valid', '1d');
  addCommand(token, ['token', 'revoke'], 'end a token, within a second', printed(revoke)).argument(...id);
}

function addCreate(token: Command): void {
  const what = 'write: report one host, or series of one source; read: ask; admin: both';
  addCommand(token, ['token', 'create'], 'print a new token', printed(create))
    .addOption(new Option('--role <role>', what).choices(roles).makeOptionMandatory())
    .option('--host <name>', 'the host that a write token reports')
    .option('--source <name>', 'the source whose series a write token sends: those with the label source')
    .option('--expires <duration>', 'valid for so long; without it until it is revoked');
}

async function* create({ config, flags, now }: CommandContext): AsyncIterable<string> {
  const { role, host, source, expires } = flags as { role: Role; host?: string; source?: string; expires?: string };
  const ttlMs = expires === undefined ? null : parseDuration(expires, 'expires');
  if (ttlMs !== null && ttlMs > longestTtlMs)
    throw new MonitorError('invalid', `expires '${expires}' is longer than ten years; leave it out for no end`);
  const owner = ownerOf(role, host, source);
  yield await new TokenFile(config.data).issue((book) => issueToken(book, role, owner, now, ttlMs));
}

/** Whose a token is. @throws MonitorError `invalid` in the words of the command line */
function ownerOf(role: Role, host: string | undefined, source: string | undefined): TokenOwner | null {
  if (host !== undefined && source !== undefined)
    throw new MonitorError('invalid', 'a token belongs to a host or to a source; leave out --host or --source');
  if (host === '' || source === '') throw new MonitorError('invalid', 'a host or a source has a name; it is empty');
  const owner = host ?? (source === undefined ? null : { source });
  if (role === 'write' && owner === null)
    throw new MonitorError(
      'invalid',
      'a write token belongs to one host or to one source: name it with --host or --source',
    );
  if (role !== 'write' && owner !== null)
    throw new MonitorError(
      'invalid',
      `only a write token belongs to a host or a source; leave out --host and --source for role ${role}`,
    );
  return owner;
}

async function* invite({ config, flags, now }: CommandContext): AsyncIterable<string> {
  const host = (flags.host as string | undefined) ?? null;
  if (host !== null) parseHostName(host);
  const url = urlForOthers(config);
  const code = await new TokenFile(config.data).issue((book) => issueInvite(book, host, now));
  yield code;
  yield `On ${host ?? 'the new host'}, within ten minutes:`;
  yield `  amberwatch join ${url} ${code}${host === null ? '' : ` --host ${host}`}`;
  if (isLoopbackUrl(config.server))
    yield `The server must listen for others: --listen 0.0.0.0:${new URL(url).port || 80}. If they call it by another name, or with TLS: token invite --server URL`;
}

async function* rotate({ config, flags, args: [id = ''], now }: CommandContext): AsyncIterable<string> {
  const overlapMs = parseDuration(flags.overlap as string, 'overlap');
  yield await new TokenFile(config.data).issue((book) => rotateToken(book, id, now, overlapMs));
}

async function* revoke({ config, args: [id = ''], now }: CommandContext): AsyncIterable<string> {
  await new TokenFile(config.data).change((book) => revokeToken(book, id, now));
  yield `token ${id} is revoked`;
}

async function* list({ config, now }: CommandContext): AsyncIterable<string> {
  const { tokens, invites } = new TokenFile(config.data).book();
  const open = invites.filter((invite) => invite.expiresAt > now);
  if (tokens.length === 0 && open.length === 0)
    yield 'no tokens: only this machine can reach the server, and everybody on it may read and write';
  for (const token of tokens) yield tokenLine(token, now);
  for (const { host, expiresAt } of open)
    yield `invite    ${terminalText(host ?? 'any host')}  until ${time(expiresAt)}`;
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
