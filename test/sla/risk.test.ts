import { expect, test } from 'vitest';
import type { RangePassing } from '../../src/forecast/range-forecaster.ts';
import { riskOf } from '../../src/sla/risk.ts';

const minute = 60_000;
const horizonMs = 10 * minute;
const status = (leftMs: number) => ({ window: '1h', leftMs });
const passing: RangePassing = {
  series: { metric: 'queue_length', labels: { host: 'a' } },
  side: 'above',
  limit: 100,
  value: 80,
  isOut: false,
  probability: 0.8,
  etaSeconds: 300,
  intervalSeconds: [180, 480],
  reason: 'likely over 100 in about 5 min',
};

test('a predicted violation uses up a budget as far as it comes early enough', () => {
  expect(riskOf(status(0), null, [passing], horizonMs)).toMatchObject({ probability: 0.8, etaSeconds: 300 });
  // To be over in ten minutes a budget of five has to be begun within the first five: half of the passages are.
  expect(riskOf(status(5 * minute), null, [passing], horizonMs)).toMatchObject({
    probability: 0.4,
    etaSeconds: 600,
    intervalSeconds: [480, 600],
    reason: 'queue_length{host="a"} likely over 100 in about 5 min; 5m are left of the 1h budget',
  });
  expect(riskOf(status(11 * minute), null, [passing], horizonMs).probability).toBe(0);
  const shares = [0, 2, 4, 6, 8, 9.9].map((left) => riskOf(status(left * minute), null, [passing], horizonMs));
  const probabilities = shares.map(({ probability }) => probability);
  expect(probabilities).toEqual(probabilities.toSorted((a, b) => b - a));
});

test('a violation under way is the surer to use up a budget the longer it has lasted', () => {
  const at = (lasted: number, left: number) => riskOf(status(left), lasted, [], horizonMs);
  expect(at(minute, minute)).toMatchObject({
    probability: 0.5,
    etaSeconds: 60,
    reason: 'out of its range for 1m; if that goes on, the 1h budget is used up in 1m',
  });
  expect(at(3 * minute, minute).probability).toBe(0.75);
  expect(at(3 * minute, 11 * minute).probability).toBe(0);
  expect(at(-1000, minute).probability).toBe(0);
});

test('of several the worst is told, and of nothing nothing', () => {
  const other = { ...passing, probability: 0.9, series: { metric: 'b', labels: {} } };
  expect(riskOf(status(0), null, [passing, other], horizonMs).reason).toMatch(/^b\{\} /);
  const young = { ...passing, probability: null, etaSeconds: null, intervalSeconds: null };
  expect(riskOf(status(0), null, [young], horizonMs)).toMatchObject({ probability: 0, reason: '' });
});
