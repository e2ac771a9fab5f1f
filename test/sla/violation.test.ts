import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Sample } from '../../src/core/sample.ts';
import { budgetOf } from '../../src/sla/budget.ts';
import { evaluateSla, type HeldTo, type Judged } from '../../src/sla/violation.ts';

const second = 1000;
const upTo = (max: number): HeldTo[] => [{ since: 0, range: { min: null, max } }];
const judged = (samples: Sample[], heldTo = upTo(80), series = 's'): Judged => ({ series, samples, heldTo });
/** A value every 10 s from 0 on. */
const every10 = (...values: (number | null | 'exited')[]): Sample[] =>
  values.map((value, k) => ({ time: k * 10 * second, value }));
const minute = { from: 0, to: 60 * second };

describe('violations', () => {
  test('a value holds until the next one', () => {
    const { violations, violatedMs, knownMs } = evaluateSla([judged(every10(10, 90, 95, 20, 30, 40))], minute);
    expect(violations).toEqual([{ series: 's', from: 10_000, to: 30_000, side: 'above', worst: 95 }]);
    expect([violatedMs, knownMs]).toEqual([20_000, 60_000]);
  });

  test('below a range too, and the ends of a range are in it', () => {
    const heldTo: HeldTo[] = [{ since: 0, range: { min: 5, max: 80 } }];
    const { violations } = evaluateSla([judged(every10(5, 80, 4, 81, 3, 5), heldTo)], minute);
    expect(violations.map(({ from, side, worst }) => [from, side, worst])).toEqual([
      [20_000, 'below', 4],
      [30_000, 'above', 81],
      [40_000, 'below', 3],
    ]);
  });

  test('one that is open goes on to the end, as long as the value still counts', () => {
    expect(evaluateSla([judged(every10(90))], { from: 0, to: 5000 }).violations).toMatchObject([{ from: 0, to: 5000 }]);
    // After three usual steps nothing is known.
    expect(evaluateSla([judged(every10(10, 90))], minute)).toMatchObject({
      violations: [{ from: 10_000, to: 40_000 }],
      knownMs: 40_000,
    });
  });

  test('what nobody knows is neither met nor violated', () => {
    const { violations, violatedMs, knownMs } = evaluateSla(
      [judged(every10(90, null, null, 90, 'exited', 10))],
      minute,
    );
    expect(violations.map(({ from, to }) => [from, to])).toEqual([
      [0, 10_000],
      [30_000, 40_000],
    ]);
    expect([violatedMs, knownMs]).toEqual([20_000, 30_000]);
  });

  test('of several series what is in more than one is counted once', () => {
    const all = [
      judged(every10(90, 90, 10, 10, 10, 10), upTo(80), 'a'),
      judged(every10(10, 90, 90, 10, 10, 10), upTo(80), 'b'),
    ];
    const { violations, violatedMs } = evaluateSla(all, minute);
    expect(violations.map(({ series, from, to }) => [series, from, to])).toEqual([
      ['a', 0, 20_000],
      ['b', 10_000, 30_000],
    ]);
    expect(violatedMs).toBe(30_000);
  });

  test('a definition that changed is each for its time', () => {
    const heldTo: HeldTo[] = [
      { since: 999_999, range: { min: null, max: 80 } },
      { since: 25_000, range: { min: null, max: 50 } },
      { since: 45_000, range: null },
    ];
    const { violations, knownMs } = evaluateSla([judged(every10(60, 60, 60, 60, 60, 90), heldTo)], minute);
    expect(violations).toMatchObject([{ from: 25_000, to: 45_000, worst: 60 }]);
    expect(knownMs).toBe(45_000);
  });

  test('as somebody would count it who looks every second', () => {
    const value = fc.oneof(fc.constant(null), fc.constant('exited' as const), fc.integer({ min: 0, max: 100 }));
    const samples = fc
      .uniqueArray(fc.tuple(fc.integer({ min: -100, max: 400 }), value), { selector: ([at]) => at, maxLength: 60 })
      .map((all) => all.sort((a, b) => a[0] - b[0]).map(([at, value]): Sample => ({ time: at * second, value })));
    const range = fc.record({ min: fc.integer({ min: 0, max: 40 }), max: fc.integer({ min: 50, max: 100 }) });
    fc.assert(
      fc.property(
        fc.array(samples, { maxLength: 3 }),
        range,
        range,
        fc.integer({ min: 0, max: 300 }),
        (all, first, then, at) => {
          const heldTo: HeldTo[] = [
            { since: 0, range: first },
            { since: at * second, range: then },
          ];
          const window = { from: 0, to: 300 * second };
          const found = evaluateSla(
            all.map((each, k) => judged(each, heldTo, `s${k}`)),
            window,
          );
          let [violated, known] = [0, 0];
          for (let now = 0; now < 300; now++) {
            const states = all.map((each) => stateAt(each, now * second, now < at ? first : then));
            if (states.some((state) => state !== null)) known++;
            if (states.some((state) => state === true)) violated++;
          }
          expect([found.violatedMs, found.knownMs]).toEqual([violated * second, known * second]);
          for (const { from, to, series, side, worst } of found.violations) {
            expect(to).toBeGreaterThan(from);
            expect(
              found.violations.filter((other) => other.series === series && other.from === to && other.side === side),
            ).toEqual([]);
            expect(
              side === 'above' ? worst > Math.min(first.max, then.max) : worst < Math.max(first.min, then.min),
            ).toBe(true);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  /** Null: not known. */
  function stateAt(samples: readonly Sample[], at: number, { min, max }: { min: number; max: number }): boolean | null {
    const last = samples.findLast(({ time }) => time <= at);
    if (typeof last?.value !== 'number') return null;
    const steps = samples
      .slice(1)
      .map(({ time }, k) => time - (samples[k]?.time ?? 0))
      .sort((a, b) => a - b);
    const gapMs = Math.max(30_000, 3 * (steps[Math.floor(steps.length / 2)] ?? 0));
    return at - last.time >= gapMs ? null : last.value > max || last.value < min;
  }

  test('mirrored values violate the mirrored range at the same times', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 100 }), { maxLength: 30 }), (values) => {
        const up = evaluateSla([judged(every10(...values), upTo(60))], minute);
        const mirrored: HeldTo[] = [{ since: 0, range: { min: -60, max: null } }];
        const down = evaluateSla([judged(every10(...values.map((value) => -value)), mirrored)], minute);
        expect(down.violations.map(({ from, to, worst }) => [from, to, -worst])).toEqual(
          up.violations.map(({ from, to, worst }) => [from, to, worst]),
        );
      }),
    );
  });
});

