import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type, { type Static } from 'typebox';
import type { Forecast } from '../../core/forecast.ts';
import { parseSelector } from '../../core/selector.ts';
import { seriesKey, subjectOf } from '../../core/series.ts';
import { roundPercent } from '../../core/snapshot.ts';
import { readsWithin, type SeriesFilter } from '../../core/store.ts';
import { addTallies, type Tally } from '../../core/tally.ts';
import { metricsNamed } from '../../core/threshold.ts';
import { newestForecasts } from '../../forecast/newest-forecasts.ts';
import { accuracyOf } from '../../forecast/score.ts';
import { type AccuracyAnswer, accuracySchema, type ForecastsAnswer, forecastsSchema } from '../../wire/forecast.ts';
import type { AppParts } from '../app-parts.ts';
import { instantOf, iso, windowOf } from '../window.ts';

/** Predictions are many: of a longer time they are not summed up at once. */
const longestWindowMs = 31 * 86_400_000;

const subjectQuery = Type.Object({
  host: Type.Optional(Type.String({ minLength: 1, description: 'Only this host.' })),
  process: Type.Optional(Type.String({ minLength: 1, description: 'Only this process name.' })),
  metric: Type.Optional(Type.String({ minLength: 1, description: 'Only this metric: cpu, memory, system.cpu, ...' })),
  series: Type.Optional(
    Type.String({ minLength: 1, description: 'Only series of this selector: process_cpu_max{host="web-01"}.' }),
  ),
  at: Type.Optional(Type.String({ format: 'date-time', description: 'For when; default: now.' })),
});
const accuracyQuery = Type.Object({
  ...subjectQuery.properties,
  window: Type.Optional(Type.String({ description: 'How far back, such as 6h or 7d.', default: '24h' })),
});

const getForecasts = {
  schema: {
    tags: ['alarms'],
    summary: 'How likely each series is to go over its threshold within the horizon',
    description:
      'Only series that were over half their threshold within the last day are forecast; the others are taken to be safe.',
    querystring: subjectQuery,
    response: { 200: forecastsSchema },
  },
};

const getAccuracy = {
  config: { cheaper: 'a shorter window (window=) or one host (host=)' },
  schema: {
    tags: ['alarms'],
    summary: 'How right the forecasts were, by series and overall',
    description:
      'Over whole hours, from the one in which the window begins; `to` is up to where they have been summed up.',
    querystring: accuracyQuery,
    response: { 200: accuracySchema },
  },
};

/** The newest forecast of each series, and how right the forecasts have been. */
export function forecastRoutes({ store, clock, forecaster, scores }: AppParts): FastifyPluginAsyncTypebox {
  const { stepMs, horizonMs } = forecaster;
  const horizon = { horizonSeconds: horizonMs / 1000, stepSeconds: stepMs / 1000 };
  return async (app) => {
    app.get('/v1/forecasts', getForecasts, async ({ query, reading }): Promise<ForecastsAnswer> => {
      const at = instantOf(query.at, clock.now());
      const found = await newestForecasts(readsWithin(store, reading), at, stepMs, filterOf(query));
      const sorted = found.toSorted((a, b) => (b.probability ?? 1) - (a.probability ?? 1));
      return { at: iso(at), ...horizon, forecasts: sorted.map(forecastAnswer) };
    });

    app.get('/v1/forecasts/accuracy', getAccuracy, async ({ query, reading }): Promise<AccuracyAnswer> => {
      const now = clock.now();
      const asked = windowOf({ window: '24h', ...query }, now, longestWindowMs);
      // What lies in the future has not been right or wrong yet.
      const to = Math.min(asked.to, now);
      const window = { from: to - (asked.to - asked.from), to };
      const found = await scores.read(window, filterOf(query), reading);
      const series = found.series.toSorted((a, b) => b.tally.alarms - a.tally.alarms);
      return {
        from: iso(found.from),
        to: iso(found.to),
        ...horizon,
        overall: accuracyAnswer(addTallies(series.map((each) => each.tally))),
        series: series.map(({ series, isMuted, tally }) => ({
          ...subjectOf(series),
          series: seriesKey(series),
          muted: isMuted,
          ...accuracyAnswer(tally),
        })),
      };
    });
  };
}

/** @throws MonitorError `invalid` for a selector or a name that is none */
function filterOf({ host, process, metric, series }: Static<typeof subjectQuery>): SeriesFilter {
  const selector = series === undefined ? undefined : parseSelector(series);
  const is = (label: string, value: string | undefined) =>
    value === undefined ? [] : [{ label, operator: '=', value } as const];
  const matchers = [...is('host', host), ...is('process', process), ...(selector?.matchers ?? [])];
  const metrics = selector !== undefined ? [selector.metric] : metric !== undefined ? metricsNamed(metric) : undefined;
  return { ...(matchers.length > 0 && { matchers }), ...(metrics && { metrics }) };
}

function forecastAnswer({ isMuted, series, ...forecast }: Forecast): ForecastsAnswer['forecasts'][number] {
  const instant = (time: number | null) => (time === null ? null : iso(time));
  const round = (probability: number | null) => (probability === null ? null : Math.round(probability * 1e4) / 1e4);
  return {
    ...subjectOf(series),
    series: seriesKey(series),
    ...forecast,
    time: iso(forecast.time),
    value: roundPercent(forecast.value),
    probability: round(forecast.probability),
    amberSince: instant(forecast.amberSince),
    notifySince: instant(forecast.notifySince),
    muted: isMuted,
  };
}

function accuracyAnswer(tally: Tally): AccuracyAnswer['overall'] {
  const { predictions, breaches, warned, unforeseeable, alarms, falseAlarms, pointedAt } = tally;
  return {
    predictions,
    breaches,
    warned,
    unforeseeable,
    alarms,
    falseAlarms,
    pointedAt,
    ...accuracyOf(tally),
  };
}
