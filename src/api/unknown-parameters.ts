import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MonitorError } from '../core/error.ts';
import { didYouMean } from '../platform/nearest.ts';

/**
 * A parameter that is not there is a question other than the one that was asked: `?proces=x` would answer for all
 * processes. The older routes take whatever their clients have always sent.
 */
export function refuseUnknownParameters(app: FastifyInstance): void {
  app.addHook('preValidation', async (request) => {
    if (request.routeOptions.url?.startsWith('/v1/')) check(request);
  });
}

function check(request: FastifyRequest): void {
  const { properties = {} } = (request.routeOptions.schema?.querystring ?? {}) as { properties?: object };
  const known = Object.keys(properties);
  const unknown = Object.keys(request.query as object).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const all = known.length === 0 ? 'it takes none' : `there are ${known.join(', ')}`;
  throw new MonitorError(
    'invalid',
    `${request.method} ${request.routeOptions.url} has no parameter '${unknown.slice(0, 60)}'${didYouMean(unknown, known, all)}`,
  );
}
