import { parentPort } from 'node:worker_threads';
import type { Forecast } from '../core/forecast.ts';
import { ForecastPool, type NewSeries, type StepValue } from './forecast-pool.ts';

/** The thread in which the pool lives: replaying a day of a series takes a tenth of a second. */

export type PoolCall =
  | { id: number; add: readonly NewSeries[] }
  | { id: number; remove: readonly string[] }
  | { id: number; time: number; values: readonly StepValue[] };

export interface PoolAnswer {
  id: number;
  forecasts: Forecast[];
  /** Processor time the call took, milliseconds. */
  busyMs: number;
}

const pool = new ForecastPool();

function answer(call: PoolCall): Forecast[] {
  if ('values' in call) return pool.step(call.time, call.values);
  if ('add' in call) for (const series of call.add) pool.add(series);
  else for (const key of call.remove) pool.remove(key);
  return [];
}

parentPort?.on('message', (call: PoolCall) => {
  const start = performance.now();
  const forecasts = answer(call);
  parentPort?.postMessage({ id: call.id, forecasts, busyMs: performance.now() - start } satisfies PoolAnswer);
});
