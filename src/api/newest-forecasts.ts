import { type Forecast, type ForecastSubject, subjectKey } from '../core/forecast.ts';
import type { Reads } from '../core/store.ts';

/** A forecast older than so many steps says nothing of now. */
const freshSteps = 2.5;

/** The newest forecast of each series at `at`, as far as it is still of any use. */
export async function newestForecasts(
  store: Reads<[]>,
  at: number,
  stepMs: number,
  subject: Partial<ForecastSubject> = {},
): Promise<Forecast[]> {
  const kept = await store.forecasts({ from: at - freshSteps * stepMs, to: at, ...subject });
  return [...new Map(kept.map((forecast) => [subjectKey(forecast), forecast])).values()];
}
