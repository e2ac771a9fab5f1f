import type { Forecast } from '../core/forecast.ts';
import { seriesKey } from '../core/series.ts';
import type { Reads, SeriesFilter } from '../core/store.ts';

/** A forecast older than so many steps says nothing of now. */
const freshSteps = 2.5;

/** The newest forecast of each series at `at`, as far as it is still of any use. */
export async function newestForecasts(
  store: Reads<[]>,
  at: number,
  stepMs: number,
  filter: SeriesFilter = {},
): Promise<Forecast[]> {
  const kept = await store.forecasts({ from: at - freshSteps * stepMs, to: at, ...filter });
  return [...new Map(kept.map((forecast) => [seriesKey(forecast.series), forecast])).values()];
}
