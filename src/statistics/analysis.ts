import { autocorrelation, findPeriod } from './period.ts';

/** What a person who tunes wants to know of a series. Lags and the period are in steps. */
export interface Analysis {
  autocorrelation: number[];
  stationarity: Stationarity | null;
  period: { steps: number; correlation: number } | null;
  decomposition: Decomposition | null;
}

/** The augmented Dickey-Fuller test with a constant. */
export interface Stationarity {
  statistic: number;
  /** Of a unit root: small where the series is stationary. */
  pValue: number;
  /** Lagged differences in the regression, chosen by the least AIC. */
  lags: number;
  critical: Record<'1%' | '5%' | '10%', number>;
}

/** value = trend + seasonal + residual. Null at the ends, where the moving average has no values. */
export interface Decomposition {
  trend: (number | null)[];
  seasonal: number[];
  residual: (number | null)[];
}

const lagsShown = 200;
/** Fewer values than this are not tested. */
const leastPoints = 30;

/** Values one per step, without holes. */
export function analyse(values: Float64Array): Analysis {
  const { steps } = findPeriod(values);
  const correlation = autocorrelation(values, Math.min(Math.max(lagsShown, steps) + 1, values.length));
  return {
    autocorrelation: [...(correlation ?? [])].slice(0, lagsShown + 1),
    stationarity: correlation && values.length >= leastPoints ? dickeyFuller(values) : null,
    period: steps > 0 ? { steps, correlation: correlation?.[steps] ?? 0 } : null,
    decomposition: steps > 1 ? decompose(values, steps) : null,
  };
}

/** Classical additive decomposition by a moving average centred on each value, two periods of values at least. */
export function decompose(values: Float64Array, period: number): Decomposition | null {
  if (values.length < 2 * period) return null;
  const trend = Array.from(values, (_, at) => centredMean(values, at, period));
  const detrended = trend.map((level, at) => (level === null ? null : (values[at] as number) - level));
  const byPhase = Array.from({ length: period }, (_, phase) =>
    mean(detrended.filter((value, at): value is number => at % period === phase && value !== null)),
  );
  const offset = mean(byPhase);
  const seasonal = Array.from(values, (_, at) => (byPhase[at % period] as number) - offset);
  return {
    trend,
    seasonal,
    residual: detrended.map((value, at) => (value === null ? null : value - (seasonal[at] as number))),
  };
}

