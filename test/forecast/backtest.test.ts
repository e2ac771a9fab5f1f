import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Tally } from '../../src/core/tally.ts';
import { policies } from '../../src/forecast/amber-policy.ts';
import { backtest } from '../../src/forecast/backtest.ts';
import { accuracyOf, type ScoredForecast, tallyOf } from '../../src/forecast/score.ts';
import { SeriesForecaster } from '../../src/forecast/series-forecaster.ts';
import * as synthetic from './synthetic-series.ts';

const shape = { threshold: 80, horizonSteps: 10, stepSeconds: 60 };
const minute = 60_000;

function judge(values: synthetic.Series, policy: keyof typeof policies = 'balanced', from = 0): Tally {
  const { amber, probability } = backtest(values, shape, policies[policy]);
  const said = values.flatMap((value, k): ScoredForecast[] =>
    value === null || k < from
      ? []
      : [
          {
            time: k * minute,
            value,
            threshold: 80,
            probability: probability[k] ?? null,
            isAmber: amber[k] === 1,
            etaMs: null,
            intervalMs: null,
          },
        ],
  );
  return tallyOf(said, minute, 10 * minute, values.length * minute);
}

describe('what has a known truth', () => {
  test('every leak is caught minutes before', () => {
    const tally = judge(synthetic.leak(1500, 200));
    expect(tally.breaches).toBe(7);
    expect(tally.warned).toBe(7);
    expect(accuracyOf(tally).medianLeadSeconds).toBeGreaterThanOrEqual(300);
    // An alarm a minute more than ten before the breach counts as a false one and a true one.
    expect(accuracyOf(tally).precision).toBeGreaterThanOrEqual(0.5);
  });

  test('a leak with holes in the data too', () => {
    const tally = judge(synthetic.withGaps(synthetic.leak(1500, 200)));
    expect(tally.warned).toBe(tally.breaches);
    expect(tally.breaches).toBeGreaterThanOrEqual(6);
  });

  test('a regular peak is known once it has come a few times', () => {
    const tally = judge(synthetic.regularPeak(3000, 240), 'balanced', 1000);
    expect(tally.breaches).toBeGreaterThanOrEqual(8);
    expect(tally.warned).toBe(tally.breaches);
  });

  test.each([
    ['a sawtooth below the line', synthetic.safeSawtooth(1500)],
    ['a noisy plateau below the line', synthetic.plateau(1500)],
    ['climbs that level off, once they have been seen', synthetic.trap(3000)],
  ])('%s is silent', (_name, values) => {
    const tally = judge(values, 'balanced', 1000);
    expect(tally.alarms).toBe(0);
  });

  test('a step without a sign before comes without AMBER', () => {
    const { amber } = backtest(synthetic.step(300, 200), shape, policies.balanced);
    expect(amber.slice(0, 201)).not.toContain(1);
  });
});

describe('the forecaster', () => {
  test('says nothing before 30 points, over the line, or where a value is missing', () => {
    const values: synthetic.Series = synthetic
      .plateau(100)
      .map((value, k) => (k === 50 ? null : k === 60 ? 90 : value));
    const { probability } = backtest(values, shape, policies.balanced);
    expect(probability.slice(0, 29).every((p) => p === null)).toBe(true);
    expect([probability[29], probability[49]].every((p) => typeof p === 'number')).toBe(true);
    expect([probability[50], probability[60]]).toEqual([null, null]);
  });

  test('never looks ahead', () => {
    const values = synthetic.withGaps(synthetic.leak(700, 90));
    const whole = backtest(values, shape, policies.balanced);
    for (const cut of [31, 200, 455, 699]) {
      const part = backtest(values.slice(0, cut), shape, policies.balanced);
      expect(part.probability).toEqual(whole.probability.slice(0, cut));
      expect(part.amber).toEqual(whole.amber.slice(0, cut));
      expect(part.etaSteps).toEqual(whole.etaSteps.slice(0, cut));
    }
  });

  test('whatever comes, a probability is one', () => {
    const value = fc.oneof(
      { weight: 8, arbitrary: fc.double({ min: 0, max: 100, noNaN: true }) },
      { weight: 1, arbitrary: fc.constantFrom(null, 0, 80, 80.000001, 1e6, 5e-324) },
    );
    const any = fc.record({
      values: fc.array(value, { minLength: 30, maxLength: 150, size: 'max' }),
      horizonSteps: fc.integer({ min: 1, max: 30 }),
      threshold: fc.constantFrom(0, 0.001, 80, 1e6),
      stepSeconds: fc.constantFrom(1, 60, 86_400),
    });
    fc.assert(
      fc.property(any, ({ values, ...given }) => {
        const { probability, etaSteps } = backtest(values, given, policies.balanced);
        for (const p of probability) expect(p === null || (p > 0 && p < 1)).toBe(true);
        for (const eta of etaSteps) expect(eta === null || (eta >= 1 && eta <= given.horizonSteps)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('the inputs it makes are those the model was trained on', async () => {
    const { breachTrees, breachPerceptron, passageTrees } = await import('../../src/forecast/trained-numbers.ts');
    const { inputNames } = new SeriesForecaster(shape);
    for (const part of [breachTrees, breachPerceptron, ...passageTrees]) expect(part.inputNames).toEqual(inputNames);
  });

  test('forgets what is too old, and goes on alike', () => {
    const forecaster = new SeriesForecaster(shape);
    for (const value of synthetic.leak(12_000, 200)) forecaster.next(value);
    expect(forecaster.history.values.buffer.length).toBeLessThan(6000);
    expect(forecaster.history.outcomes.length).toBe(12_000 - shape.horizonSteps);
  });
});

describe('what a person is told', () => {
  test('of a leak: how fast, until when, and what happened before', () => {
    const forecaster = new SeriesForecaster(shape);
    const values = synthetic.leak(1350, 200).slice(0, 1200 + 146);
    for (const value of values) forecaster.next(value);
    const { reason, etaSeconds, intervalSeconds } = forecaster.explain('memory', 0.6);
    // It is at 77.5 and climbs 0.325 a minute.
    expect(etaSeconds).toBeGreaterThan(240);
    expect(etaSeconds).toBeLessThanOrEqual(600);
    expect(intervalSeconds?.[0]).toBeLessThanOrEqual(etaSeconds as number);
    expect(reason).toMatch(/^rising 0\.3\d %\/min, reaches 80\.0 % in about \d+ min/);
    expect(reason).toMatch(/breached (\d+ of the last \d+ times|at this point in \d+ of the last \d+ periods)/);
  });
});
