import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type, { type Static } from 'typebox';
import { formatDuration, parseDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import { type HostMetric, hostColumns, hostMetrics, isUsageMetric, usageMetrics } from '../../core/metric.ts';
import { isKnown, type Point } from '../../core/sample.ts';
import { parseSelector, type Selector } from '../../core/selector.ts';
import { hostSeries, processSeries, type Series, seriesKey, subjectOf } from '../../core/series.ts';
import { type Aggregate, aggregates, type Reading, readsWithin, type TimeWindow } from '../../core/store.ts';
import { filledPast } from '../../forecast/regular-past.ts';
import { type AnalysisAnswer, analysisSchema, type SeriesAnswer, seriesSchema } from '../../wire/series.ts';
import type { AppParts } from '../app-parts.ts';
import { iso, windowOf } from '../window.ts';

/** A week of minutes, about. */
const mostSteps = 10_500;
/** The test for stationarity takes longer than is fair for more. */
const mostAnalysed = 3000;

const cheaper = 'a shorter window (window=)';
const longestStepMs = 31 * 86_400_000;

const seriesQuery = Type.Object({
  series: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'Selector: process_cpu{host="web-01",process=~"java.*"}, system_load1 or any metric that was sent.',
    }),
  ),
  host: Type.Optional(Type.String({ minLength: 1, description: 'Instead of series=, of one series.' })),
  process: Type.Optional(Type.String({ minLength: 1, description: 'Absent: a metric of the host itself.' })),
  metric: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'cpuMax, memoryMax (the largest instance; also cpu, memory: all of the name) or system.cpu, ...',
    }),
  ),
  window: Type.Optional(Type.String({ description: 'How far back, such as 6h or 2d.', default: '2d' })),
  at: Type.Optional(Type.String({ format: 'date-time', description: 'Up to when; default: now.' })),
  step: Type.Optional(Type.String({ description: 'A value is of so long.', default: '1m' })),
  aggregate: Type.Optional(Type.Enum([...aggregates], { default: 'mean', description: 'What is told of a step.' })),
});
type SeriesQuery = Static<typeof seriesQuery>;

const getSeries = {
  config: { cheaper },
  schema: {
    tags: ['usage'],
    summary: 'Series over regular steps: of hosts, their processes and other sources',
    querystring: seriesQuery,
    response: { 200: seriesSchema },
  },
};

const getAnalysis = {
  config: { cheaper },
  schema: {
    tags: ['usage'],
    summary: 'Autocorrelation, stationarity, period and decomposition of a series',
    querystring: seriesQuery,
    response: { 200: analysisSchema },
  },
};

/** One metric of one subject over regular time, and what it is like. */
export function seriesRoutes({ store, clock, forecaster }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/v1/series', getSeries, async ({ query, reading }): Promise<SeriesAnswer> => {
      const { found, ...about } = await read(query, mostSteps, reading);
      const series = found.map(({ series, samples }) => ({
        series: seriesKey(series),
        ...series,
        points: samples.filter(isKnown).map(({ time, value }) => ({ time: iso(time), value })),
      }));
      return { ...about, series, ...olderFields(query, series[0]?.points) };
    });

    app.get('/v1/series/analysis', getAnalysis, async ({ query, reading }): Promise<AnalysisAnswer> => {
      const { found, ...about } = await read(query, mostAnalysed, reading);
      const [only, another] = found;
      if (only === undefined || another !== undefined)
        throw new MonitorError(
          'invalid',
          `the selector names ${found.length} series in the window, and one is analysed at a time; write the labels of one`,
        );
      const stepMs = about.stepSeconds * 1000;
      const { values, missing } = regular(only.samples.filter(isKnown), stepMs);
      const { period, ...analysis } = await forecaster.analyse(values, reading.signal);
      return {
        from: about.from,
        to: about.to,
        stepSeconds: about.stepSeconds,
        ...subjectOf(only.series),
        ...(query.metric !== undefined && { metric: query.metric }),
        series: seriesKey(only.series),
        points: values.length,
        missing,
        ...analysis,
        period: period && { seconds: (period.steps * stepMs) / 1000, correlation: period.correlation },
      };
    });
  };

  async function read(query: SeriesQuery, most: number, reading: Reading) {
    const window = windowOf({ window: '2d', ...query }, clock.now());
    const stepMs = parseDuration(query.step ?? '1m', 'step');
    checkSteps(window, stepMs, most);
    const aggregate = (query.aggregate ?? 'mean') as Aggregate;
    const series = wantedSeries(query);
    const reads = readsWithin(store, reading);
    const [found, resolution] = await Promise.all([
      reads.select({ ...window, series, stepMs, aggregate }),
      reads.resolution(window, stepMs),
    ]);
    return { from: iso(window.from), to: iso(window.to), resolution, stepSeconds: stepMs / 1000, aggregate, found };
  }
}

/** With the parameters of before there were selectors: the fields of then. */
function olderFields({ series, host, process, metric }: SeriesQuery, points: SeriesAnswer['points'] = []) {
  if (series !== undefined || host === undefined || metric === undefined) return {};
  return { host, process: process ?? null, metric, points };
}

/** @throws MonitorError `invalid` */
function wantedSeries(query: SeriesQuery): readonly Series[] | Selector {
  const { series, host, process, metric } = query;
  if (series !== undefined && (host ?? process ?? metric) !== undefined)
    throw new MonitorError('invalid', 'series= cannot stand beside host, process or metric; leave those out');
  if (series !== undefined) return parseSelector(series);
  if (host === undefined || metric === undefined)
    throw new MonitorError(
      'invalid',
      `name a series: series=process_cpu_max{host="web-01",process="java"}, or host= and metric=, and process= for a metric of a process`,
    );
  return [seriesOf(host, process, metric)];
}

function checkSteps({ from, to }: TimeWindow, stepMs: number, most: number): void {
  const steps = Math.ceil((to - from) / stepMs);
  if (stepMs < 1000 || stepMs > longestStepMs || !Number.isInteger(stepMs))
    throw new MonitorError('invalid', 'step must lie between 1s and 31d, in whole milliseconds');
  if (steps > most) {
    const least = formatDuration(Math.ceil((to - from) / most / 1000) * 1000);
    throw new MonitorError(
      'invalid',
      `that is ${steps} steps, and at most ${most} are given; choose a shorter window or a step of ${least} or more`,
    );
  }
}

function seriesOf(host: string, process: string | undefined, metric: string): Series {
  if (process !== undefined && isUsageMetric(metric)) return processSeries(metric, host, process);
  if (process === undefined && Object.hasOwn(hostColumns, metric)) return hostSeries(metric as HostMetric, host);
  const [known, kind] = process === undefined ? [hostMetrics, 'the host itself'] : [usageMetrics, 'a process'];
  throw new MonitorError('invalid', `there is no metric '${metric}' of ${kind}; write one of ${known.join(', ')}`);
}

/** One value per step, from the first to the last; a step without one has the value before it. */
function regular(points: readonly Point[], stepMs: number): { values: Float64Array; missing: number } {
  const values = filledPast(points, (points.at(-1)?.time ?? -stepMs) + stepMs, stepMs);
  return { values, missing: values.length - points.length };
}