/** Over an even period the outermost two values count half. */
function centredMean(values: Float64Array, at: number, period: number): number | null {
  const reach = Math.floor(period / 2);
  if (at < reach || at + reach >= values.length) return null;
  let sum = 0;
  for (let k = -reach; k <= reach; k++) {
    const isHalf = period % 2 === 0 && Math.abs(k) === reach;
    sum += (values[at + k] as number) * (isHalf ? 0.5 : 1);
  }
  return sum / period;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Said and Dickey 1984, lags up to 12 (n / 100)^(1/4) (Schwert 1989), p-value by MacKinnon's response surface
 * (1994), critical values by his of 2010.
 */
export function dickeyFuller(values: Float64Array): Stationarity | null {
  const count = values.length;
  const mostLags = Math.min(Math.floor(count / 2) - 2, Math.ceil(12 * (count / 100) ** 0.25));
  let best = { lags: 0, aic: Number.POSITIVE_INFINITY };
  for (let lags = 0; lags <= mostLags; lags++) {
    const { aic } = regress(values, lags, mostLags);
    if (aic < best.aic) best = { lags, aic };
  }
  const { statistic, observations } = regress(values, best.lags, best.lags);
  // A straight line leaves nothing over to test.
  if (!Number.isFinite(statistic)) return null;
  return {
    statistic,
    pValue: unitRootProbability(statistic),
    lags: best.lags,
    critical: {
      '1%': polynomial([-3.43035, -6.5393, -16.786, -79.433], 1 / observations),
      '5%': polynomial([-2.86154, -2.8903, -4.234, -40.04], 1 / observations),
      '10%': polynomial([-2.56677, -1.5384, -2.809], 1 / observations),
    },
  };
}

/** Least squares of the difference on level, constant and lagged differences, from the `skip`th difference on. */
function regress(values: Float64Array, lags: number, skip: number) {
  const width = lags + 2;
  const observations = values.length - 1 - skip;
  const difference = (at: number) => (values[at + 1] as number) - (values[at] as number);
  const products = Array.from({ length: width + 1 }, () => new Float64Array(width + 1));
  const row = new Float64Array(width + 1);
  for (let at = skip; at < values.length - 1; at++) {
    row[0] = values[at] as number;
    row[1] = 1;
    for (let lag = 1; lag <= lags; lag++) row[lag + 1] = difference(at - lag);
    row[width] = difference(at);
    for (let a = 0; a <= width; a++)
      for (let b = 0; b <= a; b++)
        (products[a] as Float64Array)[b] = cell(products, a, b) + (row[a] as number) * (row[b] as number);
  }
  const { coefficients, firstInverse } = solve(products, width);
  let residual = cell(products, width, width);
  for (let k = 0; k < width; k++) residual -= (coefficients[k] as number) * cell(products, width, k);
  const variance = residual / (observations - width);
  return {
    statistic: (coefficients[0] as number) / Math.sqrt(variance * firstInverse),
    aic: observations * (Math.log((2 * Math.PI * residual) / observations) + 1) + 2 * width,
    observations,
  };
}

function cell(matrix: readonly Float64Array[], row: number, column: number): number {
  return (matrix[row] as Float64Array)[column] as number;
}

/** Cholesky on the lower triangle of products; their last row holds the right side. */
function solve(products: readonly Float64Array[], width: number): { coefficients: number[]; firstInverse: number } {
  const root = products.slice(0, width).map((row) => Float64Array.from(row));
  for (let a = 0; a < width; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = cell(root, a, b);
      for (let k = 0; k < b; k++) sum -= cell(root, a, k) * cell(root, b, k);
      (root[a] as Float64Array)[b] = a === b ? Math.sqrt(Math.max(sum, 1e-300)) : sum / cell(root, b, b);
    }
  }
  const backward = (right: (k: number) => number) => substitute(root, width, right);
  const first = backward((k) => (k === 0 ? 1 : 0));
  return { coefficients: backward((k) => cell(products, width, k)), firstInverse: first[0] as number };
}

function substitute(root: readonly Float64Array[], width: number, right: (k: number) => number): number[] {
  const half: number[] = [];
  for (let a = 0; a < width; a++) {
    let sum = right(a);
    for (let k = 0; k < a; k++) sum -= cell(root, a, k) * (half[k] as number);
    half.push(sum / cell(root, a, a));
  }
  const whole = [...half];
  for (let a = width - 1; a >= 0; a--) {
    let sum = half[a] as number;
    for (let k = a + 1; k < width; k++) sum -= cell(root, k, a) * (whole[k] as number);
    whole[a] = sum / cell(root, a, a);
  }
  return whole;
}

/** MacKinnon 1994, table 3, constant and no trend. */
function unitRootProbability(statistic: number): number {
  if (statistic > 2.74) return 1;
  if (statistic < -18.83) return 0;
  const surface = statistic <= -1.61 ? [2.1659, 1.4412, 0.038269] : [1.7339, 0.93202, -0.12745, -0.010368];
  return normalDistribution(polynomial(surface, statistic));
}

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0);
}

/** By the continued fraction of erfc and its Taylor series near 0 (Abramowitz and Stegun 26.2.10 and 26.2.14). */
function normalDistribution(x: number): number {
  const z = Math.abs(x);
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  let tail: number;
  if (z < 3) {
    let [term, sum] = [z, z];
    for (let k = 1; k < 100; k++) {
      term *= (z * z) / (2 * k + 1);
      sum += term;
    }
    tail = 0.5 - density * sum;
  } else {
    let fraction = z;
    for (let k = 60; k > 0; k--) fraction = z + k / fraction;
    tail = density / fraction;
  }
  return x > 0 ? 1 - tail : tail;
}
