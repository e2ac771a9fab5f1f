import type { Forecast } from '../../core/forecast.ts';
import { seriesKey } from '../../core/series.ts';
import type { ForecastQuery, Reading } from '../../core/store.ts';
import { addTallies, type HourTally } from '../../core/tally.ts';
import { groupBy } from '../../platform/group-by.ts';
import { filterTest } from '../series-filter.ts';
import type { Row } from './connection.ts';
import type { Queries } from './queries.ts';
import { during, isOneOf, literal } from './sql-text.ts';

/** Forecasts, and how right they were. */
export class ForecastReads {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  async forecasts(query: ForecastQuery, reading: Reading = {}): Promise<Forecast[]> {
    const fits = filterTest(query);
    return (await this.#bodies('forecast', query, reading))
      .map((body) => JSON.parse(body) as Forecast)
      .filter(({ series }) => fits(series));
  }

  async tallies(query: ForecastQuery, reading: Reading = {}): Promise<HourTally[]> {
    const fits = filterTest(query);
    const hours = (await this.#bodies('accuracy', query, reading))
      .map((body) => JSON.parse(body) as HourTally)
      .filter(({ series }) => fits(series));
    return [...groupBy(hours, ({ series }) => seriesKey(series)).values()].map((own) => ({
      ...(own.at(-1) as HourTally),
      tally: addTallies(own.map(({ tally }) => tally)),
    }));
  }

  /** Oldest first: of all that may fit. */
  async #bodies(table: string, query: ForecastQuery, reading: Reading): Promise<string[]> {
    const sql = `SELECT body FROM ${table} FINAL WHERE ${conditionOf(query)} ORDER BY time`;
    return (await this.#queries.all(sql, reading, query)).map(({ body }: Row) => String(body));
  }
}

function conditionOf({ series, metrics, matchers = [], ...window }: ForecastQuery): string {
  const host = matchers.find(({ label, operator }) => label === 'host' && operator === '=');
  const conditions = [
    during(window),
    series === undefined ? '' : `series = ${literal(seriesKey(series))}`,
    metrics === undefined ? '' : isOneOf('metric', metrics),
    host === undefined ? '' : `host = ${literal(host.value)}`,
  ];
  return conditions.filter(Boolean).join(' AND ');
}
