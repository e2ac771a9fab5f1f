import { mostNamed } from '../../core/answer-bounds.ts';
import { isKnown, type Sample } from '../../core/sample.ts';
import { parseSeries, type Selector } from '../../core/selector.ts';
import { type Series, seriesKey } from '../../core/series.ts';
import type { Reading, SelectQuery, TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import { counterReachMs, filterTest, fitting, inSteps, toldOf } from '../series-filter.ts';
import type { Row } from './connection.ts';
import { decodeName } from './name-codec.ts';
import { type Queries, seriesPerQuery } from './queries.ts';
import { sourceSamplesStatement, sourceSeriesStatement, sourceStepsStatement } from './statements.ts';

/** Counters whose rates are looked at for whether they are above a level. */
const mostCounters = 2000;

/** Samples of other sources than hosts, and their series. */
export class SourceReads {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** The series of a name in the window. */
  async present(metric: string, window: TimeWindow, reading: Reading): Promise<Series[]> {
    const [rows = []] = await this.#queries.all([sourceSeriesStatement(metric, window)], reading, window);
    return rows.flatMap(sourcesOfRow);
  }

  /** Of other sources, by key: gauges as they are or in steps, counters by their rates. */
  async samples(series: readonly Series[], query: SelectQuery, reading: Reading): Promise<Map<string, Sample[]>> {
    const { stepMs, aggregate = 'mean' } = query;
    const samples = new Map<string, Sample[]>();
    const before = { from: query.from - counterReachMs, to: query.to };
    const add = (key: string, found: readonly Sample[]) => samples.set(key, [...(samples.get(key) ?? []), ...found]);
    for (let at = 0; at < series.length; at += seriesPerQuery) {
      const keys = series.slice(at, at + seriesPerQuery).map(seriesKey);
      const gauges =
        stepMs === null
          ? sourceSamplesStatement(keys, 'gauge', query)
          : sourceStepsStatement(keys, query, stepMs, aggregate);
      const statements = [gauges, sourceSamplesStatement(keys, 'counter', before)];
      const [ofGauges = [], ofCounters = []] = await this.#queries.all(statements, reading, before);
      for (const [key, found] of samplesByKey(ofGauges)) add(key, found);
      for (const [key, found] of samplesByKey(ofCounters))
        add(key, inSteps(toldOf('counter', found, query.from), query));
    }
    return samples;
  }

  async above(selector: Selector, level: number, window: TimeWindow, reading: Reading): Promise<Series[]> {
    const fits = filterTest({ matchers: selector.matchers });
    const [rows = []] = await this.#queries.all([sourceSeriesStatement(selector.metric, window)], reading, window);
    const gauges = rows.filter((row) => row.kind !== 'counter' && Number(row.value) > level).flatMap(sourcesOfRow);
    const counters = rows.filter((row) => row.kind === 'counter').flatMap(sourcesOfRow);
    const above = await fitting(fits, gauges.slice(0, mostNamed), reading.signal);
    const growing = [...(await fitting(fits, counters, reading.signal)).values()].slice(0, mostCounters);
    const rates = await this.samples(growing, { ...window, series: growing, stepMs: null }, reading);
    for (const series of growing) {
      const samples = rates.get(seriesKey(series)) ?? [];
      if (samples.some((sample) => isKnown(sample) && sample.value > level)) above.set(seriesKey(series), series);
    }
    return [...above.values()];
  }
}

/** None where the tag is none that we have written. */
function sourcesOfRow(row: Row): Series[] {
  return [parseSeries(decodeName(String(row.series)))].filter((series) => series !== null);
}

/** Oldest first; what two owners have sent once. */
function samplesByKey(rows: readonly Row[]): Map<string, Sample[]> {
  const byKey = groupBy(rows, (row) => decodeName(String(row.series)));
  return new Map(
    [...byKey].map(([key, group]) => {
      const byTime = new Map(group.map((row) => [Number(row.time), sampleOf(row)]));
      return [key, [...byTime.values()].sort((a, b) => a.time - b.time)];
    }),
  );
}

function sampleOf({ time, value, ended }: Row): Sample {
  return { time: Number(time), value: ended === true ? 'exited' : Number(value) };
}
