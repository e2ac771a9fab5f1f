import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { parseDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import { isKnown } from '../../core/sample.ts';
import { parseSelector } from '../../core/selector.ts';
import type { Series } from '../../core/series.ts';
import type { Statistics } from '../../core/statistics.ts';
import { type Aggregate, type Reads, readsWithin, type TimeWindow } from '../../core/store.ts';
import type { RangePassing } from '../../forecast/range-forecaster.ts';
import { filledPast } from '../../forecast/regular-past.ts';
import { defaultWindows, type Sla, type SlaDefinition } from '../../sla/sla.ts';
import { violationsOver } from '../../sla/sla-reader.ts';
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

/** The older SLA manager's REST interface: its three services on one port. */
export function olderSlaRoutes(parts: AppParts): FastifyPluginAsyncTypebox {
  const { store, clock, slas, slaForecaster } = parts;
  /** Null: all there are. */
  let forecast: ReadonlySet<string> | null = null;
  /** Of what POST /SLA has defined: what others have defined these clients do not know. */
  const own = () => slas.all().filter(({ id }) => id.startsWith(prefix));
  const isForecast = (name: string) => forecast === null || forecast.has(name);
  const names = () => [...new Set([...own().map(nameOf), ...(forecast ?? [])])];
  const tell = async (name: string, durations: readonly OlderDuration[], signal: AbortSignal) => {
    const reader = new OlderReader(parts, signal, isForecast);
    const told: OlderSeries[] = [];
    for (const duration of durations) told.push(...(await reader.series(name, duration, clock.now())));
    return told;
  };
  /** Of all names: one that cannot be told keeps no other from being told. */
  const tellAll = async (durations: readonly OlderDuration[], signal: AbortSignal) => {
    const told: OlderSeries[] = [];
    for (const name of names()) told.push(...(await unlessInvalid(() => tell(name, durations, signal), [])));
    return byDuration(told);
  };
  const violations = async (signal: AbortSignal): Promise<OlderViolation[]> => {
    const [now, reads] = [clock.now(), readsWithin(store, { signal })];
    const found: OlderViolation[] = [];
    for (const sla of own()) found.push(...(await unlessInvalid(() => violationsOf(reads, sla, now), [])));
    return byDuration(found);
  };
  const predictions = () =>
    own().flatMap((sla) => {
      const { at, passings } = slaForecaster.of(sla) ?? { at: 0, passings: [] };
      return isForecast(nameOf(sla)) ? passings.flatMap((passing) => predictionOf(nameOf(sla), passing, at)) : [];
    });

  return async (app) => {
    for (const duration of olderDurations)
      app.get(`/metrics/${duration}`, hidden('How long it took to compute what follows'), async ({ reading }) =>
        (await tellAll([duration], reading.signal)).map(olderTimes),
      );
    app.get('/all_data', hidden('Statistics, metadata and predictions of every metric'), async ({ reading }) =>
      (await tellAll(olderDurations, reading.signal)).map(olderData),
    );
    app.get('/regen_data', hidden('Computes all of it anew'), async ({ reading }, reply) => {
      await tellAll(olderDurations, reading.signal);
      return reply.type('application/json').send('"Dati rigenerati"');
    });
    app.post('/forecasting', postForecasting, async ({ body }) => {
      for (const name of Object.values(body)) parseSelector(name);
      forecast = Object.keys(body).length === 0 ? null : new Set(Object.values(body));
      return body;
    });
    app.get('/metrics/metric/:name', ofName('Its statistics'), async ({ params, reading }) =>
      olderMetricRows(await tell(params.name, olderDurations, reading.signal)),
    );
    app.get('/metrics/metadati/:name', ofName('What it is like'), async ({ params, reading }) =>
      olderMetadataRows(await tell(params.name, olderDurations, reading.signal)),
    );
    app.get('/metrics/forecasting/:name', ofName('The next ten minutes'), async ({ params, reading }) =>
      olderForecastRows(await tell(params.name, olderDurations, reading.signal)),
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
      return own().map((sla) => olderStatus(nameOf(sla), found));
    });
    app.get('/get_SLA_pred', hidden('More likely than not within ten minutes'), async () =>
      predictions().map(olderPrediction),
    );
    app.get('/get_SLA_pred_status', hidden('How many of each metric'), async () => {
      const all = predictions().map(({ metric }) => metric);
      return own().map((sla) => {
        const name = nameOf(sla);
        return olderPredictionStatus(name, all.filter((each) => each === name).length);
      });
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
    Object.entries(body).map(([name, range]) => {
      const [id, [min = null, max = null]] = [`${prefix}${name}`, range];
      if (range.length !== 2)
        throw new MonitorError('invalid', `the range of '${name.slice(0, 100)}' has to be two numbers: least and most`);
      if (!new RegExp(slaIdPattern).test(id))
        throw new MonitorError('invalid', `'${name.slice(0, 100)}' is no name of a metric`);
      return [id, { selector: name, min, max, ...rest }];
    }),
  );
}

async function violationsOf(reads: Reads<[]>, sla: Sla, now: number): Promise<OlderViolation[]> {
  const windows = olderDurations.map((duration) => ({ from: now - parseDuration(duration, 'duration'), to: now }));
  const found = await violationsOver(reads, sla, windows);
  return found.flatMap((violations, index) =>
    violations.map(({ from, worst }) => ({
      metric: nameOf(sla),
      time: from,
      value: worst,
      duration: olderDurations[index] as OlderDuration,
    })),
  );
}

/** Of one that is out of its range already, that; else what is more likely than not within ten minutes. */
function predictionOf(metric: string, passing: RangePassing, at: number) {
  const { isOut, probability, etaSeconds, limit, value } = passing;
  if (isOut) return [{ metric, time: at, value }];
  const isLikely = (probability ?? 0) >= 0.5 && etaSeconds !== null && etaSeconds <= 600;
  return isLikely ? [{ metric, time: at + etaSeconds * 1000, value: limit }] : [];
}

function byDuration<T extends { duration: OlderDuration }>(all: readonly T[]): T[] {
  return olderDurations.flatMap((duration) => all.filter((each) => each.duration === duration));
}

async function unlessInvalid<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof MonitorError && error.code === 'invalid') return otherwise;
    throw error;
  }
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
  async series(name: string, duration: OlderDuration, now: number): Promise<OlderSeries[]> {
    const window = { from: now - parseDuration(duration, 'duration'), to: now };
    const times = [this.#monotonic()];
    const selector = parseSelector(name);
    const { statistics } = await this.#reads.statistics({ ...window, selector });
    if (statistics.length > mostSeries)
      throw new MonitorError(
        'invalid',
        `${name} is of ${statistics.length} series, and older clients are told of ${mostSeries} at most; ask for one of them: ${name}{instance="..."}`,
      );
    times.push(this.#monotonic());
    const took = (times[1] as number) - (times[0] as number);
    const told: OlderSeries[] = [];
    for (const each of statistics) told.push(await this.#describe(name, selector.metric, each, duration, window, took));
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
    const [found = []] = await this.#parts.forecaster.paths([[max.of, min.of, mean.of]], forecastSteps, this.#signal);
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
