import type { IncomingMessage } from 'node:http';
import rateLimit from '@fastify/rate-limit';
import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify';
import ipaddr from 'ipaddr.js';
import { findToken, type Issued, type Role, type TokenBook, type TokenRecord, wantsTokens } from '../access/token.ts';
import type { Clock } from '../core/clock.ts';
import { MonitorError } from '../core/error.ts';

/** Who may use the server. */
export interface AccessOptions {
  tokens: TokenSource;
  /** Whether a request came by the way that only who may use the data folder can go. */
  isLocal?: (request: IncomingMessage) => boolean;
  /** Refuse everybody without a token even when there are none. */
  alwaysRequired: boolean;
  /** Names the server is called by; addresses are always accepted. */
  hostNames: readonly string[];
}

/** Where tokens are kept; they may change at any time. */
export interface TokenSource {
  /** The server's own, never written down: good whatever becomes of the others, and no reason to want tokens. */
  own?: TokenRecord;
  book(): TokenBook;
  issue(make: (book: TokenBook) => Issued): Promise<string>;
}

type Access = 'public' | Role;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whoever has this role may use the route. Default: `read` for GET, `write` for the others. */
    access?: Access;
  }
  interface FastifyRequest {
    /** Null where none is wanted; of a request on the local way the server's own. */
    token: TokenRecord | null;
  }
}

/** Requests of one token in a minute: a collector with a backlog sends some 30 a second. */
const perMinute = 6000;
const bookMaxAgeMs = 500;

/** Every request passes here first: host name, token, role, rate. */
export async function addGuard(app: FastifyInstance, access: AccessOptions, clock: Clock): Promise<void> {
  const book = cachedBook(access.tokens, clock);
  let required = access.alwaysRequired;
  app.decorateRequest('token', null);
  app.addHook('onRequest', async (request, reply) => {
    checkHostName(request, access.hostNames);
    // Before the tokens are read: a file that cannot be must lock out neither the server's own daemons nor who could mend it.
    if (isOwn(request, access, clock.now())) {
      request.token = access.tokens.own ?? null;
      return;
    }
    const needed = accessOf(request.method, request.routeOptions.config);
    if (needed === 'public') return;
    // Once there are tokens it stays so: a file that vanished must not open the door.
    required ||= wantsTokens(book(), clock.now());
    if (!required) return;
    request.token = tokenOf(request, book(), clock.now());
    if (request.token === null) {
      void reply.header('www-authenticate', 'Bearer');
      throw new MonitorError(
        'unauthorized',
        "this server wants a token, one that is neither expired nor revoked: authorization: Bearer aw_..., or AMBERWATCH_TOKEN for amberwatch's own commands; 'amberwatch token create' on the server makes one, and there, with the server's --data, commands need none",
      );
    }
    checkRole(request.token, needed, request);
  });
  await app.register(rateLimit, {
    max: perMinute,
    timeWindow: 60_000,
    keyGenerator: (request) => request.token?.id ?? request.ip,
    allowList: (request) => request.token === null && request.routeOptions.config?.rateLimit === undefined,
    errorResponseBuilder: (_request, { ttl, max }) => {
      const retryAfterSeconds = Math.max(1, Math.ceil(ttl / 1000));
      const message = `more than ${max} requests of yours within a minute; send again in ${retryAfterSeconds} s`;
      return new MonitorError('rate_limited', message, { retryAfterSeconds });
    },
  });
}

function cachedBook(tokens: TokenSource, clock: Clock): () => TokenBook {
  let read: { book: TokenBook; at: number } | null = null;
  return () => {
    const now = clock.monotonic();
    if (read === null || now - read.at > bookMaxAgeMs) read = { book: tokens.book(), at: now };
    return read.book;
  };
}

/** A page elsewhere can point its own name at this address, but not at a bare address or a name listed here. */
function checkHostName(request: FastifyRequest, names: readonly string[]): void {
  const name = request.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  // Without any it is no browser.
  if (name === '' || ipaddr.isValid(name) || name === 'localhost' || names.includes(name)) return;
  throw new MonitorError(
    'forbidden',
    `this server is not known as '${name}'; if it should be, start it with --allow-host ${name}`,
  );
}

function accessOf(method: string, config: FastifyContextConfig | undefined): Access {
  return config?.access ?? (method === 'GET' || method === 'HEAD' ? 'read' : 'write');
}

function isOwn(request: FastifyRequest, { tokens: { own }, isLocal }: AccessOptions, now: number): boolean {
  if (isLocal?.(request.raw)) return true;
  return own !== undefined && tokenOf(request, { tokens: [own], invites: [] }, now) !== null;
}

function tokenOf(request: FastifyRequest, book: TokenBook, now: number): TokenRecord | null {
  const secret = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  return secret === undefined ? null : findToken(book, secret, now);
}

function checkRole(token: TokenRecord, needed: Role, request: FastifyRequest): void {
  if (token.role === needed || token.role === 'admin') return;
  throw new MonitorError(
    'forbidden',
    `token ${token.id} has the role ${token.role}; ${request.method} ${request.url.split('?', 1)[0]} needs ${needed}`,
  );
}
