import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { parseDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import { isKnown, type Point } from '../../core/sample.ts';
import { parseSelector } from '../../core/selector.ts';
import { type Series, seriesKey, subjectOf, unitOfSeries } from '../../core/series.ts';
import { type Reads, readsWithin } from '../../core/store.ts';
import { leastValues, type PathForecast } from '../../forecast/path-forecast.ts';
import { filledPast } from '../../forecast/regular-past.ts';
import { pastSteps } from '../../forecast/steps.ts';
import { type SeriesForecastsAnswer, seriesForecastsSchema } from '../../wire/forecast.ts';
import type { AppParts } from '../app-parts.ts';
import { instantOf, iso } from '../window.ts';

/** Each takes some 10 ms, and more for more steps. */
const mostSeries = 100;
const mostSteps = 60;
/** What has been silent for so many steps has ended, or nobody knows how it does. */
const longestSilence = 10;
/** A step is told where its rule was judged so often. */
const leastJudged = 20;
const aggregates = ['mean', 'min', 'max'] as const;
type Quantile = Exclude<keyof PathForecast, 'judged'>;
type Path = Record<(typeof aggregates)[number], PathForecast>;

const getSeriesForecasts = {
  config: { cheaper: 'fewer series (host="web-01")' },
  schema: {
    tags: ['alarms'],
    summary: 'Mean, lowest and highest value of the next steps of series, each with what eight in ten lie between',
    description: `By the rule that has erred least of late so far ahead, with a band from what it got wrong. They are made of the last ${pastSteps} steps, ${leastValues} at least.`,
    querystring: Type.Object({
      selector: Type.String({ minLength: 1, description: `At most ${mostSeries} series: process_cpu{host="web-01"}.` }),
      horizon: Type.Optional(
        Type.String({ default: '10m', description: `How far ahead: ${mostSteps} steps at most.` }),
      ),
      step: Type.Optional(Type.String({ default: '1m', description: 'A value is of so long.' })),
      at: Type.Optional(Type.String({ format: 'date-time', description: 'By what was known then; default: now.' })),
    }),
    response: { 200: seriesForecastsSchema },
  },
};

/** Where series go in the next steps. */
export function seriesForecastRoutes({ store, clock, forecaster }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/v1/forecasts/series', getSeriesForecasts, async ({ query, reading }): Promise<SeriesForecastsAnswer> => {
      const stepMs = stepOf(query.step ?? '1m');
      const steps = stepsOf(query.horizon ?? '10m', stepMs);
      const at = Math.floor(instantOf(query.at, clock.now()) / stepMs) * stepMs;
      const pasts = await pastsOf(readsWithin(store, reading), query.selector, at, stepMs);
      const told = pasts.filter(({ problem }) => problem === null);
      const paths = await forecaster.paths(
        told.map(({ values }) => values),
        steps,
        reading.signal,
      );
      const byKey = new Map(told.map(({ series }, index) => [seriesKey(series), paths[index] ?? []]));
      const series = pasts.map((past) => answerOf(past, byKey.get(seriesKey(past.series)) ?? [], at, stepMs, steps));
      return { at: iso(at), horizonSeconds: (steps * stepMs) / 1000, stepSeconds: stepMs / 1000, series };
    });
  };
}

function stepOf(text: string): number {
  const stepMs = parseDuration(text, 'step');
  if (stepMs < 1000 || stepMs > 86_400_000 || !Number.isInteger(stepMs))
    throw new MonitorError('invalid', 'step must lie between 1s and 1d, in whole milliseconds');
  return stepMs;
}

function stepsOf(horizon: string, stepMs: number): number {
  const steps = Math.ceil(parseDuration(horizon, 'horizon') / stepMs);
  if (steps > mostSteps)
    throw new MonitorError(
      'invalid',
      `that is ${steps} steps, and at most ${mostSteps} are forecast; choose a shorter horizon or a longer step (step=)`,
    );
  return steps;
}

