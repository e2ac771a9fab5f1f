import { expect, test } from 'vitest';
import { forecastPath } from '../../src/forecast/path-forecast.ts';
import { leak, random, regularPeak } from './synthetic-series.ts';

const steps = 10;

/** Of a walk with noise, every seventh place of it: how many of the next steps lie within the band, and the errors. */
function judge(values: Float64Array) {
  let [within, count, error, naive] = [0, 0, 0, 0];
  for (let at = 400; at + steps < values.length; at += 7) {
    const { expected, low, high } = forecastPath(values.subarray(0, at), steps);
    for (let k = 0; k < steps; k++) {
      const value = values[at + k] as number;
      count++;
      if (value >= (low[k] as number) && value <= (high[k] as number)) within++;
      error += Math.abs(value - (expected[k] as number));
      naive += Math.abs(value - (values[at - 1] as number));
    }
  }
  return { share: within / count, error: error / naive };
}

test.each([
  ['noise around a level', (next: () => number) => Array.from({ length: 900 }, () => 40 + 10 * next()), 0.9],
  ['a peak every 97 minutes', () => regularPeak(900, 97), 0.6],
  [
    'a walk',
    (next: () => number) => {
      let value = 50;
      return Array.from({ length: 900 }, () => (value += next() - 0.5));
    },
    1.2,
  ],
])('%s: eight in ten values lie in the band, and what is expected beats the last value', (_, make, most) => {
  const { share, error } = judge(Float64Array.from(make(random(4)) as number[]));
  expect(share).toBeGreaterThan(0.7);
  expect(share).toBeLessThan(0.9);
  expect(error).toBeLessThan(most);
});

test('a leak goes on rising', () => {
  const values = Float64Array.from(leak(190, 400) as number[]);
  const { expected, low, high } = forecastPath(values, steps);
  const slope = ((expected[9] as number) - (expected[0] as number)) / 9;
  expect(slope).toBeGreaterThan(0.1);
  expect(slope).toBeLessThan(0.23);
  for (let k = 0; k < steps; k++) {
    expect(low[k]).toBeLessThanOrEqual(expected[k] as number);
    expect(high[k]).toBeGreaterThanOrEqual(expected[k] as number);
  }
});

test('a constant stays as it is', () => {
  const { expected, low, high } = forecastPath(new Float64Array(60).fill(7), 3);
  expect([expected, low, high]).toEqual([
    [7, 7, 7],
    [7, 7, 7],
    [7, 7, 7],
  ]);
});
