import { parseSeries } from '../../core/selector.ts';
import type { Series } from '../../core/series.ts';
import type { ForecastQuery, Reading, TimeWindow } from '../../core/store.ts';
import { filterTest, fitting } from '../series-filter.ts';
import { forecastsSql, seriesBound, talliesSql, toForecast, toTally } from './forecast-sql.ts';
import type { IdLookup } from './id-lookup.ts';
import type { Row } from './readers.ts';

/** Forecasts, and how right they were. */
export class ForecastReads {
  readonly #lookup: IdLookup;

  constructor(lookup: IdLookup) {
    this.#lookup = lookup;
  }

  forecasts(query: ForecastQuery, reading: Reading = {}) {
    return this.#ofSeries(query, reading, forecastsSql, toForecast);
  }

  tallies(query: ForecastQuery, reading: Reading = {}) {
    return this.#ofSeries(query, reading, talliesSql, toTally);
  }

  async #ofSeries<T>(
    query: ForecastQuery,
    reading: Reading,
    sqlOf: (window: TimeWindow, filter: ForecastQuery) => string,
    toItem: (row: Row, series: Series) => T,
  ): Promise<T[]> {
    const rows = await this.#lookup.readers.query(sqlOf(query, query), reading, seriesBound(query));
    const ids = new Set(rows.map((row) => row.series as number));
    const textOf = await this.#lookup.series.of(ids, reading);
    const fits = filterTest(query);
    const known = new Map([...ids].map((id) => [id, parseSeries(textOf(id))]));
    const all = [...known.values()].filter((series) => series !== null);
    const fitted = new Set((await fitting(fits, all, reading.signal)).values());
    const wanted = new Map([...known].filter(([, series]) => series !== null && fitted.has(series)));
    return rows.flatMap((row) => {
      const series = wanted.get(row.series as number);
      return series == null ? [] : [toItem(row, series)];
    });
  }
}
