import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { expirySchema } from '../../wire/expiry.ts';
import type { AppParts } from '../app-parts.ts';
import { iso } from '../window.ts';

const getExpiry = {
  schema: { tags: ['store'], summary: 'Up to when snapshots are forgotten', response: { 200: expirySchema } },
};

const postExpiry = {
  config: { access: 'admin' },
  schema: {
    tags: ['store'],
    summary: "Say that this server's clock is right, and forget now what is older than the retention",
    body: Type.Object({ confirm: Type.Literal(true) }),
    response: { 200: expirySchema },
  },
} as const;

/** What expiry waits for, and how a person ends that. */
export function expiryRoutes({ expiry, serverClock, store }: AppParts): FastifyPluginAsyncTypebox {
  const answer = () => {
    const oldest = expiry.oldestKept();
    return {
      waiting: expiry.waiting(),
      oldestKept: Number.isFinite(oldest) ? iso(oldest) : null,
      expiresItself: store.expiresItself,
    };
  };
  return async (app) => {
    app.get('/v1/store/expiry', getExpiry, async () => answer());
    app.post('/v1/store/expiry', postExpiry, async () => {
      serverClock.confirm();
      await expiry.expire();
      return answer();
    });
  };
}
