import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type, { type Static } from 'typebox';
import { formatDuration, parseDuration } from '../core/duration.ts';
import { MonitorError } from '../core/error.ts';
import { type HostMetric, hostMetrics, type UsageMetric, usageMetrics } from '../core/metric.ts';
import { type AnalysisAnswer, analysisSchema, type SeriesAnswer, seriesSchema } from '../core/schema.ts';
import { type Point, type Reading, readsWithin, type SeriesKey, type TimeWindow } from '../core/store.ts';
import type { AppParts } from './app-parts.ts';
import { iso, windowOf } from './window.ts';

/** A week of minutes, about. */
const mostSteps = 10_500;
/** The test for stationarity takes longer than is fair for more. */
const mostAnalysed = 3000;

const cheaper = 'a shorter window (window=)';
const longestStepMs = 31 * 86_400_000;

const seriesQuery = Type.Object({
  host: Type.String({ minLength: 1 }),
  process: Type.Optional(Type.String({ minLength: 1, description: 'Absent: a metric of the host itself.' })),
  metric: Type.String({
    minLength: 1,
    description: 'cpuMax, memoryMax (the largest instance; also cpu, memory: all of the name) or system.cpu, ...',
  }),
  window: Type.Optional(Type.String({ description: 'How far back, such as 6h or 2d.', default: '2d' })),
  at: Type.Optional(Type.String({ format: 'date-time', description: 'Up to when; default: now.' })),
  step: Type.Optional(Type.String({ description: 'A value is the mean over so long.', default: '1m' })),
});
type SeriesQuery = Static<typeof seriesQuery>;

/** One metric of one subject over regular time, and what it is like. */
export function seriesRoutes({ store, clock, forecaster }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get(
      '/v1/series',
      {
        config: { cheaper },
        schema: {
          tags: ['usage'],
          summary: 'One metric of one process or host as regular means',
          querystring: seriesQuery,
          response: { 200: seriesSchema },
        },
      },
      async ({ query, reading }): Promise<SeriesAnswer> => {
        const { points, ...about } = await read(query, mostSteps, reading);
        return { ...about, points: points.map(({ time, value }) => ({ time: iso(time), value })) };
      },
    );

    app.get(
      '/v1/series/analysis',
      {
        config: { cheaper },
        schema: {
          tags: ['usage'],
          summary: 'Autocorrelation, stationarity, period and decomposition of a series',
          querystring: seriesQuery,
          response: { 200: analysisSchema },
        },
      },
      async ({ query, reading }): Promise<AnalysisAnswer> => {
        const { points, ...about } = await read(query, mostAnalysed, reading);
        const stepMs = about.stepSeconds * 1000;
        const { values, missing } = regular(points, stepMs);
        const { period, ...found } = await forecaster.analyse(values, reading.signal);
        return {
          ...about,
          points: values.length,
          missing,
          ...found,
          period: period && { seconds: (period.steps * stepMs) / 1000, correlation: period.correlation },
        };
      },
    );
  };

  async function read(query: SeriesQuery, most: number, reading: Reading) {
    const window = windowOf({ window: '2d', ...query }, clock.now());
    const stepMs = parseDuration(query.step ?? '1m', 'step');
    checkSteps(window, stepMs, most);
    const [points = []] = await readsWithin(store, reading).stepMeans([keyOf(query)], window, stepMs);
    const { host, process = null, metric } = query;
    return { from: iso(window.from), to: iso(window.to), host, process, metric, stepSeconds: stepMs / 1000, points };
  }
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

function keyOf({ host, process, metric }: SeriesQuery): SeriesKey {
  const [known, kind] = process === undefined ? [hostMetrics, 'the host itself'] : [usageMetrics, 'a process'];
  if (!(known as readonly string[]).includes(metric))
    throw new MonitorError('invalid', `there is no metric '${metric}' of ${kind}; write one of ${known.join(', ')}`);
  return process === undefined
    ? { kind: 'system', host, metric: metric as HostMetric }
    : { kind: 'process', host, process, metric: metric as UsageMetric };
}

/** One value per step; a step without one has the value before it. */
function regular(points: readonly Point[], stepMs: number): { values: Float64Array; missing: number } {
  const first = points[0]?.time ?? 0;
  const count = points.length === 0 ? 0 : Math.round(((points.at(-1) as Point).time - first) / stepMs) + 1;
  const values = new Float64Array(count).fill(Number.NaN);
  for (const { time, value } of points) values[Math.round((time - first) / stepMs)] = value;
  for (let k = 1; k < count; k++) if (Number.isNaN(values[k])) values[k] = values[k - 1] as number;
  return { values, missing: count - points.length };
}
