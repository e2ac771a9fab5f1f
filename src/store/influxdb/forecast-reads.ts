import { seriesKey } from '../../core/series.ts';
import type { ForecastQuery, Reading } from '../../core/store.ts';
import { addTallies, type HourTally } from '../../core/tally.ts';
import { groupBy } from '../../platform/group-by.ts';
import { filterTest } from '../series-filter.ts';
import type { Row } from './connection.ts';
import { toForecast, toTally } from './points.ts';
import type { Queries } from './queries.ts';
import { forecastsStatement, talliesStatements } from './statements.ts';

/** Forecasts, and how right they were. */
export class ForecastReads {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  async forecasts(query: ForecastQuery, reading: Reading = {}) {
    const [rows = []] = await this.#queries.all([forecastsStatement(query)], reading, query);
    const fits = filterTest(query);
    return rows.map(toForecast).filter(({ series }) => fits(series));
  }

  async tallies(query: ForecastQuery, reading: Reading = {}): Promise<HourTally[]> {
    const [sums = [], leads = [], last = []] = await this.#queries.all(talliesStatements(query), reading, query);
    const leadsOf = groupBy(leads, tagsOf);
    const lastOf = new Map(last.map((row) => [tagsOf(row), row]));
    const fits = filterTest(query);
    const found = sums
      .map((row) => toTally(row, leadsOf.get(tagsOf(row)) ?? [], lastOf.get(tagsOf(row))))
      .filter(({ series }) => fits(series));
    // One that was called otherwise up to 0.3.0 comes in two parts.
    return [...groupBy(found, ({ series }) => seriesKey(series)).values()].map((parts) => ({
      ...(parts.toSorted((a, b) => a.time - b.time).at(-1) as HourTally),
      tally: addTallies(parts.map(({ tally }) => tally)),
    }));
  }
}

/** The same of rows that are about one series. */
function tagsOf({ host, process, metric, series }: Row): string {
  return JSON.stringify([host ?? '', process ?? '', metric, series ?? '']);
}
