import type { MetricSample, Sample } from '../../core/sample.ts';
import { parseSeries, type Selector } from '../../core/selector.ts';
import { type Series, seriesKey } from '../../core/series.ts';
import type { Reading, SelectQuery, TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import { type Peak, type SourceParts, sourcesAbove } from '../asked-series.ts';
import { counterReachMs, inSteps, toldOf } from '../series-filter.ts';
import type { Row } from './connection.ts';
import { namesPerQuery, type Queries } from './queries.ts';
import { numberOf } from './rows.ts';
import { during, isOneOf, literal } from './sql-text.ts';

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
    const sql = `SELECT series, kind, owner, time, value FROM sample FINAL WHERE ${during(window)}`;
    return (await this.#queries.all(sql, reading, window)).flatMap(({ series: key, kind, owner, time, value }) => {
      const series = parseSeries(String(key));
      if (series === null) return [];
      const [about, at] = [{ kind: kind === 'counter' ? ('counter' as const) : ('gauge' as const) }, Number(time)];
      return [{ series, ...about, owner: String(owner), time: at, value: numberOf(value) ?? ('exited' as const) }];
    });
  }

  /** By key: gauges as they are or in steps, counters by their rates. */
  async toldOf(series: readonly Series[], query: SelectQuery, reading: Reading): Promise<Map<string, Sample[]>> {
    const samples = new Map<string, Sample[]>();
    const window = { from: query.from - counterReachMs, to: query.to };
    for (const [metric, group] of groupBy(series, (each) => each.metric))
      for (let at = 0; at < group.length; at += namesPerQuery) {
        const keys = group.slice(at, at + namesPerQuery).map(seriesKey);
        const sql = `SELECT series, kind, time, value FROM sample FINAL
          WHERE ${during(window)} AND name = ${literal(metric)} AND ${isOneOf('series', keys)} ORDER BY time`;
        const rows = await this.#queries.all(sql, reading, window);
        for (const [key, own] of groupBy(rows, (row) => String(row.series))) samples.set(key, told(own, query));
      }
    return samples;
  }

  async above(selector: Selector, level: number, window: TimeWindow, reading: Reading): Promise<Series[]> {
    return sourcesAbove(this, await this.#peaks(selector.metric, window, reading), selector, level, window, reading);
  }

  async #peaks(metric: string, window: TimeWindow, reading: Reading): Promise<Peak[]> {
    const sql = `SELECT series, kind, max(value) AS peak FROM sample
      WHERE ${during(window)} AND name = ${literal(metric)} GROUP BY series, kind ORDER BY series`;
    return (await this.#queries.all(sql, reading, window)).flatMap(peakOf);
  }
}

/** None for what somebody else has written. */
function peakOf({ series: key, kind, peak }: Row): Peak[] {
  const series = parseSeries(String(key));
  return series === null ? [] : [{ series, kind: String(kind), value: numberOf(peak) }];
}

/** Of one series, by time; it may have been sent as both kinds. */
function told(rows: readonly Row[], query: SelectQuery): Sample[] {
  return [...groupBy(rows, (row) => String(row.kind))].flatMap(([kind, own]) => {
    const samples = own.map(
      ({ time, value }): Sample => ({
        time: Number(time),
        value: value === null ? 'exited' : Number(value),
      }),
    );
    return inSteps(toldOf(kind === 'counter' ? 'counter' : 'gauge', samples, query.from), query);
  });
}
