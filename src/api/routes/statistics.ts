import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type, { type Static } from 'typebox';
import { mostNames } from '../../core/answer-bounds.ts';
import { MonitorError } from '../../core/error.ts';
import { parseSelector } from '../../core/selector.ts';
import { familyOf } from '../../core/series.ts';
import type { StatisticsQuery } from '../../core/statistics.ts';
import { type Reads, readsWithin } from '../../core/store.ts';
import { statisticsSchema } from '../../wire/statistics.ts';
import type { AppParts } from '../app-parts.ts';
import { csvType } from '../csv.ts';
import { jsonType } from '../large-answer.ts';
import { type StatisticsFound, statisticsCsv, statisticsText } from '../statistics-text.ts';
import { instantOf, windowOf } from '../window.ts';

const mostWindows = 10;
const defaultTop = 1000;
const mostLabels = 30;
const cheaper = 'shorter windows (windows=), or fewer series, such as those of one host';

const statisticsQuery = Type.Object({
  selector: Type.String({ minLength: 1, description: 'process_cpu{host="web-01"}, system_load1 or any metric.' }),
  windows: Type.Optional(Type.String({ description: 'How far back, up to 10 of them.', default: '1h,3h,12h' })),
  by: Type.Optional(
    Type.String({
      description:
        'Series that have these labels in common are taken together: by=process, by=host,process, or by= for all of them. Absent: each by itself.',
    }),
  ),
  at: Type.Optional(Type.String({ format: 'date-time', description: 'Up to when; default: now.' })),
  exact: Type.Optional(
    Type.Boolean({
      description: 'Percentiles of the samples themselves, or 400 where there are too many.',
      default: false,
    }),
  ),
  top: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: mostNames,
      default: defaultTop,
      description: 'The so many with the highest means; 0: all.',
    }),
  ),
  format: Type.Optional(Type.Enum(['json', 'csv'], { default: 'json' })),
});

const getStatistics = {
  config: { cheaper },
  schema: {
    tags: ['usage'],
    summary: 'Count, least, most, mean, standard deviation and percentiles over several windows',
    querystring: statisticsQuery,
    response: { 200: statisticsSchema },
  },
};

/** What values come to, from rows or their roll-ups. */
export function statisticsRoutes({ store, clock, largeAnswers }: AppParts): FastifyPluginAsyncTypebox {
  return async (app) => {
    app.get('/v1/statistics', getStatistics, async (request, reply) => {
      const { query } = request;
      const at = instantOf(query.at, clock.now());
      const asked = {
        selector: parseSelector(query.selector),
        ...(query.by !== undefined && { by: labelsOf(query.by) }),
        isExact: query.exact ?? false,
      };
      const top = query.top === 0 ? mostNames : (query.top ?? defaultTop);
      const reads = readsWithin(store, request.reading);
      const found: StatisticsFound[] = [];
      // One after the other: each is dear.
      for (const window of windowsOf(query))
        found.push(await tell(reads, window, { ...asked, ...windowOf({ window }, at) }, top));
      if (query.format === 'csv') return largeAnswers.send(request, reply, statisticsCsv(found), csvType);
      const about = { at, selector: query.selector, by: asked.by ?? null };
      return largeAnswers.send(request, reply, statisticsText(about, found), jsonType);
    });
  };
}

async function tell(reads: Reads<[]>, window: string, query: StatisticsQuery, top: number): Promise<StatisticsFound> {
  const [{ statistics, percentileError, told }, resolution] = await Promise.all([
    reads.statistics(query),
    // Of all else there are no roll-ups.
    familyOf(query.selector.metric).family === 'process' ? reads.resolution(query) : ('raw' as const),
  ]);
  statistics.sort((a, b) => b.mean - a.mean);
  const { from, to } = query;
  return {
    window,
    ...(told ?? { from, to, resolution }),
    percentileError,
    found: statistics.length,
    statistics: statistics.slice(0, top),
  };
}

/** @throws MonitorError `invalid` */
function windowsOf({ windows = '1h,3h,12h' }: Static<typeof statisticsQuery>): string[] {
  const all = windows.split(',').map((window) => window.trim());
  if (all.length > mostWindows)
    throw new MonitorError('invalid', `windows= names ${all.length} windows; at most ${mostWindows} are told at once`);
  return all;
}

/** @throws MonitorError `invalid` */
function labelsOf(by: string): string[] {
  const labels = [...new Set(by.split(',').map((label) => label.trim()))].filter((label) => label !== '');
  const wrong = labels.find((label) => !/^[a-zA-Z_][a-zA-Z0-9_]{0,99}$/.test(label));
  if (wrong !== undefined)
    throw new MonitorError('invalid', `by= has '${wrong}', which is no label; write by=host,process`);
  if (labels.length > mostLabels)
    throw new MonitorError('invalid', `by= has ${labels.length} labels; at most ${mostLabels} are taken`);
  return labels;
}
