import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { parseDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import { isKnown } from '../../core/sample.ts';
import { parseSelector } from '../../core/selector.ts';
import type { Series } from '../../core/series.ts';
import type { Statistics } from '../../core/statistics.ts';
import { type Aggregate, type Reads, readsWithin, type TimeWindow } from '../../core/store.ts';
import { filledPast } from '../../forecast/regular-past.ts';
import { currentOf, defaultWindows, type Sla, type SlaDefinition } from '../../sla/sla.ts';
import { violationsIn } from '../../sla/sla-reader.ts';
import {
  type OlderDuration,
  type OlderPath,
  type OlderSeries,
  type OlderSlaBody,
  type OlderViolation,
  olderCounts,
  olderData,
  olderDurations,
  olderForecastingBodySchema,
  olderForecastRows,
  olderMetadataRows,
  olderMetricRows,
  olderPrediction,
  olderPredictionStatus,
  olderSlaBodySchema,
  olderStatus,
  olderTimes,
  olderViolation,
} from '../../wire/older-sla.ts';
import { slaIdPattern } from '../../wire/sla.ts';
import type { AppParts } from '../app-parts.ts';

/** The ids of what POST /SLA defines begin with this. */
const prefix = 'older.';
/** The older manager looked at one machine: a name is of few series. */
const mostSeries = 20;
const minuteMs = 60_000;
const forecastStepMs = 2 * minuteMs;
const forecastSteps = 5;
/** Of one hour there are 30 steps of two minutes, or one less. */
const leastSteps = 20;

const tags = ['older clients'];
const hidden = (summary: string) => ({
  config: { cheaper: 'fewer SLAs, or of fewer series' },
  schema: { tags, summary },
});
const nameParams = Type.Object({ name: Type.String({ minLength: 1, maxLength: 200 }) });
const ofName = (summary: string) => ({ ...hidden(summary), schema: { tags, summary, params: nameParams } });
const postSla = {
  config: { access: 'admin' },
  schema: { tags, summary: 'These ranges by metric, instead of those before', body: olderSlaBodySchema },
} as const;
const postForecasting = {
  config: { access: 'admin' },
  schema: { tags, summary: 'What is to be forecast', body: olderForecastingBodySchema },
} as const;

/** A metric as the older manager's clients call it. */
interface Named {
  name: string;
  selector: string;
}

/** The older SLA manager's REST interface: its three services on one port. */
export function olderSlaRoutes(parts: AppParts): FastifyPluginAsyncTypebox {
  const { store, clock, slas, slaOutlook } = parts;
  /** Null: all there are. */
  let forecast: ReadonlySet<string> | null = null;
  const names = (): Named[] => {
    const ofSlas = slas.all().map((sla) => ({ name: nameOf(sla), selector: currentOf(sla).selector }));
    const others = [...(forecast ?? [])].filter((name) => !ofSlas.some((each) => each.name === name));
    return [...ofSlas, ...others.map((name) => ({ name, selector: name }))];
  };
  const named = (name: string): Named[] => {
    const known = names().filter((each) => each.name === name);
    return known.length > 0 ? known : [{ name, selector: name }];
  };
  /** Of the names, for each duration. */
  const tell = async (wanted: readonly Named[], durations: readonly OlderDuration[], signal: AbortSignal) => {
    const reader = new OlderReader(parts, signal, (name) => forecast === null || forecast.has(name));
    const told: OlderSeries[] = [];
    for (const duration of durations)
      for (const each of wanted) told.push(...(await reader.series(each, duration, clock.now())));
    return told;
  };
  const violations = async (signal: AbortSignal): Promise<OlderViolation[]> => {
    const now = clock.now();
    const found: OlderViolation[] = [];
    for (const duration of olderDurations)
      for (const sla of slas.all())
        found.push(...(await violationsOf(readsWithin(store, { signal }), sla, duration, now)));
    return found;
  };
  const predictions = () =>
    slas.all().flatMap((sla) =>
      (slaOutlook.of(sla.id)?.passings ?? [])
        .filter(({ probability }) => (probability ?? 0) >= 0.5)
        .map(({ etaSeconds, limit }) => {
          const at = slaOutlook.of(sla.id)?.at ?? 0;
          return { metric: nameOf(sla), time: at + (etaSeconds ?? 0) * 1000, value: limit };
        }),
    );

  return async (app) => {
    for (const duration of olderDurations)
      app.get(`/metrics/${duration}`, hidden('How long it took to compute what follows'), async ({ reading }) =>
        (await tell(names(), [duration], reading.signal)).map(olderTimes),
      );
    app.get('/all_data', hidden('Statistics, metadata and predictions of every metric'), async ({ reading }) =>
      (await tell(names(), olderDurations, reading.signal)).map(olderData),
    );
    app.get('/regen_data', hidden('Computes all of it anew'), async ({ reading }, reply) => {
      await tell(names(), olderDurations, reading.signal);
      return reply.type('application/json').send('"Dati rigenerati"');
    });
    app.post('/forecasting', postForecasting, async ({ body }) => {
      for (const name of Object.values(body)) parseSelector(name);
      forecast = new Set(Object.values(body));
      return body;
    });
    app.get('/metrics/metric/:name', ofName('Its statistics'), async ({ params, reading }) =>
      olderMetricRows(await tell(named(params.name), olderDurations, reading.signal)),
    );
    app.get('/metrics/metadati/:name', ofName('What it is like'), async ({ params, reading }) =>
      olderMetadataRows(await tell(named(params.name), olderDurations, reading.signal)),
    );
    app.get('/metrics/forecasting/:name', ofName('The next ten minutes'), async ({ params, reading }) =>
      olderForecastRows(await tell(named(params.name), olderDurations, reading.signal)),
    );

    app.post('/SLA', postSla, async ({ body }) => {
      await slas.setAll(prefix, definitionsOf(body), clock.now());
      return body;
    });
    for (const url of ['/get_Violations', '/assess_Violations'])
      app.get(url, hidden('Violations of 1, 3 and 12 hours'), async ({ reading }) =>
        (await violations(reading.signal)).map(olderViolation),
      );
    app.get('/get_Violations_Num', hidden('How many'), async ({ reading }) =>
      olderCounts(await violations(reading.signal)),
    );
    app.get('/get_SLA_status', hidden('How many of each metric'), async ({ reading }) => {
      const found = await violations(reading.signal);
      return slas.all().map((sla) => olderStatus(nameOf(sla), found));
    });
    app.get('/get_SLA_pred', hidden('More likely than not within ten minutes'), async () =>
      predictions().map(olderPrediction),
    );
    app.get('/get_SLA_pred_status', hidden('How many of each metric'), async () => {
      const all = predictions().map(({ metric }) => metric);
      return slas
        .all()
        .map(nameOf)
        .map((name) => olderPredictionStatus(name, all.filter((each) => each === name).length));
    });
  };
}

function nameOf({ id }: Sla): string {
  return id.startsWith(prefix) ? id.slice(prefix.length) : id;
}

/** Every value out of the range was a violation to the older manager. */
function definitionsOf(body: OlderSlaBody): Map<string, SlaDefinition> {
  const rest = { objective: 100, windows: defaultWindows };
  return new Map(
    Object.entries(body).map(([name, [min = null, max = null]]) => {
      const id = `${prefix}${name}`;
      if (!new RegExp(slaIdPattern).test(id))
        throw new MonitorError(
          'invalid',
          `'${name.slice(0, 100)}' cannot be the name of an SLA: letters, digits, _ . and - can`,
        );
      return [id, { selector: name, min, max, ...rest }];
    }),
  );
}

async function violationsOf(
  reads: Reads<[]>,
  sla: Sla,
  duration: OlderDuration,
  now: number,
): Promise<OlderViolation[]> {
  const found = await violationsIn(reads, sla, { from: now - parseDuration(duration, 'duration'), to: now });
  return found.map(({ from, worst }) => ({ metric: nameOf(sla), time: from, value: worst, duration }));
}

/** Computes what the older manager had in its tables. */
class OlderReader {
  readonly #parts: AppParts;
  readonly #signal: AbortSignal;
  readonly #isForecast: (name: string) => boolean;
  readonly #reads: Reads<[]>;

  constructor(parts: AppParts, signal: AbortSignal, isForecast: (name: string) => boolean) {
    this.#parts = parts;
    this.#signal = signal;
    this.#isForecast = isForecast;
    this.#reads = readsWithin(parts.store, { signal });
  }

  /** Each series of the name. @throws MonitorError `invalid` for more than a name is expected to have */
  async series({ name, selector }: Named, duration: OlderDuration, now: number): Promise<OlderSeries[]> {
    const window = { from: now - parseDuration(duration, 'duration'), to: now };
    const times = [this.#monotonic()];
    const { statistics } = await this.#reads.statistics({ ...window, selector: parseSelector(selector) });
    if (statistics.length > mostSeries)
      throw new MonitorError(
        'invalid',
        `${name} is of ${statistics.length} series, and older clients are told of ${mostSeries} at most; name one as an SLA with a selector`,
      );
    times.push(this.#monotonic());
    const took = (times[1] as number) - (times[0] as number);
    const told: OlderSeries[] = [];
    for (const each of statistics)
      told.push(await this.#describe(name, parseSelector(selector).metric, each, duration, window, took));
    return told;
  }

  async #describe(
    name: string,
    metric: string,
    { labels, count, max, min, mean, deviation }: Statistics,
    duration: OlderDuration,
    window: TimeWindow,
    took: number,
  ): Promise<OlderSeries> {
    const series = { metric, labels };
    const [began, values] = [this.#monotonic(), await this.#values(series, window, minuteMs, 'mean')];
    const { autocorrelation, stationarity, decomposition } = await this.#parts.forecaster.analyse(
      values.of,
      this.#signal,
    );
    const analysed = this.#monotonic();
    const paths = this.#isForecast(name) ? await this.#paths(series, window) : null;
    return {
      metric: name,
      duration,
      ...{ max, min, mean },
      deviation: count > 1 ? deviation * Math.sqrt(count / (count - 1)) : 0,
      // As many as statsmodels gives by default.
      autocorrelation: autocorrelation.slice(1, 1 + Math.floor(10 * Math.log10(Math.max(1, values.of.length)))),
      stationarity,
      seasonal: decomposition?.seasonal ?? [],
      paths,
      took: {
        metrics: took / 1000,
        metadata: (analysed - began) / 1000,
        prediction: (this.#monotonic() - analysed) / 1000,
      },
    };
  }

  async #paths(series: Series, window: TimeWindow): Promise<OlderSeries['paths']> {
    const [max, min, mean] = await Promise.all(
      (['max', 'min', 'mean'] as const).map((aggregate) => this.#values(series, window, forecastStepMs, aggregate)),
    );
    if (max === undefined || min === undefined || mean === undefined || mean.of.length < leastSteps) return null;
    const found = await this.#parts.forecaster.paths([max.of, min.of, mean.of], forecastSteps, this.#signal);
    const path = (index: number): OlderPath =>
      (found[index]?.expected ?? []).map((value, k) => ({ time: mean.end + k * forecastStepMs, value }));
    return { max: path(0), min: path(1), mean: path(2) };
  }

  /** One value per step up to the last whole one, holes filled with the value before. */
  async #values(series: Series, { from, to }: TimeWindow, stepMs: number, aggregate: Aggregate) {
    const end = Math.floor(to / stepMs) * stepMs;
    const [found] = await this.#reads.select({ from: from - 1, to: end - 1, series: [series], stepMs, aggregate });
    const of = filledPast((found?.samples ?? []).filter(isKnown), end, stepMs);
    return { of, end };
  }

  #monotonic(): number {
    return this.#parts.clock.monotonic();
  }
}
