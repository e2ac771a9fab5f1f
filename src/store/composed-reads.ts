import type { Selector } from '../core/selector.ts';
import type { StatisticsQuery } from '../core/statistics.ts';
import type { ForecastQuery, MeanQuery, PageQuery, Reading, Reads, SelectQuery, TimeWindow } from '../core/store.ts';
import type { RowsWanted, SnapshotKey } from '../core/usage-row.ts';

/** The reads of an engine, by what they are about. */
export interface ReadParts {
  headers: Pick<Reads, 'latest' | 'headers'>;
  usage: Pick<Reads, 'rows' | 'means' | 'resolution' | 'page'>;
  series: Pick<Reads, 'select' | 'above'>;
  sources: Pick<Reads, 'samples'>;
  statistics: Pick<Reads, 'statistics'>;
  forecasts: Pick<Reads, 'forecasts' | 'tallies'>;
}

/** All of them as one port. */
export class ComposedReads implements Reads {
  readonly #parts: ReadParts;

  constructor(parts: ReadParts) {
    this.#parts = parts;
  }

  latest(at: number, reading?: Reading) {
    return this.#parts.headers.latest(at, reading);
  }

  headers(window: TimeWindow, reading?: Reading) {
    return this.#parts.headers.headers(window, reading);
  }

  samples(window: TimeWindow, reading?: Reading) {
    return this.#parts.sources.samples(window, reading);
  }

  rows(snapshots: readonly SnapshotKey[], wanted?: RowsWanted, reading?: Reading) {
    return this.#parts.usage.rows(snapshots, wanted, reading);
  }

  means(query: MeanQuery, reading?: Reading) {
    return this.#parts.usage.means(query, reading);
  }

  resolution(window: TimeWindow, stepMs?: number, reading?: Reading) {
    return this.#parts.usage.resolution(window, stepMs, reading);
  }

  page(query: PageQuery, reading?: Reading) {
    return this.#parts.usage.page(query, reading);
  }

  select(query: SelectQuery, reading?: Reading) {
    return this.#parts.series.select(query, reading);
  }

  statistics(query: StatisticsQuery, reading?: Reading) {
    return this.#parts.statistics.statistics(query, reading);
  }

  above(selector: Selector, level: number, window: TimeWindow, reading?: Reading) {
    return this.#parts.series.above(selector, level, window, reading);
  }

  forecasts(query: ForecastQuery, reading?: Reading) {
    return this.#parts.forecasts.forecasts(query, reading);
  }

  tallies(query: ForecastQuery, reading?: Reading) {
    return this.#parts.forecasts.tallies(query, reading);
  }
}
