import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { SourceStatus } from '../../sources/prometheus-source.ts';
import { type SourceAnswer, sourcesSchema } from '../../wire/source.ts';
import type { AppParts } from '../app-parts.ts';
import { iso } from '../window.ts';

const getSources = {
  schema: {
    tags: ['hosts'],
    summary: 'Every Prometheus that this server asks, and how that goes',
    response: { 200: sourcesSchema },
  },
};

/** Others that are asked for what they have. */
export function sourceRoutes({ sources, clock }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/v1/sources', getSources, async () => ({ at: iso(clock.now()), sources: sources.list().map(answerOf) }));
  };
}

function answerOf({ answeredAt, failure, notKept, missingMs, ...told }: SourceStatus): SourceAnswer {
  return {
    ...told,
    state: failure === null ? 'ok' : 'away',
    answered: answeredAt === null ? null : iso(answeredAt),
    failure,
    notKept: notKept.count,
    notKeptReason: notKept.why,
    missing: Math.round(missingMs / 1000),
  };
}
