import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { isStale } from '../../core/alarm.ts';
import { readLimit, readsWithin } from '../../core/store.ts';
import { newestForecasts } from '../../forecast/newest-forecasts.ts';
import { untilAborted } from '../../platform/deadline.ts';
import { singleFlight, singleFlightFor } from '../../platform/single-flight.ts';
import {
  type ExpositionFormat,
  expositionText,
  expositionTypes,
  type MetricFamily,
  negotiatedFormat,
} from '../../wire/exposition.ts';
import { agentFamilies } from '../agent-metrics.ts';
import { alarmFamilies } from '../alarm-metrics.ts';
import type { AppParts } from '../app-parts.ts';
import { madeText } from '../large-answer.ts';
import { newestUsage } from '../newest-usage.ts';
import { RecentAlarms } from '../recent-alarms.ts';
import { sourceFamilies } from '../source-metrics.ts';
import { usageFamilies } from '../usage-metrics.ts';

/** Processes exposed per host: this many by CPU and this many by memory, so that a scrape stays small. */
const topPerHost = 20;
/** Of all hosts together, where all are asked for: half by CPU and half by memory. */
const mostProcesses = 100_000;
/** However many ask, it is made at most so often. */
const madeEveryMs = 1000;
/** Prometheus waits for ten seconds: then what needs no store is told all the same. */
const longestReadMs = 8_000;

const getMetrics = {
  config: { roles: [] },
  schema: {
    tags: ['health'],
    summary: 'What Prometheus reads',
    description: `Of every host that is not silent the ${topPerHost} highest processes by CPU and as many by memory, alarms, forecasts, what agents on TCP have sent, and the server itself. OpenMetrics where it is asked for.`,
    querystring: Type.Object({
      all: Type.Optional(Type.Enum(['0', '1'], { description: `1: all processes, ${mostProcesses} at most.` })),
    }),
    response: {
      200: {
        description: 'Metrics.',
        content: Object.fromEntries(
          Object.values(expositionTypes).map((type) => [type.split(';', 1)[0], { schema: { type: 'string' } }]),
        ),
      },
    },
  },
};

/** GET /metrics: the server itself, the latest usage and what is wrong, as Prometheus reads it. */
export function metricRoutes(parts: AppParts): FastifyPluginAsyncTypebox {
  const { clock, ownMetrics, largeAnswers } = parts;
  ownMetrics.addFigures(parts);
  const recentAlarms = new RecentAlarms(parts.alarms, clock);
  const shared = (format: ExpositionFormat) =>
    singleFlightFor(
      madeEveryMs,
      () => clock.monotonic(),
      async () => madeText(expositionText(await allFamilies(parts, recentAlarms, topPerHost), format)),
    );
  // Of everything the text is large: who asks at the same time shares it, and it is not kept.
  const sharedAll = (format: ExpositionFormat) =>
    singleFlight(async () => madeText(expositionText(await allFamilies(parts, recentAlarms, null), format)));
  const all = { prometheus: sharedAll('prometheus'), openmetrics: sharedAll('openmetrics') };
  const texts = { prometheus: shared('prometheus'), openmetrics: shared('openmetrics') };
  return async (app) => {
    app.addHook('preClose', async () => recentAlarms.close());
    app.get('/metrics', getMetrics, async (request, reply) => {
      const { signal } = request.reading;
      const format = negotiatedFormat(request.headers.accept);
      const made = (request.query.all === '1' ? all : texts)[format]();
      return largeAnswers.send(request, reply, await untilAborted(made, signal), expositionTypes[format]);
    });
  };
}

/** @param top processes of each host by CPU, and as many by memory; null: all */
async function allFamilies(parts: AppParts, alarms: RecentAlarms, top: number | null): Promise<Iterable<MetricFamily>> {
  // The server's own figures are wanted most when its store is away.
  const asked = parts.duties.roles.includes('query') ? storedFamilies(parts, alarms, top) : Promise.resolve([]);
  const stored = await asked.catch((error: unknown) => {
    parts.log.warn({ err: error }, 'metrics without usage and alarms');
    return [];
  });
  const own = await parts.ownMetrics.families();
  return chained([own, agentFamilies(parts.agents), sourceFamilies(parts.sources.list()), ...stored]);
}

async function storedFamilies(
  { store, hosts, forecaster, clock, latestUsage }: AppParts,
  alarms: RecentAlarms,
  top: number | null,
) {
  const signal = readLimit(longestReadMs);
  const reads = readsWithin(store, { lane: 'present', signal });
  const headers = await untilAborted(hosts.now(), signal);
  const now = clock.now();
  const heard = headers.filter((header) => !isStale(header, now));
  const [usage, found, forecasts] = await Promise.all([
    newestUsage(heard, top ?? Math.ceil(mostProcesses / 2 / Math.max(1, heard.length)), latestUsage, reads),
    untilAborted(alarms.get(), signal),
    newestForecasts(reads, now, forecaster.stepMs),
  ]);
  const ips = new Map(heard.map(({ host, ip }) => [host, ip]));
  return [usageFamilies(headers, usage, now), alarmFamilies(found.alarms, forecasts, ips)];
}

function* chained<T>(parts: Iterable<Iterable<T>>): Generator<T> {
  for (const part of parts) yield* part;
}
