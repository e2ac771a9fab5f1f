import { VARCHAR } from '@duckdb/node-api';
import { mostNamed } from '../../core/answer-bounds.ts';
import { MonitorError } from '../../core/error.ts';
import { exactValue } from '../../core/label-test.ts';
import type { MetricSample, Sample, StretchQuery } from '../../core/sample.ts';
import { parseSeries, type Selector } from '../../core/selector.ts';
import { type Series, seriesKey } from '../../core/series.ts';
import type { Reading, SelectQuery, TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import { bySource } from '../series-filter.ts';
import { decoded } from './encoded-text.ts';
import type { IdLookup } from './id-lookup.ts';
import type { Cost } from './readers.ts';
import type { SourceIds } from './source-sql.ts';
import {
  rawSamplesSql,
  sourceAboveSql,
  sourceSamplesSql,
  sourceSeriesSql,
  sourceStepsSql,
  sourcesSql,
} from './source-sql.ts';
import type { StretchIds } from './stretch-sql.ts';

/** A longer window is a heavy question of other sources' samples. */
const heavyMs = 6 * 3_600_000;

/** Samples of other sources than hosts, and their series. */
export class SourceReads {
  readonly #lookup: IdLookup;

  constructor(lookup: IdLookup) {
    this.#lookup = lookup;
  }

  /** Of those of these series that are of other sources, by key. */
  async toldOf(series: readonly Series[], query: SelectQuery, reading: Reading): Promise<Map<string, Sample[]>> {
    const { ids, kinds } = await this.#idsOf(series, reading);
    if (ids.size === 0) return new Map();
    const { stepMs, aggregate } = query;
    const sql = stepMs === null ? sourceSamplesSql(kinds, query) : sourceStepsSql(kinds, query, stepMs, aggregate);
    const rows = await this.#lookup.readers.query(sql, sourceCost(query, reading));
    const bySeries = groupBy(rows, (row) => row.series as number);
    const samples = (id: number) =>
      (bySeries.get(id) ?? []).map(
        (row): Sample => ({ time: row.time as number, value: (row.value as number | null) ?? 'exited' }),
      );
    return new Map([...ids].map(([key, id]) => [key, samples(id)]));
  }

  /** Those of which the series cannot be read any more are left out. */
  async samples(window: TimeWindow, reading: Reading = {}): Promise<MetricSample[]> {
    const { readers, series } = this.#lookup;
    const cost = sourceCost(window, reading);
    const rows = await readers.query(rawSamplesSql(window), cost);
    const ids = [...new Set(rows.map((row) => row.series as number))];
    const textOf = await series.of(ids, cost);
    const about = new Map(
      (ids.length === 0 ? [] : await readers.query(sourcesSql(ids), cost)).map((row) => [row.id as number, row]),
    );
    const keys = new Map(ids.map((id) => [id, parseSeries(textOf(id))]));
    return rows.flatMap(({ series: id, time, value }): MetricSample[] => {
      const [key, row] = [keys.get(id as number) ?? null, about.get(id as number)];
      if (key === null || row === undefined) return [];
      const kind = row.kind === 'counter' ? 'counter' : 'gauge';
      const told = Number.isNaN(value) ? 'exited' : (value as number);
      return [{ series: key, kind, owner: decoded(row.owner), time: time as number, value: told }];
    });
  }

  /** Of those that are of other sources and stored: the ids by key, and all ids by kind. */
  async #idsOf(
    series: readonly Series[],
    reading: Reading,
  ): Promise<{ ids: Map<string, number>; kinds: { gauge: number[]; counter: number[] } }> {
    const keys = bySource(series).others.map(seriesKey);
    const ids = keys.length === 0 ? new Map<string, number>() : await this.#lookup.series.findAll(keys, reading);
    const kinds = { gauge: [] as number[], counter: [] as number[] };
    if (ids.size === 0) return { ids, kinds };
    const sql = `SELECT id, kind FROM series WHERE id IN (${[...ids.values()].join(', ')})`;
    for (const { id, kind } of await this.#lookup.readers.query(sql, reading))
      kinds[kind === 'counter' ? 'counter' : 'gauge'].push(id as number);
    return { ids, kinds };
  }

  /** The series in the window of the selector's name, and of its host where it names one. */
  async present({ metric, matchers }: Selector, window: TimeWindow, cost: Cost): Promise<Series[]> {
    const host = exactValue(matchers, 'host');
    const bound = host === undefined ? undefined : { value: host, type: VARCHAR };
    const sql = sourceSeriesSql(metric, window, host !== undefined);
    const rows = await this.#lookup.readers.query(sql, sourceCost(window, cost), bound);
    if (rows.length > mostNamed)
      throw new MonitorError(
        'invalid',
        `there are more than ${mostNamed} series of ${metric} in the window; name their host (host="web-01"), or ask for a shorter one`,
      );
    return this.#lookup.seriesOf(rows, cost);
  }

  async above(metric: string, level: number, window: TimeWindow, reading: Reading): Promise<Series[]> {
    const rows = await this.#lookup.readers.query(sourceAboveSql(metric, level, window), sourceCost(window, reading));
    return this.#lookup.seriesOf(rows, reading);
  }

  /** Of those that are about other sources; the id of a series stands in the place of a host's. */
  async stretchIds(
    queries: readonly StretchQuery[],
    reading: Reading,
  ): Promise<{ kinds: SourceIds; group: StretchIds[] }> {
    const { ids, kinds } = await this.#idsOf(
      queries.map(({ series }) => series),
      reading,
    );
    const group = queries.flatMap(({ series, ...levels }, index): StretchIds[] => {
      const id = ids.get(seriesKey(series));
      return id === undefined ? [] : [{ ...levels, index, host: id, name: null }];
    });
    return { kinds, group };
  }
}

/** About what samples of other sources cost: nobody counts them. */
export function sourceCost({ from, to }: TimeWindow, reading: Reading): Cost {
  return { ...reading, ...(to - from > heavyMs && { rows: Number.MAX_SAFE_INTEGER }) };
}
