import type { Forecast } from '../core/forecast.ts';
import { isKnown, type Point } from '../core/sample.ts';
import type { Series } from '../core/series.ts';
import type { Reads } from '../core/store.ts';
import type { NewSeries } from './forecast-pool.ts';
import { regularPast } from './regular-past.ts';
import { horizonSteps, pastSteps } from './steps.ts';

/** A series that is held to a threshold. */
export interface Followed {
  series: Series;
  /** What a stored value is divided by to be in the unit of the threshold. */
  factor: number;
  threshold: number;
}

/** What a pool starts with: the past before the step that ends at `end`, and what was said of it. */
export async function newSeries(
  reads: Reads<[]>,
  group: readonly Followed[],
  end: number,
  stepMs: number,
): Promise<NewSeries[]> {
  const window = { from: end - (pastSteps + 1) * stepMs - 1, to: end - stepMs - 1 };
  const means = await reads.select({ ...window, series: group.map(({ series }) => series), stepMs });
  return Promise.all(
    group.map(async (followed, index) => {
      const { series } = followed;
      const record = await reads.forecasts({ from: window.from, to: end - stepMs, series });
      return withPast(followed, means[index]?.samples.filter(isKnown) ?? [], record, end, stepMs);
    }),
  );
}

function withPast(
  { series, factor, threshold }: Followed,
  points: readonly Point[],
  record: readonly Forecast[],
  end: number,
  stepMs: number,
): NewSeries {
  const past = regularPast(points, end - stepMs, stepMs).map((value) => value / factor);
  const shape = { threshold, horizonSteps, stepSeconds: stepMs / 1000 };
  // An AMBER goes on over a restart of the server, but not over a long one.
  const last = record.at(-1);
  const isGoingOn = last !== undefined && last.time >= end - 3 * stepMs;
  return { series, shape, past, record, isGoingOn };
}
