import type { FastifyContextConfig, FastifyInstance, FastifyRequest } from 'fastify';
import { MonitorError } from '../core/error.ts';
import type { ServerRole } from '../core/server-role.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Servers with one of these roles answer. Default: those that are asked by GET or by an admin `query`, others `ingest`. */
    roles?: readonly ServerRole[];
  }
}

/** A server that has not all roles refuses what others are there for, so that it is sent again to one of them. */
export function refuseOtherRoles(app: FastifyInstance, own: readonly ServerRole[]): void {
  app.addHook('onRequest', async (request) => {
    const wanted = rolesOf(request);
    if (wanted.length === 0 || wanted.some((role) => own.includes(role))) return;
    throw new MonitorError(
      'unavailable',
      `this server has the role ${own.join(', ')} and does not answer ${request.method} ${request.url.split('?', 1)[0]}; ask one with the role ${wanted.join(' or ')}`,
    );
  });
}

/** Empty: each answers. */
function rolesOf({ method, routeOptions: { config, url } }: FastifyRequest): readonly ServerRole[] {
  const { access, roles, isQuestion }: FastifyContextConfig = config ?? {};
  if (roles !== undefined) return roles;
  if (url === undefined || access === 'public') return [];
  const asks = method === 'GET' || method === 'HEAD' || access === 'admin' || isQuestion === true;
  return asks ? ['query'] : ['ingest'];
}
