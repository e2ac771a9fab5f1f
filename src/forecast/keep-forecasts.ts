import type { Forecast } from '../core/forecast.ts';
import { seriesKey } from '../core/series.ts';
import type { Reads, Store } from '../core/store.ts';

/**
 * Those of a step that were not kept before a restart, or before the clock was set back: series by series, since others
 * keep theirs of the same step.
 */
export async function keepForecasts(
  store: Store,
  reads: Reads<[]>,
  forecasts: readonly Forecast[],
  end: number,
): Promise<void> {
  if (forecasts.length === 0) return;
  const kept = await reads.forecasts({ from: end - 1, to: end });
  const known = new Set(kept.map(({ series }) => seriesKey(series)));
  const fresh = forecasts.filter(({ series }) => !known.has(seriesKey(series)));
  if (fresh.length > 0) await store.append({ forecasts: fresh });
}
