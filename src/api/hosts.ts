import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { isStale } from '../core/alarm.ts';
import { MonitorError } from '../core/error.ts';
import { type HostAnswer, hostSchema, hostsSchema } from '../core/schema.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import { untilAborted } from '../shared-work.ts';
import type { AppParts } from './app-parts.ts';
import { iso } from './window.ts';

/** Who reports, and whether still. */
export function hostRoutes({ hosts, clock }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/hosts',
      {
        schema: {
          tags: ['hosts'],
          summary: 'All hosts that have reported within the retention',
          response: { 200: hostsSchema },
        },
      },
      async ({ reading }) => {
        const now = clock.now();
        const known = await untilAborted(hosts.now(), reading.signal);
        return { at: iso(now), hosts: known.map((header) => hostAnswer(header, now)) };
      },
    );

    app.get(
      '/v1/hosts/:host',
      {
        schema: {
          tags: ['hosts'],
          summary: 'One host with its newest system totals',
          params: Type.Object({ host: Type.String() }),
          response: { 200: hostSchema },
        },
      },
      async ({ params, reading }) => {
        const now = clock.now();
        const found = (await untilAborted(hosts.now(), reading.signal)).find((header) => header.host === params.host);
        if (!found)
          throw new MonitorError(
            'not_found',
            `no host '${params.host}' has reported; GET /v1/hosts lists those that have`,
          );
        return hostAnswer(found, now);
      },
    );
  };
}

function hostAnswer(header: SnapshotHeader, now: number): HostAnswer {
  const { host, ip, time, intervalMs, cores, memoryBytes, limitedBy, bootId, metrics } = header;
  const group = (prefix: string) =>
    Object.fromEntries(
      Object.entries(metrics)
        .filter(([metric]) => metric.startsWith(`${prefix}.`))
        .map(([metric, value]) => [metric.slice(prefix.length + 1), value]),
    );
  return {
    host,
    ip,
    lastSeen: iso(time),
    state: isStale(header, now) ? 'stale' : 'fresh',
    interval: intervalMs / 1000,
    cores,
    memoryBytes,
    limitedBy,
    bootId,
    system: group('system'),
    collector: group('collector'),
  };
}
