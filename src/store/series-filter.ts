import { refuseTooManySeries } from '../core/answer-bounds.ts';
import { exactValue, labelTest } from '../core/label-test.ts';
import { isKnown, type Sample } from '../core/sample.ts';
import type { Selector } from '../core/selector.ts';
import { familyOf, hostSeries, isOfOtherSource, processSeries, type Series, seriesKey } from '../core/series.ts';
import { byStep, ratesOf } from '../core/step-values.ts';
import type { Selected, SelectQuery, SeriesFilter } from '../core/store.ts';
import { takingTurns } from '../platform/turns.ts';

/** Before a window so much is read of a counter, to tell by how much its first sample has grown. */
export const counterReachMs = 600_000;

/** Whether a series is one of those that a filter means. */
export function filterTest({ series, metrics, matchers = [] }: SeriesFilter): (series: Series) => boolean {
  const fits = labelTest({ matchers });
  const key = series && seriesKey(series);
  return (each) =>
    (key === undefined || seriesKey(each) === key) && (metrics?.includes(each.metric) ?? true) && fits(each.labels);
}

/** Those of these that fit, once each: expressions may take a while for many. @throws the signal's reason */
export async function fitting(
  fits: (series: Series) => boolean,
  series: Iterable<Series>,
  signal: AbortSignal | undefined,
): Promise<Map<string, Series>> {
  const found = new Map<string, Series>();
  const turn = takingTurns(signal);
  for (const each of series) {
    if (fits(each)) found.set(seriesKey(each), each);
    const others = turn();
    if (others !== null) await others;
  }
  return found;
}

/** Those of these series that the selector of a query names, by key. @throws MonitorError `invalid` for too many */
export async function selectedOf(
  selector: Selector,
  series: Iterable<Series>,
  query: SelectQuery,
  signal: AbortSignal | undefined,
): Promise<Series[]> {
  const fits = filterTest({ metrics: [selector.metric], matchers: selector.matchers });
  const found = await fitting(fits, series, signal);
  refuseTooManySeries(found.size, query);
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}

/** Series of hosts and their processes, and those of other sources. */
interface BySource {
  ours: Series[];
  others: Series[];
}

/**
 * What is told of the series that a query asks for. Where its selector says which one it means, whether that is there
 * need not be asked before its values are, which would read as much again: only if it has none.
 * @param samplesOf by key
 * @param named the series in the window that the selector names
 */
export async function toldOfAsked(
  query: SelectQuery,
  signal: AbortSignal | undefined,
  samplesOf: (series: BySource) => Promise<ReadonlyMap<string, Sample[]>>,
  named: (selector: Selector) => Promise<Series[]>,
): Promise<Selected[]> {
  const told = async (all: readonly Series[]): Promise<Selected[]> => {
    const samples = await samplesOf(bySource(all));
    return all.map((series) => ({ series, samples: samples.get(seriesKey(series)) ?? [] }));
  };
  const { series } = query;
  if (!('metric' in series)) return told(series);
  const only = await selectedOf(series, onlySeries(series), query, signal);
  const found = only.length > 0 ? await told(only) : [];
  if (found.some(({ samples }) => samples.some(({ value }) => value !== 'exited'))) return found;
  return told(await named(series));
}

/** Of hosts and processes: the one that a selector means; nothing where it may mean several. */
function onlySeries({ metric, matchers }: Selector): Series[] {
  const family = familyOf(metric);
  const [host, process] = [exactValue(matchers, 'host'), exactValue(matchers, 'process')];
  if (family.family === 'metric' || host === undefined) return [];
  if (family.family === 'host') return [hostSeries(family.column, host)];
  return process === undefined ? [] : [processSeries(family.column, host, process)];
}

/** Series of hosts and their processes, and those of other sources: they are kept apart. */
export function bySource(series: readonly Series[]): BySource {
  const [ours, others]: [Series[], Series[]] = [[], []];
  for (const each of series) (isOfOtherSource(each.metric) ? others : ours).push(each);
  return { ours, others };
}

/** Raw samples, oldest first, as a query wants them. */
export function inSteps(samples: readonly Sample[], { stepMs, aggregate }: SelectQuery): Sample[] {
  return stepMs === null ? [...samples] : byStep(samples.filter(isKnown), stepMs, aggregate);
}

/** What is told of a series of another source, from samples by time: a gauge as it is, a counter by its rates. */
export function toldOf(kind: 'gauge' | 'counter', samples: readonly Sample[], from: number): Sample[] {
  return (kind === 'counter' ? withRates(samples) : samples).filter(({ time }) => time > from);
}

/** A counter that comes back goes on from where it was, or has begun anew: it is no other one. */
function withRates(samples: readonly Sample[]): Sample[] {
  const ends = samples.filter(({ value }) => value === 'exited');
  return [...ratesOf(samples.filter(isKnown)), ...ends].sort((a, b) => a.time - b.time);
}
