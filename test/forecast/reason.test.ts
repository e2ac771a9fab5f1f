import { describe, expect, test } from 'vitest';
import { lineThrough } from '../../src/forecast/line.ts';
import { passageOf } from '../../src/forecast/passage.ts';
import { type ReasonFacts, reasonOf } from '../../src/forecast/reason.ts';
import { SeriesForecaster } from '../../src/forecast/series-forecaster.ts';
import { Recent } from '../../src/statistics/recent.ts';

const facts = (given: Partial<ReasonFacts> = {}): ReasonFacts => ({
  metric: 'memory',
  value: 75.8,
  threshold: 80,
  stepSeconds: 60,
  slope: 0.45,
  probability: 0.6,
  horizonSeconds: 600,
  etaSeconds: 540,
  intervalSeconds: [480, 600],
  visits: { alike: 0, breached: 0 },
  cycle: null,
  ...given,
});

describe('the sentence and the time', () => {
  test('a rate leads to the time that is told', () => {
    expect(reasonOf(facts())).toBe('rising 0.45 %/min, reaches 80.0 % in about 9 min (8-10)');
  });

  test('a rate that leads elsewhere is not told', () => {
    // (80 - 75.8) / 0.45 is 9.4, and not 5.
    expect(reasonOf(facts({ etaSeconds: 300, intervalSeconds: [120, 480] }))).toBe(
      'likely over 80.0 % in about 5 min (2-8)',
    );
  });

  test('what is more likely not to come within the horizon is said as that', () => {
    expect(reasonOf(facts({ probability: 0.3 }))).toBe(
      'rising 0.45 %/min; likely not over 80.0 % within 10 min, if so in about 9 min (8-10)',
    );
    expect(reasonOf(facts({ probability: 0.3, slope: null }))).toBe(
      'likely not over 80.0 % within 10 min, if so in about 9 min (8-10)',
    );
  });

  test('on a leak, the sum of a reader, the time told and the truth are one', () => {
    for (const rate of [0.2, 0.45, 0.9]) {
      const forecaster = new SeriesForecaster({ threshold: 80, horizonSteps: 10, stepSeconds: 60 });
      const level = (k: number) => 40 + Math.max(0, k - 120) * rate + 0.05 * Math.sin(k * 7);
      let told = 0;
      for (let k = 0; level(k) <= 80; k++) {
        const probability = forecaster.next(level(k));
        let truth = 1;
        while (level(k + truth) <= 80) truth++;
        if (probability === null || probability < 0.2 || truth > 10) continue;
        const { reason, etaSeconds } = forecaster.explain('memory', probability);
        told++;
        expect(Math.abs((etaSeconds as number) / 60 - truth), reason).toBeLessThanOrEqual(1.5);
        const said = /rising (\S+) %\/min.* in about (\d+) min(?: \((\d+)-(\d+)\))?/.exec(reason);
        if (said === null) continue;
        const [, perMinute, about, low = about, high = about] = said.map(Number);
        const sum = (80 - level(k)) / (perMinute as number);
        expect(sum, reason).toBeGreaterThan((low as number) - 1.1);
        expect(sum, reason).toBeLessThan((high as number) + 1.1);
      }
      expect(told).toBeGreaterThan(3);
    }
  });
});

describe('when a breach would come', () => {
  const lineOf = (values: number[]) => {
    const recent = new Recent(values.length);
    for (const value of values) recent.push(value);
    return lineThrough(recent, values.length);
  };
  const shares = [0.1, 0.3, 0.9] as const;

  test('without a trend it is what the model says, within the horizon', () => {
    const flat = lineOf(Array.from({ length: 30 }, (_, k) => 50 + (k % 2)));
    expect(passageOf(shares, flat, 80, 10)).toEqual({ median: 3, interval: [1, 9] });
    expect(passageOf([-1, 0.5, 7], flat, 80, 10)).toEqual({ median: 5, interval: [1, 10] });
    const falling = lineOf(Array.from({ length: 30 }, (_, k) => 79 - k));
    expect(passageOf(shares, falling, 80, 10)).toEqual({ median: 3, interval: [1, 9] });
  });

  test('a clear trend says it itself', () => {
    const leak = lineOf(Array.from({ length: 30 }, (_, k) => 60 + k * 0.5));
    const { median, interval } = passageOf(shares, leak, 78, 10);
    // At 74.5 now, 7 steps from the line; it is seen at the end of the step in which it is crossed.
    expect(median).toBeCloseTo(7.5, 5);
    expect(interval[0]).toBeGreaterThan(6);
    expect(interval[1]).toBeLessThan(9);
  });

  test('the three are in order and within the horizon, whatever is given', () => {
    for (const slope of [0.01, 0.1, 1, 10])
      for (const noise of [0, 0.1, 1, 5])
        for (const threshold of [50, 60, 80, 1000]) {
          const line = lineOf(Array.from({ length: 30 }, (_, k) => 50 + k * slope + (k % 2) * noise));
          const { median, interval } = passageOf(shares, line, threshold, 10);
          expect(interval[0]).toBeGreaterThanOrEqual(1);
          expect(interval[0]).toBeLessThanOrEqual(median);
          expect(median).toBeLessThanOrEqual(interval[1]);
          expect(interval[1]).toBeLessThanOrEqual(10);
        }
  });
});
