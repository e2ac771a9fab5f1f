import { parentPort } from 'node:worker_threads';
import type { Forecast } from '../core/forecast.ts';
import { type Analysis, analyse } from '../statistics/analysis.ts';
import { ForecastPool, type NewSeries, type StepValue } from './forecast-pool.ts';

/** The thread in which the pool lives: replaying a day of a series takes a tenth of a second. */

export type PoolCall =
  | { id: number; add: readonly NewSeries[] }
  | { id: number; remove: readonly string[] }
  | { id: number; time: number; values: readonly StepValue[] }
  | { id: number; analyse: Float64Array };

export interface PoolAnswer {
  id: number;
  forecasts: Forecast[];
  /** What was to be analysed. */
  analysis: Analysis | null;
  /** Processor time the call took, milliseconds. */
  busyMs: number;
}

const pool = new ForecastPool();

function answer(call: PoolCall): Forecast[] {
  if ('values' in call) return pool.step(call.time, call.values);
  if ('add' in call) for (const series of call.add) pool.add(series);
  else if ('remove' in call) for (const key of call.remove) pool.remove(key);
  return [];
}

parentPort?.on('message', (call: PoolCall) => {
  const start = performance.now();
  const forecasts = answer(call);
  const analysis = 'analyse' in call ? analyse(call.analyse) : null;
  parentPort?.postMessage({ id: call.id, forecasts, analysis, busyMs: performance.now() - start } satisfies PoolAnswer);
});
