import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { Admission } from '../../access/admission.ts';
import type { AppParts } from '../app-parts.ts';
import { sessionCookie, sessionSecret } from '../session-cookie.ts';

/** Tries of one address in a minute. */
const triesPerMinute = 10;
const tags = ['access'];

const getSession = {
  config: { access: 'public' },
  schema: {
    tags,
    summary: 'Whether this browser has signed in',
    response: { 200: Type.Object({ signedIn: Type.Boolean() }) },
  },
} as const;
const postSession = {
  config: { access: 'public', rateLimit: { max: triesPerMinute, timeWindow: 60_000 } },
  schema: {
    tags,
    summary: 'Sign in: a cookie that no script can read stands for the token from now on',
    body: Type.Object(
      { token: Type.String({ minLength: 1, maxLength: 200, pattern: '^[A-Za-z0-9_-]+$' }) },
      { additionalProperties: false },
    ),
    response: { 204: Type.Null({ description: 'Signed in.' }) },
  },
} as const;
const deleteSession = {
  config: { access: 'public' },
  schema: { tags, summary: 'Sign out', response: { 204: Type.Null({ description: 'Signed out.' }) } },
} as const;

/** Signing in and out, for the page. */
export function sessionRoutes({ tokens, clock }: AppParts): FastifyPluginAsyncTypebox {
  const admission = new Admission(tokens, true, () => clock.monotonic());
  return async (app) => {
    app.get('/v1/session', getSession, async (request) => ({ signedIn: sessionSecret(request) !== null }));

    app.post('/v1/session', postSession, async (request, reply) => {
      const { token: secret } = request.body;
      const asked = { secret, needed: 'read', method: request.method, url: request.url, isLocal: false } as const;
      admission.admit(asked, clock.now());
      return reply.header('set-cookie', sessionCookie(request, secret)).code(204).send(null);
    });

    app.delete('/v1/session', deleteSession, async (request, reply) =>
      reply.header('set-cookie', sessionCookie(request, null)).code(204).send(null),
    );
  };
}