describe('budget', () => {
  const hour = 3_600_000;

  test('what the objective allows, what is left, and when that will be used up', () => {
    // 99 % of an hour: 36 s are allowed, 9 are gone, in a quarter of a percent of the time.
    expect(budgetOf({ violatedMs: 9000, knownMs: hour }, 99, hour, 0)).toEqual({
      coverage: 1,
      compliance: 99.75,
      isMet: true,
      budgetMs: expect.closeTo(36_000, 6),
      leftMs: expect.closeTo(27_000, 6),
      usedUpAt: expect.closeTo(27_000 / (9000 / hour), 3),
    });
  });

  test('half of it unknown: the rest is what counts', () => {
    expect(budgetOf({ violatedMs: 20_000, knownMs: hour / 2 }, 99, hour, 0)).toMatchObject({
      coverage: 0.5,
      isMet: false,
    });
    expect(budgetOf({ violatedMs: 0, knownMs: 0 }, 99, hour, 0)).toMatchObject({
      coverage: 0,
      compliance: null,
      isMet: null,
      usedUpAt: null,
    });
  });

  test('used up is used up now, and an objective of 100 % allows nothing', () => {
    expect(budgetOf({ violatedMs: 40_000, knownMs: hour }, 99, hour, 7)).toMatchObject({ isMet: false, usedUpAt: 7 });
    expect(budgetOf({ violatedMs: 1, knownMs: hour }, 100, hour, 0)).toMatchObject({ isMet: false, leftMs: -1 });
    expect(budgetOf({ violatedMs: 0, knownMs: hour }, 100, hour, 0)).toMatchObject({ isMet: true, usedUpAt: null });
  });
});
