import { expect, test } from 'vitest';
import type { TimeWindow } from '../../src/core/store.ts';
import type { RangePassing } from '../../src/forecast/range-forecaster.ts';
import { riskOf } from '../../src/sla/risk.ts';

const minute = 60_000;
const horizonMs = 10 * minute;
const hour = 60 * minute;
const now = 100 * hour;
const risk = (leftMs: number, violations: TimeWindow[], passings: RangePassing[] = []) =>
  riskOf({ status: { window: '1h', from: now - hour, to: now, leftMs }, violations, passings, horizonMs });
/** So many that have lasted, each well within the window. */
const lasting = (...lengths: number[]) =>
  lengths.map((length, k) => ({
    from: now - 50 * minute + k * 5 * minute,
    to: now - 50 * minute + k * 5 * minute + length,
  }));
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
  expect(risk(0, [], [passing])).toMatchObject({ probability: 0.8, etaSeconds: 300 });
  // To be over in ten minutes a budget of five has to be begun within the first five: half of the passages are.
  const half = risk(5 * minute, [], [passing]);
  expect(half).toMatchObject({ etaSeconds: 600, intervalSeconds: [480, 600] });
  expect(half.reason).toBe('queue_length{host="a"} likely over 100 in about 5 min; 5m are left of the 1h budget');
  expect(half.probability).toBeLessThan(0.4);
  expect(risk(11 * minute, [], [passing]).probability).toBe(0);
  const probabilities = [0, 2, 4, 6, 8, 9.9].map((left) => risk(left * minute, [], [passing]).probability);
  expect(probabilities).toEqual(probabilities.toSorted((a, b) => b - a));
});

test('and as far as violations last as long: a minute each is not five', () => {
  const short = risk(3 * minute, lasting(minute, minute, minute, minute), [passing]).probability;
  const long = risk(3 * minute, lasting(4 * minute, 4 * minute, 4 * minute, 4 * minute), [passing]).probability;
  expect(short).toBeLessThan(0.1);
  // Of the passages nine in ten are early enough, and of the violations four and a little of one in five last as long.
  expect(long).toBeGreaterThan(0.5);
});

test('a violation under way is the surer to use up a budget the longer it has lasted', () => {
  const since = (lasted: number) => [{ from: now - lasted, to: now }];
  expect(risk(5 * minute, since(5 * minute))).toMatchObject({
    probability: 0.5,
    etaSeconds: 300,
    reason: 'out of its range for 5m; if that goes on, the 1h budget is used up in 5m',
  });
  expect(risk(minute, since(3 * minute)).probability).toBe(0.75);
  expect(risk(11 * minute, since(3 * minute)).probability).toBe(0);
  // Out by now, though the window ended before: it goes on.
  const out = { ...passing, isOut: true, probability: null, etaSeconds: null, intervalSeconds: null };
  expect(risk(minute, [], [out]).probability).toBeGreaterThan(0.4);
  // It has just begun: as likely as what was predicted would last.
  const begun = risk(minute, since(1000)).probability;
  expect(begun).toBeCloseTo(
    risk(minute, [], [{ ...passing, probability: 1, etaSeconds: 1, intervalSeconds: [0, 2] }]).probability,
    1,
  );
  expect(risk(minute, [...lasting(2 * minute, 2 * minute, 2 * minute), ...since(1000)]).probability).toBeGreaterThan(
    begun,
  );
});

test('what leaves the window meanwhile is budget again', () => {
  const leaving = { from: now - hour, to: now - hour + 4 * minute };
  const { probability, etaSeconds } = risk(minute, [leaving, { from: now - minute, to: now }]);
  // Ten seconds to ten minutes long, every order alike: of five minutes 17 %.
  expect([probability, etaSeconds]).toEqual([expect.closeTo(0.17, 2), 300]);
});

test('of several the worst is told, of nothing nothing, and of a budget that is used up that it is', () => {
  const other = { ...passing, probability: 0.9, series: { metric: 'b', labels: {} } };
  expect(risk(0, [], [passing, other]).reason).toMatch(/^b\{\} /);
  const young = { ...passing, probability: null, etaSeconds: null, intervalSeconds: null };
  expect(risk(0, [], [young])).toMatchObject({ probability: 0, reason: '' });
  expect(risk(-1, [], [passing])).toMatchObject({ probability: 1, reason: 'the 1h budget is used up' });
  // 10 % of an hour, as far as numbers can say it.
  expect(risk(-5.8e-11, [], [passing]).probability).toBe(0.8);
});
