import { labelTest } from '../core/label-test.ts';
import type { Selector } from '../core/selector.ts';
import { type Series, seriesKey } from '../core/series.ts';
import { byStep, ratesOf } from '../core/step-values.ts';
import {
  isKnown,
  type Point,
  refuseTooManySeries,
  type Sample,
  type SelectQuery,
  type SeriesFilter,
} from '../core/store.ts';

/** Before a window so much is read of a counter, to tell by how much its first sample has grown. */
export const counterReachMs = 600_000;

/** Whether a series is one of those that a filter means. */
export function filterTest({ series, metrics, matchers = [] }: SeriesFilter): (series: Series) => boolean {
  const fits = labelTest({ matchers });
  const key = series && seriesKey(series);
  return (each) =>
    (key === undefined || seriesKey(each) === key) && (metrics?.includes(each.metric) ?? true) && fits(each.labels);
}

/** Those of these series that a selector names, by key. @throws MonitorError `invalid` for too many */
export function selectedOf(selector: Selector, series: Iterable<Series>): Series[] {
  const fits = filterTest({ metrics: [selector.metric], matchers: selector.matchers });
  const found = new Map<string, Series>();
  for (const each of series) if (fits(each)) found.set(seriesKey(each), each);
  refuseTooManySeries(found.size);
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}

/** Raw samples, oldest first, as a query wants them. */
export function inSteps(samples: readonly Sample[], { stepMs, aggregate }: SelectQuery): Sample[] {
  return stepMs === null ? [...samples] : byStep(samples.filter(isKnown), stepMs, aggregate);
}

/** What is told of a series of another source: a gauge as it is, a counter by its rates. */
export function toldOf(kind: 'gauge' | 'counter', points: readonly Point[], from: number): Point[] {
  const told = kind === 'counter' ? ratesOf(points) : points;
  return told.filter(({ time }) => time > from);
}

/** Whose new series these count as: a host's, else a source's, else nobody's. */
export function ownerOf({ labels }: Series): string {
  if (labels.host !== undefined) return `host ${labels.host}`;
  return labels.source === undefined ? '' : `source ${labels.source}`;
}
