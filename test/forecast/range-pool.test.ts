import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Passing, RangePool } from '../../src/forecast/range-pool.ts';
import type { Side } from '../../src/forecast/side.ts';
import { leak } from './synthetic-series.ts';

const shape = { horizonSteps: 10, stepSeconds: 60 };

/** What is said of a series at each value after the first 100. */
function follow(values: readonly number[], side: Side, threshold: number): Passing[] {
  const pool = new RangePool();
  const past = Float64Array.from(values.slice(0, 100));
  pool.add({ key: 'a', metric: 'memory', side, shape: { ...shape, threshold }, past });
  return values.slice(100).flatMap((value) => pool.step(new Map([['a', value]])));
}

/** A walk in quarters, which a mirror does not round. */
const walk = fc
  .record({
    moves: fc.array(fc.integer({ min: -12, max: 12 }), { minLength: 140, maxLength: 140 }),
    limit: fc.integer({ min: -40, max: 260 }),
    mirror: fc.integer({ min: -300, max: 300 }),
  })
  .map(({ moves, limit, mirror }) => {
    let value = 160;
    const values = moves.map((move) => {
      value += move;
      return value / 4;
    });
    return { values, limit: limit / 4, mirror: mirror / 4 };
  });

test('mirrored series give mirrored answers, wherever the mirror stands', () => {
  fc.assert(
    fc.property(walk, ({ values, limit, mirror }) => {
      const up = follow(values, 'above', limit);
      const down = follow(
        values.map((value) => 2 * mirror - value),
        'below',
        2 * mirror - limit,
      );
      for (const [k, { probability, isOut, etaSeconds }] of down.entries()) {
        expect(isOut).toBe(up[k]?.isOut);
        expect(probability === null).toBe(up[k]?.probability === null);
        // Sums round otherwise where numbers are larger.
        expect(Math.abs((probability ?? 0) - (up[k]?.probability ?? 0))).toBeLessThan(1e-3);
        if (etaSeconds !== null) expect(Math.abs(etaSeconds - (up[k]?.etaSeconds ?? etaSeconds))).toBeLessThan(1);
      }
    }),
    { numRuns: 40 },
  );
});

test('what falls to its limit is foreseen, and said in the words of it', () => {
  const free = leak(400, 200).map((value) => 100 - (value as number));
  const said = follow(free, 'below', 20);
  const out = said.findIndex(({ isOut }) => isOut);
  const first = said.findIndex(({ probability }) => (probability ?? 0) > 0.5);
  expect(out - first).toBeGreaterThanOrEqual(4);
  expect(said[first]).toMatchObject({ value: free[100 + first], isOut: false });
  expect(said[first]?.reason).toMatch(/^falling [\d.]+ %\/min, reaches 20\.0 % in about/);
  expect(said[out]).toMatchObject({ probability: null, reason: '' });
});
