import { describe, expect, test } from 'vitest';
import type { Forecast } from '../../src/core/forecast.ts';
import { processSeries, seriesKey } from '../../src/core/series.ts';
import { ForecastPool } from '../../src/forecast/forecast-pool.ts';
import { makeForecast } from '../make-forecast.ts';
import { noon } from '../make-snapshot.ts';
import * as synthetic from './synthetic-series.ts';

const minute = 60_000;
const subject = { series: processSeries('memoryMax', 'web-01', 'leaky') };
const key = seriesKey(subject.series);
const shape = { threshold: 80, horizonSteps: 10, stepSeconds: 60 };

/** A pool that follows one leak from its 1,200th minute on; `minutes` of it. */
function follow(minutes: number, options: { past?: number; record?: Forecast[]; isGoingOn?: boolean } = {}) {
  const { past = 1200, record = [], isGoingOn = false } = options;
  const values = synthetic.leak(past + minutes, 200) as number[];
  const pool = new ForecastPool();
  pool.add({ ...subject, shape, past: Float64Array.from(values.slice(0, past)), record, isGoingOn });
  return values.slice(past).map((value, k) => pool.step(noon + k * minute, [{ key, value }])[0] as Forecast);
}

describe('a leak that is followed', () => {
  const said = follow(210);
  const breach = said.findIndex(({ value }) => value > 80);
  const first = said.findIndex(({ amberSince }) => amberSince !== null);

  test('goes AMBER before it breaches, with all there is to say', () => {
    expect(breach - first).toBeGreaterThanOrEqual(4);
    expect(said[first]).toMatchObject({ ...subject, amberSince: noon + first * minute, threshold: 80, isMuted: false });
    expect(said[first]?.reason).toMatch(/reaches 80\.0 %/);
    expect(said[first]?.etaSeconds).toBeGreaterThan(0);
  });

  test('is AMBER since the same time until the breach, and while it lasts', () => {
    expect(said.slice(first, breach + 5).every(({ amberSince }) => amberSince === noon + first * minute)).toBe(true);
    expect(said[breach]).toMatchObject({ probability: null, reason: '', etaSeconds: null });
  });

  test('is no longer once the process was restarted', () => {
    expect(said.at(-1)).toMatchObject({ amberSince: null, notifySince: null });
  });
});

test('the same past gives the same forecasts: a restart changes nothing but the present AMBER', () => {
  const before = follow(150);
  const after = follow(10, { past: 1200 + 140, record: before.slice(0, 140), isGoingOn: true });
  for (const [k, forecast] of after.entries())
    expect({ ...forecast, time: 0 }).toEqual({
      ...(before[140 + k] as Forecast),
      time: 0,
      amberSince: forecast.amberSince,
      notifySince: forecast.notifySince,
    });
});

test('an AMBER goes on after a restart', () => {
  const record = [makeForecast({ ...subject, time: noon - minute, amberSince: noon - 5 * minute })];
  const [goingOn] = follow(1, { past: 1200 + 148, record, isGoingOn: true });
  expect(goingOn?.amberSince).toBe(noon - 5 * minute);
});

test('a series whose record is hopeless is muted, and says so', () => {
  const record = Array.from({ length: 600 }, (_, k) =>
    makeForecast({
      ...subject,
      time: noon - (600 - k) * minute,
      value: 50,
      amberSince: noon - 600 * minute,
      probability: 0.5,
    }),
  );
  const amber = follow(200, { record }).filter(
    ({ amberSince, probability }) => amberSince !== null && probability !== null,
  );
  expect(amber.length).toBeGreaterThan(0);
  expect(amber.every(({ isMuted }) => isMuted)).toBe(true);
});

test('nothing is said of a missing value, nor of a series that was removed', () => {
  const pool = new ForecastPool();
  pool.add({ ...subject, shape, past: new Float64Array(100).fill(50), record: [], isGoingOn: false });
  expect(pool.step(noon, [])).toEqual([]);
  expect(pool.step(noon + minute, [{ key, value: 50 }])).toHaveLength(1);
  pool.remove(key);
  expect(pool.step(noon + 2 * minute, [{ key, value: 50 }])).toEqual([]);
});
