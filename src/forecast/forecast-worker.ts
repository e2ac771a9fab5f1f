import type { Forecast } from '../core/forecast.ts';
import { serveCalls } from '../platform/worker-calls.ts';
import { type Analysis, analyse } from '../statistics/analysis.ts';
import { ForecastPool, type NewSeries, type StepValue } from './forecast-pool.ts';
import { forecastPath, type PathForecast } from './path-forecast.ts';
import { type NewRangeEnd, type Passing, RangePool } from './range-pool.ts';

/** The thread in which the pool lives: replaying a day of a series takes a tenth of a second. */

export type PoolCall =
  | { add: readonly NewSeries[] }
  | { remove: readonly string[] }
  | { time: number; values: readonly StepValue[] }
  | { budgets: { add?: readonly NewSeries[]; remove?: readonly string[]; step?: BudgetStep } }
  | { analyse: Float64Array }
  | { paths: readonly Float64Array[]; steps: number }
  | { ranges: { add?: readonly NewRangeEnd[]; remove?: readonly string[]; values?: ReadonlyMap<string, number> } };

interface BudgetStep {
  time: number;
  values: readonly StepValue[];
}

export interface PoolAnswer {
  forecasts: Forecast[];
  /** What was to be analysed. */
  analysis: Analysis | null;
  /** Of each series of which that was asked. */
  paths: PathForecast[];
  /** Of the ends of ranges that have a value. */
  passings: Passing[];
  /** Processor time the call took, milliseconds. */
  busyMs: number;
}

const pool = new ForecastPool();
const rangePool = new RangePool();
/** Those of SLAs have a pool of their own: it steps when they are known. */
const budgetPool = new ForecastPool();

function answer(call: PoolCall): Forecast[] {
  if ('budgets' in call) return answerBudgets(call.budgets);
  if ('values' in call) return pool.step(call.time, call.values);
  if ('add' in call) for (const series of call.add) pool.add(series);
  else if ('remove' in call) for (const key of call.remove) pool.remove(key);
  return [];
}

function answerBudgets({ add = [], remove = [], step }: Extract<PoolCall, { budgets: object }>['budgets']): Forecast[] {
  for (const key of remove) budgetPool.remove(key);
  for (const series of add) budgetPool.add(series);
  return step === undefined ? [] : budgetPool.step(step.time, step.values);
}

function answerRanges({ add = [], remove = [], values }: Extract<PoolCall, { ranges: object }>['ranges']): Passing[] {
  for (const key of remove) rangePool.remove(key);
  for (const each of add) rangePool.add(each);
  return values === undefined ? [] : rangePool.step(values);
}

serveCalls((call: PoolCall): PoolAnswer => {
  const start = performance.now();
  const forecasts = answer(call);
  const analysis = 'analyse' in call ? analyse(call.analyse) : null;
  const passings = 'ranges' in call ? answerRanges(call.ranges) : [];
  const paths = 'paths' in call ? call.paths.map((values) => forecastPath(values, call.steps)) : [];
  return { forecasts, analysis, passings, paths, busyMs: performance.now() - start };
});
