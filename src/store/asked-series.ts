import { mostNamed } from '../core/answer-bounds.ts';
import { isKnown, type Sample } from '../core/sample.ts';
import type { Selector } from '../core/selector.ts';
import { familyOf, type Series, seriesKey } from '../core/series.ts';
import type { Reading, Selected, SelectQuery, TimeWindow } from '../core/store.ts';
import { type StoredPoint, withExits } from './samples.ts';
import { filterTest, fitting, selectedOf, toldOfAsked } from './series-filter.ts';

/** Counters whose rates are looked at for whether they are above a level. */
const mostCounters = 2000;

/** What an engine that is asked over a network tells of series; each by key. */
export interface SeriesParts {
  /** Of hosts or their processes those of the selector's name in the window, and more than it may want. */
  present(selector: Selector, window: TimeWindow, reading: Reading): Promise<Series[]>;
  /** Of hosts and processes, as samples or in steps; a value may be unknown. */
  points(series: readonly Series[], query: SelectQuery, reading: Reading): Promise<Map<string, StoredPoint[]>>;
  /** When each host has sent a snapshot, oldest first. */
  sweeps(hosts: readonly string[], window: TimeWindow, reading: Reading): Promise<Map<string, number[]>>;
}

/** The same of other sources. */
export interface SourceParts {
  present(metric: string, window: TimeWindow, reading: Reading): Promise<Series[]>;
  toldOf(series: readonly Series[], query: SelectQuery, reading: Reading): Promise<Map<string, Sample[]>>;
}

/** As `Reads.select` says. */
export function selectAsked(
  parts: SeriesParts,
  sources: SourceParts,
  query: SelectQuery,
  reading: Reading,
): Promise<Selected[]> {
  return toldOfAsked(
    query,
    reading.signal,
    async ({ ours, others }) =>
      new Map([...(await sources.toldOf(others, query, reading)), ...(await samplesOf(parts, ours, query, reading))]),
    (selector) => named(parts, sources, selector, query, reading),
  );
}

/** The series in the window that a selector names. */
async function named(
  parts: SeriesParts,
  sources: SourceParts,
  selector: Selector,
  query: SelectQuery,
  reading: Reading,
): Promise<Series[]> {
  const isOfOthers = familyOf(selector.metric).family === 'metric';
  const present = isOfOthers
    ? await sources.present(selector.metric, query, reading)
    : await parts.present(selector, query, reading);
  return selectedOf(selector, present, query, reading.signal);
}

/** By key; raw ones of a process with when it was not in a snapshot. */
async function samplesOf(
  parts: SeriesParts,
  series: readonly Series[],
  query: SelectQuery,
  reading: Reading,
): Promise<Map<string, Sample[]>> {
  const points = await parts.points(series, query, reading);
  if (query.stepMs !== null) return new Map([...points].map(([key, found]) => [key, found.filter(isKnown)]));
  const processes = series.filter(({ labels }) => labels.process !== undefined);
  const hosts = new Set(processes.map(({ labels }) => labels.host ?? ''));
  const sweeps = await parts.sweeps([...hosts], query, reading);
  const samples = new Map<string, Sample[]>(points);
  for (const each of processes) {
    const key = seriesKey(each);
    samples.set(key, withExits(points.get(key) ?? [], sweeps.get(each.labels.host ?? '') ?? []));
  }
  return samples;
}

/** A series of another source, with its highest value in the window. */
export interface Peak {
  series: Series;
  kind: string;
  /** Null: it has ended, and nothing else. */
  value: number | null;
}

/** As `Reads.above` says, of other sources: gauges by their peaks, counters by their rates. */
export async function sourcesAbove(
  sources: SourceParts,
  peaks: readonly Peak[],
  { matchers }: Selector,
  level: number,
  window: TimeWindow,
  reading: Reading,
): Promise<Series[]> {
  const fits = filterTest({ matchers });
  const gauges = peaks.filter(({ kind, value }) => kind !== 'counter' && value !== null && value > level);
  const counters = peaks.filter(({ kind }) => kind === 'counter').map(({ series }) => series);
  const first = gauges.slice(0, mostNamed).map(({ series }) => series);
  const above = await fitting(fits, first, reading.signal);
  const growing = [...(await fitting(fits, counters, reading.signal)).values()].slice(0, mostCounters);
  const rates = await sources.toldOf(growing, { ...window, series: growing, stepMs: null }, reading);
  for (const series of growing) {
    const samples = rates.get(seriesKey(series)) ?? [];
    if (samples.some((sample) => isKnown(sample) && sample.value > level)) above.set(seriesKey(series), series);
  }
  return [...above.values()];
}
