import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { MonitorError, messageOf } from '../core/error.ts';
import type { AppParts } from './app-parts.ts';

const ok = Type.Object({ status: Type.Literal('ok') });

/** Probes: `live` while the process answers, `ready` while the store would take a write. */
export function healthRoutes({ store }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/health/live',
      {
        config: { access: 'public' },
        schema: { tags: ['health'], summary: 'The process answers', response: { 200: ok } },
      },
      async () => ({
        status: 'ok' as const,
      }),
    );
    app.get(
      '/health/ready',
      {
        config: { access: 'public' },
        schema: { tags: ['health'], summary: 'The store takes writes', response: { 200: ok } },
      },
      async () => {
        await store.ping().catch((error: unknown) => {
          throw new MonitorError('unavailable', `the store ${store.url} is not ready: ${messageOf(error)}`, {
            cause: error,
          });
        });
        return { status: 'ok' as const };
      },
    );
  };
}