interface Past {
  series: Series;
  /** Why nothing is said of it. */
  problem: string | null;
  /** Of the mean, lowest and highest of each step, without holes. */
  values: [Float64Array, Float64Array, Float64Array];
}

/** @throws MonitorError `invalid` for too many series */
async function pastsOf(reads: Reads<[]>, selector: string, at: number, stepMs: number): Promise<Past[]> {
  const window = { from: at - pastSteps * stepMs - 1, to: at - 1 };
  const query = { ...window, series: parseSelector(selector), stepMs };
  const means = await reads.select(query);
  if (means.length > mostSeries)
    throw new MonitorError(
      'invalid',
      `the selector names ${means.length} series, and at most ${mostSeries} are forecast; write more matchers, such as host="web-01"`,
    );
  const series = means.map((each) => each.series);
  const [least, most] = await Promise.all(
    (['min', 'max'] as const).map((aggregate) => reads.select({ ...query, series, aggregate })),
  );
  return means.map((mean, index) => {
    const values = [mean, least?.[index], most?.[index]].map((found) =>
      filledPast((found?.samples ?? []).filter(isKnown), at, stepMs),
    );
    const problem = problemOf(mean.samples.filter(isKnown), at, stepMs);
    return { series: mean.series, problem, values: values as Past['values'] };
  });
}

function problemOf(points: readonly Point[], at: number, stepMs: number): string | null {
  const last = points.at(-1);
  if (last === undefined || last.time < at - longestSilence * stepMs)
    return `it has no value in the last ${longestSilence} steps`;
  const length = Math.round((at - (points[0]?.time ?? at)) / stepMs);
  return length < leastValues ? `it has values of ${length} steps, and nothing is said before ${leastValues}` : null;
}

function answerOf(past: Past, paths: readonly PathForecast[], at: number, stepMs: number, asked: number) {
  const { series } = past;
  const steps = stepsAnswer(past, paths, at, stepMs);
  const few = `it has values of ${past.values[0].length} steps, and from so few no more than ${steps.length} steps are foretold`;
  const problem = past.problem ?? (steps.length < asked ? few : null);
  return { ...subjectOf(series), series: seriesKey(series), problem, steps };
}

/** As far as the band is of enough errors. */
function stepsAnswer({ series, values }: Past, paths: readonly PathForecast[], at: number, stepMs: number) {
  const [mean, min, max] = paths;
  if (mean === undefined || min === undefined || max === undefined) return [];
  const limits = limitsOf(series.metric, values[1], values[2]);
  const enough = mean.judged.filter((judged) => judged >= leastJudged).length;
  return mean.expected.slice(0, enough).map((_, k) => ({
    time: iso(at + (k + 1) * stepMs),
    ...ordered({ mean, min, max }, k, limits),
  }));
}

/** Where values cannot lie: below 0 what never was, above 100 what is percent of a whole and never was. */
function limitsOf(metric: string, lowest: Float64Array, highest: Float64Array): [number, number] {
  const isNeverNegative = lowest.every((value) => value >= 0);
  const isShare = unitOfSeries(metric) === 'percent' && highest.every((value) => value <= 100);
  return [isNeverNegative ? 0 : Number.NEGATIVE_INFINITY, isShare ? 100 : Number.POSITIVE_INFINITY];
}

/** Each is forecast by itself; the lowest of a step is not above its mean, whatever the rules say. */
function ordered({ mean, min, max }: Path, k: number, [floor, ceiling]: [number, number]) {
  const at = (path: PathForecast, of: Quantile) => Math.min(Math.max(path[of][k] as number, floor), ceiling);
  const band = (value: (of: Quantile) => number) => ({
    expected: value('expected'),
    low: value('low'),
    high: value('high'),
  });
  return {
    mean: band((of) => at(mean, of)),
    min: band((of) => Math.min(at(min, of), at(mean, of))),
    max: band((of) => Math.max(at(max, of), at(mean, of))),
  };
}
