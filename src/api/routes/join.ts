import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { redeemInvite } from '../../access/token.ts';
import type { AppParts } from '../app-parts.ts';

/** A code has 58 random bits; nobody may try many. */
const triesPerMinute = 10;

const postJoin = {
  bodyLimit: 4096,
  config: { access: 'public', rateLimit: { max: triesPerMinute, timeWindow: 60_000 } },
  schema: {
    tags: ['hosts'],
    summary: 'Exchange a one-time code for the write token of a host',
    body: Type.Object({
      code: Type.String({ maxLength: 64 }),
      host: Type.String({ minLength: 1, maxLength: 260 }),
    }),
    response: { 200: Type.Object({ token: Type.String() }) },
  },
} as const;

/** A host exchanges its one-time code for its write token. */
export function joinRoutes({ tokens, clock }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.post('/v1/join', postJoin, async ({ body }) => ({
      token: await tokens.issue((book) => redeemInvite(book, body.code, body.host, clock.now())),
    }));
  };
}
