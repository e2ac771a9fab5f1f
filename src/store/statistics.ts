import { samplesWithin } from '../core/bounded-samples.ts';
import { MonitorError } from '../core/error.ts';
import { isKnown } from '../core/sample.ts';
import { type Labels, type Series, seriesKey } from '../core/series.ts';
import { labelsOf, type StatisticsAnswer, type StatisticsQuery, statisticsOf } from '../core/statistics.ts';
import type { Reading, Selected, SelectQuery } from '../core/store.ts';

/** More groups are not in one answer. */
export const mostGroups = 50_000;
/** Of more values percentiles are told by buckets: to sort them takes memory. */
export const mostExactValues = 4_000_000;
/** More names are not written into a query. */
export const mostNamesMeant = 20_000;
/** More are not read for one answer. */
export const mostSamples = 300_000;

/**
 * Of whoever gives samples and nothing else: all of them are read.
 * @throws MonitorError `invalid` for more than are read for one answer, or more series than `select` gives
 */
export async function statisticsOfSamples(
  select: (query: SelectQuery, reading: Reading) => Promise<Selected[]>,
  { selector, by, from, to }: StatisticsQuery,
  reading: Reading,
): Promise<StatisticsAnswer> {
  const one = await select({ from, to, series: selector, stepMs: Math.max(1, Math.ceil(to - from)) }, reading);
  const series = one.map((each) => each.series);
  const found = await samplesWithin((query) => select(query, reading), series, { from, to }, mostSamples);
  if (found === null) throw tooManySamples(series.length);
  const groups = new Map<string, { labels: Labels; values: number[] }>();
  for (const { series, samples } of found) {
    const group = groupOf(groups, series, by);
    for (const sample of samples) if (isKnown(sample)) group.values.push(sample.value);
  }
  const statistics = [...groups.values()]
    .filter(({ values }) => values.length > 0)
    .map(({ labels, values }) => statisticsOf(labels, values));
  return { statistics, percentileError: 0 };
}

function groupOf(
  groups: Map<string, { labels: Labels; values: number[] }>,
  { metric, labels: own }: Series,
  by: readonly string[] | undefined,
) {
  const labels = labelsOf(own, by);
  const key = seriesKey({ metric, labels });
  const group = groups.get(key) ?? { labels, values: [] };
  groups.set(key, group);
  return group;
}

function tooManySamples(series: number): MonitorError {
  return new MonitorError(
    'invalid',
    `the selector names ${series} series with more than ${mostSamples} samples in the window, and no more are read for one answer; choose a shorter window or fewer series`,
  );
}

export function tooManyGroups(): MonitorError {
  return new MonitorError(
    'invalid',
    `that would be statistics of more than ${mostGroups} series; take some together (by=process), or name fewer (host="web-01")`,
  );
}

export function tooManyExact(values: number): MonitorError {
  return new MonitorError(
    'invalid',
    `exact percentiles are told of at most ${mostExactValues} values, and the window has ${values}; choose a shorter window or fewer series, or leave out exact=`,
  );
}

export function tooManyNames(meant: number, all: number): MonitorError {
  return new MonitorError(
    'invalid',
    `the selector names ${meant} of ${all} process names, and at most ${mostNamesMeant} are told from the others; write a narrower one`,
  );
}

export function noRowsLeft(): MonitorError {
  return new MonitorError(
    'invalid',
    'exact percentiles are told of rows, and the window begins before the oldest that are kept; choose a shorter window, or leave out exact=',
  );
}
