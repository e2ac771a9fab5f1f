import { MonitorError } from '../core/error.ts';
import { codeHash, hashOf, newCode, newTokenSecret, sameHash, tokenId } from './secret.ts';

/** `write`: reports snapshots of one host, or series of one source; `read`: asks; `admin`: both, for any host. */
export const roles = ['write', 'read', 'admin'] as const;
export type Role = (typeof roles)[number];

/** The host, or the source, that a write token is of. */
export type TokenOwner = string | { source: string };

/** What is kept of a token. Times are epoch milliseconds. */
export interface TokenRecord {
  id: string;
  role: Role;
  /** The only host a `write` token may report; null for the others. */
  host: string | null;
  /** The only source whose series a `write` token without a host may write; absent before there were any. */
  source?: string | null;
  /** SHA-256 of the whole token, hex: it has 256 random bits, so nothing slower is needed. */
  hash: string;
  createdAt: number;
  expiresAt: number | null;
  revokedAt: number | null;
}

/** A one-time code that a host exchanges for its write token. */
export interface InviteRecord {
  hash: string;
  /** Null: whichever host comes with it. */
  host: string | null;
  expiresAt: number;
}

export interface TokenBook {
  tokens: TokenRecord[];
  invites: InviteRecord[];
}

/** A changed book, and the secret that is shown this once. */
export interface Issued {
  book: TokenBook;
  secret: string;
}

const inviteMs = 10 * 60_000;

export const emptyBook = (): TokenBook => ({ tokens: [], invites: [] });

/**
 * @param owner the host or the source that a write token is of
 * @param ttlMs how long it is valid; null: until it is revoked
 * @throws MonitorError `invalid` for a write token without an owner, or another one with it
 */
export function issueToken(
  book: TokenBook,
  role: Role,
  owner: TokenOwner | null,
  now: number,
  ttlMs: number | null,
): Issued {
  if (role === 'write' && owner === null)
    throw new MonitorError('invalid', 'a write token belongs to one host or to one source; name it');
  if (role !== 'write' && owner !== null)
    throw new MonitorError('invalid', `only a write token belongs to a host or a source; one to ${role} does not`);
  const [host, source] = typeof owner === 'string' ? [owner, null] : [null, owner?.source ?? null];
  const { id, secret } = newTokenSecret(role);
  const expiresAt = ttlMs === null ? null : now + ttlMs;
  const record = { id, role, host, source, hash: hashOf(secret), createdAt: now, expiresAt, revokedAt: null };
  return { book: { ...book, tokens: [...book.tokens, record] }, secret };
}

/**
 * A token that was not made here but given, as containers hand over secrets.
 * @throws MonitorError `invalid` for what does not look like one
 */
export function givenAdminToken(secret: string): TokenRecord {
  const id = tokenId(secret);
  if (id === null || !secret.startsWith('aw_a_'))
    throw new MonitorError(
      'invalid',
      'the admin token is not valid: one begins with aw_a_ and has 57 characters; make one with: amberwatch token create --role admin',
    );
  return { id, role: 'admin', host: null, hash: hashOf(secret), createdAt: 0, expiresAt: null, revokedAt: null };
}

/** A second token like the first, which stays valid for `overlapMs` so that nothing fails meanwhile. */
export function rotateToken(book: TokenBook, id: string, now: number, overlapMs: number): Issued {
  const old = tokenOf(book, id);
  if (!isValid(old, now)) throw new MonitorError('conflict', `token ${id} is not valid any more; create a new one`);
  const ttlMs = old.expiresAt === null ? null : old.expiresAt - old.createdAt;
  const { book: added, secret } = issueToken(book, old.role, ownerOf(old), now, ttlMs);
  const expiresAt = Math.min(old.expiresAt ?? Infinity, now + overlapMs);
  return { book: replaceToken(added, { ...old, expiresAt }), secret };
}

export function revokeToken(book: TokenBook, id: string, now: number): TokenBook {
  return replaceToken(book, { ...tokenOf(book, id), revokedAt: now });
}

/** A code for `join`, valid for ten minutes and once. */
export function issueInvite(book: TokenBook, host: string | null, now: number): Issued {
  const secret = newCode();
  const invites = book.invites.filter((invite) => invite.expiresAt > now);
  return {
    book: { ...book, invites: [...invites, { hash: codeHash(secret), host, expiresAt: now + inviteMs }] },
    secret,
  };
}

/**
 * The write token of a host for a code, which is used up.
 * @throws MonitorError `forbidden`, for every reason in the same words
 */
export function redeemInvite(book: TokenBook, code: string, host: string, now: number): Issued {
  const hash = codeHash(code);
  const invite = book.invites.find((each) => sameHash(each.hash, hash));
  if (!invite || invite.expiresAt <= now || (invite.host ?? host) !== host) {
    throw new MonitorError(
      'forbidden',
      'the code is not valid: it works once, for ten minutes and for the host it was made for; make another with: amberwatch token invite',
    );
  }
  return issueToken({ ...book, invites: book.invites.filter((each) => each !== invite) }, 'write', host, now, null);
}

/** Null for what is no token, unknown, expired or revoked. The comparison takes the same time for any secret. */
export function findToken(book: TokenBook, secret: string, now: number): TokenRecord | null {
  const id = tokenId(secret);
  const record = book.tokens.find((each) => each.id === id);
  const same = sameHash(record?.hash ?? hashOf(''), hashOf(secret));
  return record && same && isValid(record, now) ? record : null;
}

export function isValid({ expiresAt, revokedAt }: TokenRecord, now: number): boolean {
  return revokedAt === null && (expiresAt === null || expiresAt > now);
}

/** Whether a token that was let in is still to be. */
export function isKnown({ tokens }: TokenBook, id: string, now: number): boolean {
  return tokens.some((token) => token.id === id && isValid(token, now));
}

/** Whether a token is wanted of everybody: also when all there are have expired or were revoked. */
export function wantsTokens({ tokens, invites }: TokenBook, now: number): boolean {
  return tokens.length > 0 || invites.some((invite) => invite.expiresAt > now);
}

function ownerOf({ host, source }: TokenRecord): TokenOwner | null {
  return host ?? (source == null ? null : { source });
}

function tokenOf(book: TokenBook, id: string): TokenRecord {
  const found = book.tokens.find((token) => token.id === id);
  if (!found) throw new MonitorError('not_found', `there is no token ${id}; see: amberwatch token list`);
  return found;
}

function replaceToken(book: TokenBook, record: TokenRecord): TokenBook {
  return { ...book, tokens: book.tokens.map((token) => (token.id === record.id ? record : token)) };
}
