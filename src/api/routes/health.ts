import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { MonitorError, messageOf } from '../../core/error.ts';
import { singleFlightFor } from '../../platform/single-flight.ts';
import type { AppParts } from '../app-parts.ts';

const ok = Type.Object({ status: Type.Literal('ok') });
const ready = Type.Object({
  status: Type.Literal('ok'),
  warnings: Type.Array(Type.String(), { description: 'What works and still wants somebody.' }),
});
/** The store is tried at most so often, however many ask. */
const tryEveryMs = 1000;

const getLive = {
  config: { access: 'public' },
  schema: { tags: ['health'], summary: 'The process answers', response: { 200: ok } },
} as const;

const getReady = {
  config: { access: 'public' },
  schema: { tags: ['health'], summary: 'The store takes writes', response: { 200: ready } },
} as const;

/** Probes: `live` while the process answers, `ready` while the store would take a write: it is tried with a real one. */
export function healthRoutes({
  store,
  clock,
  expiry,
  serverClock,
  sources,
  watchers,
}: AppParts): FastifyPluginAsyncTypebox {
  /** All that ask while a try is under way, or within a second of its end, have that one. */
  const tryStore = singleFlightFor(
    tryEveryMs,
    () => clock.monotonic(),
    () => store.ping(),
  );
  const watchersProblem = singleFlightFor(
    tryEveryMs,
    () => clock.monotonic(),
    () => watchers.problem(),
  );
  return async (app) => {
    app.get('/health/live', getLive, async () => ({
      status: 'ok' as const,
    }));
    app.get('/health/ready', getReady, async () => {
      await tryStore().catch((error: unknown) => {
        throw new MonitorError('unavailable', `the store ${store.url} is not ready: ${messageOf(error)}`, {
          cause: error,
        });
      });
      const warning = serverClock.warning() === null ? null : expiry.waiting();
      const unwatched = await watchersProblem();
      const warnings = [warning, unwatched].filter((each) => each !== null);
      return { status: 'ok' as const, warnings: [...warnings, ...sources.warnings()] };
    });
  };
}
