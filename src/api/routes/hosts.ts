import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { isPaused, isStale } from '../../core/alarm.ts';
import { type DesiredSettings, nothingDesired } from '../../core/collector-settings.ts';
import { MonitorError } from '../../core/error.ts';
import type { SnapshotHeader } from '../../core/snapshot.ts';
import { untilAborted } from '../../platform/deadline.ts';
import { type HostAnswer, hostBodySchema, hostSchema, hostsSchema } from '../../wire/host.ts';
import type { AppParts } from '../app-parts.ts';
import { iso } from '../window.ts';

const getHosts = {
  schema: {
    tags: ['hosts'],
    summary: 'All hosts that have reported within the retention',
    response: { 200: hostsSchema },
  },
};

const getHost = {
  schema: {
    tags: ['hosts'],
    summary: 'One host with its newest system totals',
    params: Type.Object({ host: Type.String() }),
    response: { 200: hostSchema },
  },
};

const deleteHost = {
  config: { access: 'admin' },
  schema: {
    tags: ['hosts'],
    summary: 'Forget a host that is gone for good',
    description:
      'It is not listed, STALE or alarmed about any more; what is stored of it stays until it expires. It is known again once it reports. 409 while it still does.',
    params: Type.Object({ host: Type.String() }),
    response: { 200: Type.Object({ host: Type.String(), at: Type.String({ format: 'date-time' }) }) },
  },
} as const;

const patchHost = {
  config: { access: 'admin' },
  schema: {
    tags: ['hosts'],
    summary: 'Say how often a host is to report, or that it is to pause',
    description:
      'Its collector learns it with the answer to its next snapshot, and does so within one interval, also after a restart. A paused host is PAUSED, neither STALE nor GREEN; its alarms and those of its processes are gone, those about its clock stay. What is left out stays as it is.',
    params: Type.Object({ host: Type.String() }),
    body: hostBodySchema,
    response: { 200: hostSchema },
  },
} as const;

/** Who reports, and whether still. */
export function hostRoutes({ hosts, clock, desired }: AppParts): FastifyPluginAsyncTypebox {
  const knownHost = async (name: string, signal: AbortSignal | undefined) => {
    const found = (await untilAborted(hosts.now(), signal)).find(({ host }) => host === name);
    if (found) return found;
    throw new MonitorError(
      'not_found',
      `no host '${name}' has reported; 'amberwatch host ls' or GET /v1/hosts lists those that have`,
    );
  };
  return async (app) => {
    app.get('/v1/hosts', getHosts, async ({ reading }) => {
      const now = clock.now();
      const known = await untilAborted(hosts.now(), reading.signal);
      return {
        at: iso(now),
        hosts: known.map((header) => hostAnswer(header, now, desired.of(header.host))),
        forgotten: hosts.listForgotten().map(({ host, at }) => ({ host, at: iso(at) })),
      };
    });

    app.get('/v1/hosts/:host', getHost, async ({ params, reading }) => {
      const found = await knownHost(params.host, reading.signal);
      return hostAnswer(found, clock.now(), desired.of(found.host));
    });

    app.patch('/v1/hosts/:host', patchHost, async ({ params, body, reading }) => {
      const found = await knownHost(params.host, reading.signal);
      const { interval, paused } = body;
      const wanted = await desired.set(found.host, {
        ...(interval !== undefined && { intervalMs: interval === null ? null : Math.round(interval * 1000) }),
        ...(paused !== undefined && { isPaused: paused }),
      });
      return hostAnswer(found, clock.now(), wanted);
    });

    app.delete('/v1/hosts/:host', deleteHost, async ({ params: { host }, reading }) => {
      const found = await knownHost(host, reading.signal);
      if (!isStale(found, clock.now()))
        throw new MonitorError(
          'conflict',
          `${host} still reports; stop its collector first, and forget it when it is STALE`,
        );
      await desired.set(host, nothingDesired);
      return { host, at: iso(await hosts.forget(host)) };
    });
  };
}

function hostAnswer(header: SnapshotHeader, now: number, desired: DesiredSettings): HostAnswer {
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
    state: isStale(header, now) ? 'stale' : isPaused(header) ? 'paused' : 'fresh',
    interval: intervalMs / 1000,
    desired: {
      interval: desired.intervalMs === null ? null : desired.intervalMs / 1000,
      paused: desired.isPaused,
    },
    cores,
    memoryBytes,
    limitedBy,
    bootId,
    system: group('system'),
    collector: group('collector'),
  };
}
