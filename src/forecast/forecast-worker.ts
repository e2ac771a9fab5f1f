import type { Forecast } from '../core/forecast.ts';
import { serveCalls } from '../platform/worker-calls.ts';
import { type Analysis, analyse } from '../statistics/analysis.ts';
import { ForecastPool, type NewSeries, type StepValue } from './forecast-pool.ts';

/** The thread in which the pool lives: replaying a day of a series takes a tenth of a second. */

export type PoolCall =
  | { add: readonly NewSeries[] }
  | { remove: readonly string[] }
  | { time: number; values: readonly StepValue[] }
  | { analyse: Float64Array };

export interface PoolAnswer {
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

serveCalls((call: PoolCall): PoolAnswer => {
  const start = performance.now();
  const forecasts = answer(call);
  const analysis = 'analyse' in call ? analyse(call.analyse) : null;
  return { forecasts, analysis, busyMs: performance.now() - start };
});
