import type { MetricSample, Sample } from '../../core/sample.ts';
import { parseSeries, type Selector } from '../../core/selector.ts';
import { type Series, seriesKey } from '../../core/series.ts';
import type { Reading, SelectQuery, TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import { type Peak, type SourceParts, sourcesAbove } from '../asked-series.ts';
import { counterReachMs, inSteps, toldOf } from '../series-filter.ts';
import type { Row } from './connection.ts';
import { decodeName } from './name-codec.ts';
import { numberOf } from './points.ts';
import { type Queries, seriesPerQuery } from './queries.ts';
import {
  rawSamplesStatement,
  sourceSamplesStatement,
  sourceSeriesStatement,
  sourceStepsStatement,
} from './statements.ts';

/** Samples of other sources than hosts, and their series. */
export class SourceReads implements SourceParts {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** The series of a name in the window. */
  async present(metric: string, window: TimeWindow, reading: Reading): Promise<Series[]> {
    return (await this.#peaks(metric, window, reading)).map(({ series }) => series);
  }

  async samples(window: TimeWindow, reading: Reading = {}): Promise<MetricSample[]> {
    const [rows = []] = await this.#queries.all([rawSamplesStatement(window)], reading, window);
    return rows.flatMap((row): MetricSample[] => {
      const series = parseSeries(decodeName(String(row.series)));
      if (series === null) return [];
      const kind = row.kind === 'counter' ? 'counter' : 'gauge';
      return [{ series, kind, owner: decodeName(String(row.owner)), ...sampleOf(row) }];
    });
  }

  /** Of other sources, by key: gauges as they are or in steps, counters by their rates. */
  async toldOf(series: readonly Series[], query: SelectQuery, reading: Reading): Promise<Map<string, Sample[]>> {
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
    return sourcesAbove(this, await this.#peaks(selector.metric, window, reading), selector, level, window, reading);
  }

  async #peaks(metric: string, window: TimeWindow, reading: Reading): Promise<Peak[]> {
    const [rows = []] = await this.#queries.all([sourceSeriesStatement(metric, window)], reading, window);
    return rows.flatMap(peakOf);
  }
}

/** None where the tag is none that we have written. */
function peakOf({ series: key, kind, value }: Row): Peak[] {
  const series = parseSeries(decodeName(String(key)));
  return series === null ? [] : [{ series, kind: String(kind), value: numberOf(value) }];
}

/** Oldest first; what two owners have sent once. */
function samplesByKey(rows: readonly Row[]): Map<string, Sample[]> {
  const byKey = groupBy(rows, (row) => decodeName(String(row.series)));
  return new Map(
    [...byKey].map(([key, group]) => {
      const byTime = new Map(group.map((row): [number, Sample] => [Number(row.time), sampleOf(row)]));
      return [key, [...byTime.values()].sort((a, b) => a.time - b.time)];
    }),
  );
}

function sampleOf({ time, value, ended }: Row): { time: number; value: number | 'exited' } {
  return { time: Number(time), value: ended === true ? 'exited' : Number(value) };
}
