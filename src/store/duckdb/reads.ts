import type { StretchQuery } from '../../core/sample.ts';
import type { Selector } from '../../core/selector.ts';
import type { ForecastQuery, MeanQuery, PageQuery, Reading, Reads, SelectQuery, TimeWindow } from '../../core/store.ts';
import type { RowsWanted, SnapshotKey } from '../../core/usage-row.ts';
import { ForecastReads } from './forecast-reads.ts';
import { type Dictionaries, IdLookup } from './id-lookup.ts';
import { SeriesReads } from './series-reads.ts';
import { SourceReads } from './source-reads.ts';
import { UsageReads } from './usage-reads.ts';

/** What can be asked of the database. */
export class DuckdbReads implements Reads {
  readonly #usage: UsageReads;
  readonly #series: SeriesReads;
  readonly #forecasts: ForecastReads;

  constructor(dictionaries: Dictionaries) {
    const lookup = new IdLookup(dictionaries);
    this.#usage = new UsageReads(lookup);
    this.#series = new SeriesReads(lookup, new SourceReads(lookup));
    this.#forecasts = new ForecastReads(lookup);
  }

  latest(at: number, reading?: Reading) {
    return this.#usage.latest(at, reading);
  }

  rows(snapshots: readonly SnapshotKey[], wanted?: RowsWanted, reading?: Reading) {
    return this.#usage.rows(snapshots, wanted, reading);
  }

  means(query: MeanQuery, reading?: Reading) {
    return this.#usage.means(query, reading);
  }

  page(query: PageQuery, reading?: Reading) {
    return this.#usage.page(query, reading);
  }

  select(query: SelectQuery, reading?: Reading) {
    return this.#series.select(query, reading);
  }

  above(selector: Selector, level: number, window: TimeWindow, reading?: Reading) {
    return this.#series.above(selector, level, window, reading);
  }

  stretches(queries: readonly StretchQuery[], window: TimeWindow, reading?: Reading) {
    return this.#series.stretches(queries, window, reading);
  }

  forecasts(query: ForecastQuery, reading?: Reading) {
    return this.#forecasts.forecasts(query, reading);
  }

  tallies(query: ForecastQuery, reading?: Reading) {
    return this.#forecasts.tallies(query, reading);
  }
}
