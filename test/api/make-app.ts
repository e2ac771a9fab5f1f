import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterAll } from 'vitest';
import { buildApp } from '../../src/api/app.ts';
import type { AccessOptions } from '../../src/api/guard.ts';
import type { TcpAgentOptions } from '../../src/api/tcp/tcp-agents.ts';
import type { Duties } from '../../src/core/server-role.ts';
import type { Store } from '../../src/core/store.ts';
import { parseThreshold, withDefaults } from '../../src/core/threshold.ts';
import type { DesiredSettingsStorage } from '../../src/hosts/desired-settings.ts';
import type { ForgottenHostsStorage } from '../../src/hosts/forgotten-hosts.ts';
import type { SlaStorage } from '../../src/sla/slas.ts';
import type { ConfiguredSource } from '../../src/sources/sources.ts';
import { openStore } from '../../src/store/open.ts';
import { noon } from '../make-snapshot.ts';
import { openAccess } from '../open-access.ts';

export const retentionMs = 2 * 86_400_000;

/** The whole server over a store in memory, at noon until told otherwise. */
export async function makeApp(
  options: {
    forgotten?: ForgottenHostsStorage;
    store?: Store;
    thresholds?: string[];
    access?: AccessOptions;
    now?: number;
    queryTimeoutMs?: number;
    agents?: TcpAgentOptions;
    desired?: DesiredSettingsStorage;
    sources?: ConfiguredSource[];
    slas?: SlaStorage;
    hasOlderSlaApi?: boolean;
    webFolder?: string;
    duties?: Duties;
  } = {},
) {
  const store = options.store ?? (await openStore('memory:', { retentionMs, warn: () => undefined }));
  /** `now` may jump by `jumpedMs` while the monotonic clock does not. */
  const time = { now: options.now ?? noon, jumpedMs: 0 };
  const app: FastifyInstance = await buildApp({
    store,
    clock: { now: () => time.now, monotonic: () => time.now - time.jumpedMs },
    log: pino({ level: 'silent' }),
    thresholds: withDefaults((options.thresholds ?? []).map(parseThreshold)),
    retentionMs,
    horizonMs: 600_000,
    ...(options.queryTimeoutMs !== undefined && { queryTimeoutMs: options.queryTimeoutMs }),
    ...(options.agents && { agents: options.agents }),
    ...(options.desired && { desired: options.desired }),
    ...(options.sources && { sources: options.sources }),
    ...(options.forgotten && { forgotten: options.forgotten }),
    ...(options.slas && { slas: options.slas }),
    ...(options.hasOlderSlaApi && { hasOlderSlaApi: true }),
    ...(options.duties && { duties: options.duties }),
    ...(options.webFolder !== undefined && { webFolder: options.webFolder }),
    version: 'test',
    access: options.access ?? openAccess(),
  });
  afterAll(() => app.close());
  const get = async (url: string) => {
    const answer = await app.inject({ url });
    return { status: answer.statusCode, body: answer.json(), headers: answer.headers };
  };
  const put = (payload: unknown, url = '/v1/usage') => app.inject({ method: 'PUT', url, payload: payload as object });
  return { app, store, time, get, put };
}

export const iso = (time: number) => new Date(time).toISOString();

/** The smallest body there is. */
export const body = (given: object = {}) => ({
  host: 'web-01',
  time: iso(noon),
  processes: [{ name: 'nginx', cpu: 12.5, memory: 4.1 }],
  ...given,
});
