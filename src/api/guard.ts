import type { IncomingMessage } from 'node:http';
import rateLimit from '@fastify/rate-limit';
import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify';
import ipaddr from 'ipaddr.js';
import { type Access, type AccessRequest, Admission, type TokenSource } from '../access/admission.ts';
import type { TokenRecord } from '../access/token.ts';
import type { Clock } from '../core/clock.ts';
import { MonitorError } from '../core/error.ts';
import { sessionSecret } from './session-cookie.ts';

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

/** Every request passes here first: host name, token, role, rate. */
export async function addGuard(app: FastifyInstance, access: AccessOptions, clock: Clock): Promise<void> {
  const admission = new Admission(access.tokens, access.alwaysRequired, () => clock.monotonic());
  app.decorateRequest('token', null);
  app.addHook('onRequest', async (request, reply) => {
    checkHostName(request, access.hostNames);
    try {
      request.token = admission.admit(askedBy(request, access), clock.now());
    } catch (error) {
      if (isUnauthorized(error)) void reply.header('www-authenticate', 'Bearer');
      throw error;
    }
  });
  await app.register(rateLimit, {
    max: perMinute,
    timeWindow: 60_000,
    keyGenerator: (request) => request.token?.id ?? request.ip,
    allowList: (request) => request.token === null && request.routeOptions.config?.rateLimit === undefined,
    errorResponseBuilder: (_request, { ttl, max }) => tooManyRequests(max, ttl),
  });
}

function askedBy(request: FastifyRequest, { isLocal }: AccessOptions): AccessRequest {
  const shown = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? null;
  return {
    secret: shown ?? sessionSecret(request),
    needed: accessOf(request.method, request.routeOptions.config),
    method: request.method,
    url: request.url,
    isLocal: isLocal?.(request.raw) ?? false,
  };
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof MonitorError && error.code === 'unauthorized';
}

function tooManyRequests(max: number, ttlMs: number): MonitorError {
  const retryAfterSeconds = Math.max(1, Math.ceil(ttlMs / 1000));
  const message = `more than ${max} requests of yours within a minute; send again in ${retryAfterSeconds} s`;
  return new MonitorError('rate_limited', message, { retryAfterSeconds });
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
