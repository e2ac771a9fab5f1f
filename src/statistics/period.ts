import { fourier } from './fourier.ts';
import type { Recent } from './recent.ts';

/** How long a series takes to look like itself again; 0 steps: no such length found. */
export interface Period {
  steps: number;
  /** Autocorrelation at that lag. */
  correlation: number;
}

const none: Period = { steps: 0, correlation: 0 };
const leastPoints = 40;
const leastLag = 5;
const leastCorrelation = 0.3;
const nearlyHighest = 0.9;
const window = 2016;
/** The search costs several times a step's other work, and periods do not come and go: least of all in a long series. */
const everySteps = 25;
const long = { points: 500, everySteps: 50 };

/** Searches the newest values for their period now and then. */
export class PeriodFinder {
  #found = none;

  next(values: Recent): Period {
    const at = values.length - 1;
    const every = values.length > long.points ? long.everySteps : everySteps;
    if (at >= 60 && (at - 60) % every === 0) {
      const from = values.from(values.length - window) - values.offset;
      this.#found = findPeriod(values.buffer.subarray(from, values.length - values.offset));
    }
    return this.#found;
  }
}

/**
 * The shortest lag, beyond the first fall of the autocorrelation, at which it peaks nearly as high as anywhere: two
 * periods are as good a lag as one. At most a 2.2th of the values.
 */
export function findPeriod(values: Float32Array | Float64Array): Period {
  if (values.length < leastPoints) return none;
  const correlation = pairwiseAutocorrelation(values, Math.floor(values.length / 2.2));
  if (!correlation) return none;
  const fall = correlation.findIndex((value) => value < 0.1);
  if (fall < 0) return none;
  const at = (lag: number) => correlation[lag] ?? Number.NEGATIVE_INFINITY;
  const first = Math.max(leastLag, fall);
  let highest = Number.NEGATIVE_INFINITY;
  for (let lag = first; lag < correlation.length; lag++) highest = Math.max(highest, at(lag));
  if (highest < leastCorrelation) return none;
  for (let lag = first; lag < correlation.length; lag++) {
    const isPeak = at(lag) >= at(lag - 1) && at(lag) >= at(lag + 1);
    if (isPeak && at(lag) >= nearlyHighest * highest) return { steps: lag, correlation: at(lag) };
  }
  return none;
}

/**
 * Autocorrelation at lags 0 to `lags` - 1, each divided by how many pairs it has: not drawn to 0 at long lags, and
 * there also below -1 and above 1. Null for a constant series.
 */
function pairwiseAutocorrelation(values: Float32Array | Float64Array, lags: number): Float64Array | null {
  const { length } = values;
  return autocorrelation(values, lags)?.map((value, lag) => value * (length / (length - lag))) ?? null;
}

/**
 * Autocorrelation at lags 0 to `lags` - 1 by way of the power spectrum, each divided by the number of all values, as
 * statistics packages give it: between -1 and 1. Null for a constant series.
 */
export function autocorrelation(values: Float32Array | Float64Array, lags: number): Float64Array | null {
  const count = values.length;
  let mean = 0;
  for (const value of values) mean += value / count;
  const size = 2 ** Math.ceil(Math.log2(2 * count));
  const real = new Float64Array(size);
  const imaginary = new Float64Array(size);
  for (let k = 0; k < count; k++) real[k] = (values[k] as number) - mean;
  fourier(real, imaginary);
  for (let k = 0; k < size; k++) {
    real[k] = (real[k] as number) ** 2 + (imaginary[k] as number) ** 2;
    imaginary[k] = 0;
  }
  fourier(real, imaginary);
  const variance = real[0] as number;
  if (variance / size / count < 1e-9) return null;
  return Float64Array.from({ length: lags }, (_, lag) => (real[lag] as number) / variance);
}
