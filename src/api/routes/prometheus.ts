import type { FastifyPluginAsync } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { isStale } from '../../core/alarm.ts';
import { processColumn, processColumnIds, prometheusName } from '../../core/metric.ts';
import { readLimit } from '../../core/store.ts';
import { untilAborted } from '../../platform/deadline.ts';
import { singleFlightFor } from '../../platform/single-flight.ts';
import type { AppParts } from '../app-parts.ts';

/** Processes exposed per host: this many by CPU and this many by memory, so that a scrape stays small. */
const topPerHost = 20;
/** However many ask, it is made at most so often. */
const madeEveryMs = 1000;
const longestMs = 10_000;

const getMetrics = {
  schema: {
    tags: ['health'],
    summary: 'Prometheus exposition',
    response: { 200: { description: 'Metrics.', content: { 'text/plain': { schema: { type: 'string' } } } } },
  },
};

/** GET /metrics: the server itself and the latest usage, in Prometheus' text format. */
export function metricRoutes(parts: AppParts): FastifyPluginAsync {
  return async (app) => {
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    addIngestCounters(registry, parts);
    addForecastFigures(registry, parts);
    const fillUsage = addUsageGauges(registry, parts);
    const text = singleFlightFor(
      madeEveryMs,
      () => parts.clock.monotonic(),
      async () => {
        // The server's own figures are wanted most when its store is away.
        await fillUsage().catch((error: unknown) => parts.log.warn({ err: error }, 'metrics without usage'));
        return registry.metrics();
      },
    );
    app.get('/metrics', getMetrics, async ({ reading }, reply) =>
      reply.type(registry.contentType).send(await untilAborted(text(), reading.signal)),
    );
  };
}

function addIngestCounters(registry: Registry, { ingest }: AppParts): void {
  const help = {
    stored: 'Snapshots acknowledged after they were stored',
    processes: 'Process rows in them',
    samples: 'Samples of other sources acknowledged after they were stored',
    expired: 'Snapshots acknowledged and dropped because they were older than the retention',
  };
  const names = {
    stored: 'snapshots_stored',
    processes: 'processes_stored',
    samples: 'samples_stored',
    expired: 'snapshots_expired',
  };
  for (const key of ['stored', 'processes', 'samples', 'expired'] as const) {
    const name = `amberwatch_${names[key]}_total`;
    new Counter({
      name,
      help: help[key],
      registers: [registry],
      collect() {
        this.reset();
        this.inc(ingest.counts[key]);
      },
    });
  }
}

function addForecastFigures(registry: Registry, { forecaster }: AppParts): void {
  const figures = [
    ['amberwatch_forecast_series', 'Series that are forecast: those near enough to their threshold', Gauge],
    ['amberwatch_forecast_steps_total', 'Times all of them were forecast', Counter],
    ['amberwatch_forecast_seconds_total', 'Processor time of the forecasts', Counter],
  ] as const;
  for (const [name, help, Kind] of figures) {
    new Kind({
      name,
      help,
      registers: [registry],
      collect(this: Gauge | Counter) {
        const { series, steps, busyMs } = forecaster.figures;
        this.reset();
        this.inc(name.endsWith('series') ? series : name.endsWith('steps_total') ? steps : busyMs / 1000);
      },
    });
  }
}

function addUsageGauges(registry: Registry, { store, hosts, clock }: AppParts): () => Promise<void> {
  const gauge = (name: string, help: string, labelNames: string[]) =>
    new Gauge({ name, help, labelNames, registers: [registry] });
  const host = gauge('amberwatch_host', 'Newest system totals and collector figures of a host', ['host', 'metric']);
  const lastSeen = gauge('amberwatch_host_last_seen_timestamp_seconds', 'When the host was last heard of', ['host']);
  const exposed = processColumnIds
    .filter((id) => processColumn(id).isExposed)
    .map((id) => ({
      id,
      gauge: gauge(`amberwatch_${prometheusName(id)}`, `Newest of a process name: ${processColumn(id).description}`, [
        'host',
        'process',
      ]),
    }));

  return async () => {
    for (const each of [host, lastSeen, ...exposed.map((column) => column.gauge)]) each.reset();
    const now = clock.now();
    const headers = await hosts.now();
    const fresh = headers.filter((header) => !isStale(header, now));
    const rows = await store.rows(fresh, { top: topPerHost }, { lane: 'present', signal: readLimit(longestMs) });
    for (const header of headers) {
      lastSeen.set({ host: header.host }, header.time / 1000);
      for (const [metric, value] of Object.entries(header.metrics)) host.set({ host: header.host, metric }, value);
    }
    for (const row of rows) {
      const labels = { host: row.host, process: row.name };
      for (const { id, gauge } of exposed) {
        const value = row[id];
        if (value !== null) gauge.set(labels, value);
      }
    }
  };
}
