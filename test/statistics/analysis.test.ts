import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { analyse, decompose, dickeyFuller, type Stationarity } from '../../src/statistics/analysis.ts';
import { autocorrelation } from '../../src/statistics/period.ts';

interface Vector {
  name: string;
  values: number[];
  statistic: number;
  pValue: number;
  lags: number;
  critical: Record<string, number>;
  autocorrelation: number[];
  decomposition: {
    period: number;
    trend: (number | null)[];
    seasonal: number[];
    residual: (number | null)[];
  } | null;
}
const path = new URL('../forecast/statsmodels-vectors.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(path, 'utf8')) as { vectors: Vector[] };

const close = (found: (number | null)[], expected: (number | null)[]) => {
  expect(found).toHaveLength(expected.length);
  for (const [k, value] of expected.entries()) {
    if (value === null) expect(found[k]).toBeNull();
    else expect(found[k]).toBeCloseTo(value, 5);
  }
};

describe.each(vectors)('the figures of statsmodels: $name', ({ values, autocorrelation: expected, ...vector }) => {
  const series = Float64Array.from(values);

  test('autocorrelation', () => close([...(autocorrelation(series, expected.length) ?? [])], expected));

  test('augmented Dickey-Fuller', () => {
    const found = dickeyFuller(series) as Stationarity;
    expect(found.lags).toBe(vector.lags);
    expect(found.statistic).toBeCloseTo(vector.statistic, 6);
    expect(found.pValue).toBeCloseTo(vector.pValue, 6);
    for (const [level, value] of Object.entries(found.critical))
      expect(value).toBeCloseTo(vector.critical[level] as number, 6);
  });
});

const seasonal = vectors.filter(({ decomposition }) => decomposition !== null);
test.each(seasonal)('the decomposition of statsmodels: $name', ({ values, decomposition: expected }) => {
  const found = decompose(Float64Array.from(values), expected?.period ?? 0);
  for (const part of ['trend', 'seasonal', 'residual'] as const) close(found?.[part] ?? [], expected?.[part] ?? []);
});

test('autocorrelation lies between -1 and 1, at every lag of any series', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 3, maxLength: 300 }),
      (values) => {
        const found = autocorrelation(Float64Array.from(values), values.length) ?? [];
        for (const value of found) expect(Math.abs(value)).toBeLessThanOrEqual(1 + 1e-9);
      },
    ),
    { numRuns: 300 },
  );
  // That of the period found, too.
  for (const length of [200, 500]) {
    const wave = Float64Array.from({ length }, (_, k) => Math.sin((2 * Math.PI * k) / (length / 3)) * (1 + k / length));
    expect(Math.abs(analyse(wave).period?.correlation ?? 0)).toBeLessThanOrEqual(1);
  }
  // One that fell below -1 when it was divided by the number of pairs.
  const saw = Float64Array.from({ length: 60 }, (_, k) => k % 20);
  expect(Math.min(...(autocorrelation(saw, 60) ?? []))).toBeGreaterThanOrEqual(-1);
});

test('finds the period', () => {
  const period = (name: string) =>
    analyse(Float64Array.from(vectors.find((v) => v.name === name)?.values ?? [])).period?.steps;
  expect(period('daily wave of 24 steps')).toBe(24);
  expect(period('noise around a level')).toBeUndefined();
});

test('a constant series and a short one have nothing to say', () => {
  const nothing = { stationarity: null, period: null, decomposition: null };
  expect(analyse(new Float64Array(100).fill(50))).toMatchObject(nothing);
  expect(analyse(new Float64Array(0))).toMatchObject({ ...nothing, autocorrelation: [] });
  expect(analyse(Float64Array.of(1, 2))).toMatchObject(nothing);
});

test.each([
  ['a straight line', (k: number) => k],
  ['two values in turn', (k: number) => k % 2],
  ['one step at the end', (k: number) => (k === 98 ? 1 : 0)],
])('%s has figures that are numbers', (_name, value) => {
  const { stationarity, autocorrelation: correlation } = analyse(Float64Array.from({ length: 99 }, (_, k) => value(k)));
  for (const figure of [...correlation, stationarity?.statistic ?? 0, stationarity?.pValue ?? 0])
    expect(Number.isFinite(figure)).toBe(true);
});
