import type { FastifyInstance } from 'fastify';
import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
  Summary,
} from 'prom-client';
import { labelsText, type MetricFamily } from '../wire/exposition.ts';
import type { AppParts } from './app-parts.ts';

/** Gauges whose names end as those of counters: promtool complains of them, and the same is told by type. */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];
const quantiles = [0.5, 0.9, 0.99];
const quantileMaxAgeSeconds = 600;

/** What the server counts and measures of itself. */
export class OwnMetrics {
  readonly #registry = new Registry();

  constructor(app: FastifyInstance) {
    collectDefaultMetrics({ register: this.#registry });
    for (const name of misnamed) this.#registry.removeSingleMetric(name);
    this.#timeRequests(app);
  }

  async families(): Promise<MetricFamily[]> {
    const metrics = (await this.#registry.getMetricsAsJSON()) as MetricObjectWithValues<NamedValue>[];
    return metrics.map(familyOf);
  }

  /** Figures that are counted elsewhere. */
  addFigures(parts: AppParts): void {
    for (const [name, help, Kind, read] of figuresOf(parts))
      new Kind({
        name: `amberwatch_${name}`,
        help,
        registers: [this.#registry],
        collect(this: Gauge | Counter) {
          this.reset();
          this.inc(read());
        },
      });
  }

  #timeRequests(app: FastifyInstance): void {
    const registers = [this.#registry];
    const requests = new Histogram({
      name: 'amberwatch_http_request_duration_seconds',
      help: 'From the head of a request until its answer was sent',
      labelNames: ['method', 'route', 'code'],
      registers,
    });
    const puts = new Summary({
      name: 'amberwatch_snapshot_put_duration_seconds',
      help: 'Of PUT /v1/usage that was acknowledged: until it was durable and said so, over the last ten minutes',
      percentiles: quantiles,
      maxAgeSeconds: quantileMaxAgeSeconds,
      ageBuckets: 5,
      registers,
    });
    app.addHook('onResponse', async (request, reply) => {
      const { method, routeOptions } = request;
      const seconds = reply.elapsedTime / 1000;
      requests.observe({ method, route: routeOptions.url ?? 'none', code: reply.statusCode }, seconds);
      if (method === 'PUT' && routeOptions.url === '/v1/usage' && reply.statusCode < 300) puts.observe(seconds);
    });
  }
}

type Figure = [name: string, help: string, kind: typeof Gauge | typeof Counter, read: () => number];

function figuresOf({ ingest, forecaster, agents, mapper }: AppParts): Figure[] {
  const { counts } = ingest;
  return [
    ['snapshots_stored_total', 'Snapshots acknowledged after they were stored', Counter, () => counts.stored],
    ['processes_stored_total', 'Process rows in them', Counter, () => counts.processes],
    ['samples_stored_total', 'Samples of other sources that were stored', Counter, () => counts.samples],
    [
      'samples_beyond_budget_total',
      'Samples of new series that were not stored, beyond what may be brought along in a day',
      Counter,
      () => counts.beyondBudget,
    ],
    [
      'mapped_snapshots_total',
      'Snapshots that were made of the series of others',
      Counter,
      () => mapper.counts.snapshots,
    ],
    [
      'mapped_series_unplaced',
      'Series that a mapping takes and that name no host or process',
      Gauge,
      () => mapper.counts.unplaced,
    ],
    ['scraped_samples_refused_total', 'Samples from a Prometheus that cannot be kept', Counter, () => counts.notKept],
    ['remote_write_histograms_total', 'Native histograms that were left out', Counter, () => counts.histograms],
    ['remote_write_exemplars_total', 'Exemplars that were left out', Counter, () => counts.exemplars],
    [
      'remote_write_not_numbers_total',
      'Values that were left out since they are no number',
      Counter,
      () => counts.notNumbers,
    ],
    [
      'snapshots_expired_total',
      'Snapshots acknowledged and dropped because they were older than the retention',
      Counter,
      () => counts.expired,
    ],
    [
      'forecast_series',
      'Series that are forecast: those near enough to their threshold',
      Gauge,
      () => forecaster.figures.series,
    ],
    ['forecast_steps_total', 'Times all of them were forecast', Counter, () => forecaster.figures.steps],
    ['forecast_seconds_total', 'Processor time of the forecasts', Counter, () => forecaster.figures.busyMs / 1000],
    ['tcp_messages_total', 'Messages of agents on plain TCP', Counter, () => agents.counts.messages],
    ['tcp_invalid_total', 'What such agents have sent that is no JSON object', Counter, () => agents.counts.invalid],
    ['tcp_connections_refused_total', 'Such agents that were sent away', Counter, () => agents.counts.refused],
    [
      'tcp_fields_refused_total',
      'Figures of theirs beyond what one of them, or all, may have',
      Counter,
      () => agents.readings.refused,
    ],
    ['tcp_samples_dropped_total', 'Samples of theirs that could not be stored', Counter, () => agents.dropped],
  ];
}

type NamedValue = MetricValue<string> & { metricName?: string };

function familyOf({ name, help, type, values }: MetricObjectWithValues<NamedValue>): MetricFamily {
  return {
    name,
    help,
    // Its types say an enumeration, and it gives texts.
    type: String(type) as MetricFamily['type'],
    samples: values.map(({ metricName, labels, value }) => ({
      suffix: metricName?.slice(name.length) ?? '',
      labels: labelsText(labels),
      value,
    })),
  };
}
