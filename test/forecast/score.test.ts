import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TimeWindow } from '../../src/core/store.ts';
import { addTallies } from '../../src/core/tally.ts';
import { AmberState } from '../../src/forecast/amber-policy.ts';
import { accuracyOf, isHopeless, type ScoredForecast, tallyOf } from '../../src/forecast/score.ts';

const minute = 60_000;
const horizonMs = 5 * minute;

/**
 * One letter a minute: `.` quiet, `a` AMBER, `!` over the line, `-` under it but without a prediction, a space
 * nothing at all.
 */
function judge(text: string, until = text.length * minute, counted?: TimeWindow) {
  const said = [...text].flatMap((letter, k): ScoredForecast[] => {
    if (letter === ' ') return [];
    const probability = letter === '!' || letter === '-' ? null : letter === 'a' ? 0.8 : 0.1;
    const value = letter === '!' ? 90 : 50;
    return [
      { time: k * minute, value, threshold: 80, probability, isAmber: letter === 'a', etaMs: null, intervalMs: null },
    ];
  });
  return tallyOf(said, minute, horizonMs, until, counted);
}

describe('the score', () => {
  test('of the parts adds up to that of the whole', () => {
    const letter = fc.constantFrom('.', '.', '.', 'a', 'a', '!', '-', ' ');
    fc.assert(
      fc.property(
        fc.array(letter, { minLength: 30, maxLength: 90 }),
        fc.integer({ min: 1, max: 80 }),
        (letters, cut) => {
          const text = letters.join('');
          const end = text.length * minute;
          const part = (from: number, to: number) => judge(text, Math.min(end, to + horizonMs), { from, to });
          const whole = judge(text);
          const middle = Math.min(cut * minute, end);
          const sum = addTallies([part(Number.NEGATIVE_INFINITY, middle), part(middle, end)]);
          expect({ ...sum, squaredError: 0 }).toEqual({ ...whole, squaredError: 0 });
          expect(sum.squaredError).toBeCloseTo(whole.squaredError, 9);
        },
      ),
    );
  });

  test('a breach warned of, and how long before', () => {
    const tally = judge('......aaa!!.......');
    expect(tally).toMatchObject({ breaches: 1, warned: 1, pointedAt: 1, falseAlarms: 0, leadsMs: [3 * minute] });
    expect(accuracyOf(tally)).toMatchObject({ precision: 1, recall: 1, f1: 1, medianLeadSeconds: 180 });
  });

  test('a breach not warned of, and an alarm of nothing', () => {
    const tally = judge('........!...........aa.........');
    expect(tally).toMatchObject({ breaches: 1, warned: 0, pointedAt: 0, falseAlarms: 1 });
    expect(accuracyOf(tally)).toMatchObject({ precision: 0, recall: 0, f1: 0, medianLeadSeconds: null });
  });

  test('an alarm that never ends is charged once per horizon', () => {
    expect(judge('aaaaaaaaaaaaaaaaaaaa.....').falseAlarms).toBe(4);
  });

  test('one that comes and goes is charged each time, but a breach counts once', () => {
    expect(judge('a.a.a..........').falseAlarms).toBe(3);
    expect(judge('........a.a.!....')).toMatchObject({ pointedAt: 1, falseAlarms: 0, warned: 1 });
  });

  test('a breach soon after another is no new one', () => {
    expect(judge('..........!..!..!.........!').breaches).toBe(2);
  });

  test('a breach of a series too new for a prediction counts in nothing', () => {
    const tally = judge('---!!------');
    expect(tally).toMatchObject({ breaches: 0, unforeseeable: 1 });
    expect(accuracyOf(tally)).toMatchObject({ precision: null, recall: null, brierSkill: null });
  });

  test('AMBER that is one step longer than a horizon and ends in RED: one false, one true', () => {
    const cycle = `${'.'.repeat(20)}${'a'.repeat(6)}!!${'.'.repeat(20)}`;
    const ten = judge(cycle.repeat(10));
    expect(ten).toMatchObject({ pointedAt: 10, falseAlarms: 10, breaches: 10, warned: 10 });
    expect(accuracyOf(ten).precision).toBe(0.5);
    expect(isHopeless(ten)).toBe(false);
  });

  /** The rule of `precisionRule` once more, minute by minute and without thrift. */
  function plainly(text: string) {
    const minutes = [...text];
    const steps = horizonMs / minute;
    const breachAfter = (k: number) => minutes.findIndex((letter, at) => at > k && letter === '!');
    const isJudged = (k: number) =>
      k + steps <= minutes.length && minutes.slice(k + 1, k + steps + 1).some((letter) => letter !== ' ');
    const starts: number[] = [];
    let stretchStart: number | null = null;
    for (const [k, letter] of minutes.entries()) {
      if (letter === ' ') continue;
      if (letter !== 'a' || !isJudged(k)) stretchStart = null;
      else if (stretchStart === null || k - stretchStart >= steps) {
        stretchStart = k;
        starts.push(k);
      }
    }
    const isTrue = (k: number) => breachAfter(k) >= 0 && breachAfter(k) <= k + steps;
    return {
      pointedAt: new Set(starts.filter(isTrue).map(breachAfter)).size,
      falseAlarms: starts.filter((k) => !isTrue(k)).length,
    };
  }

  test('true and false alarms are those of a second, plain reading of the rule', () => {
    const stretch = fc.tuple(fc.constantFrom('.', 'a', '!', '-', ' '), fc.integer({ min: 1, max: 14 }));
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 30 }), (stretches) => {
        const text = stretches.map(([letter, length]) => letter.repeat(length)).join('');
        const { pointedAt, falseAlarms } = judge(text);
        expect({ pointedAt, falseAlarms }).toEqual(plainly(text));
      }),
      { numRuns: 3000 },
    );
  });

  test('the time said, and whether its interval held, where a breach came', () => {
    const said = (time: number, isAmber: boolean, value: number): ScoredForecast => ({
      time: time * minute,
      value,
      threshold: 80,
      probability: value > 80 ? null : 0.6,
      isAmber,
      etaMs: isAmber ? 3 * minute : null,
      intervalMs: isAmber ? [2 * minute, 4 * minute] : null,
    });
    // Four minutes before, two before, and one after which nothing came.
    const history = [said(0, true, 50), said(2, true, 50), said(4, false, 90), said(20, true, 50), said(30, false, 50)];
    const tally = tallyOf(history, minute, horizonMs, 40 * minute);
    expect(tally).toMatchObject({ etas: 2, etaErrorMs: 2 * minute, intervalsHeld: 2 });
    expect(accuracyOf(tally)).toMatchObject({ etaErrorSeconds: 60, intervalShare: 1 });
    const early = tallyOf([said(0, true, 50), said(1, false, 90), said(9, false, 50)], minute, horizonMs, 40 * minute);
    expect(early).toMatchObject({ etas: 1, etaErrorMs: 2 * minute, intervalsHeld: 0 });
  });

  test('what nobody knows yet is not judged', () => {
    const text = '..........aaa';
    expect(judge(text).falseAlarms).toBe(0);
    expect(judge(`${text}.....`, 16 * minute).falseAlarms).toBe(1);
    expect(judge(text).predictions).toBe(9);
  });

  test('a hole of more than three steps ends an alarm', () => {
    expect(judge('aa aa......').falseAlarms).toBe(1);
    expect(judge('aa      aa......').falseAlarms).toBe(2);
  });

  test('Brier score and skill', () => {
    // Ten predictions of 0.1 before nothing, five of 0.8 before a breach.
    const tally = judge('..........aaaaa!!!!!');
    const brier = (10 * 0.01 + 5 * 0.04) / 15;
    expect(tally).toMatchObject({ predictions: 15, followed: 5 });
    expect(accuracyOf(tally).brier).toBeCloseTo(brier, 10);
    expect(accuracyOf(tally).brierSkill).toBeCloseTo(1 - brier / ((1 / 3) * (2 / 3)), 10);
    expect(accuracyOf(tally).falseAlarmsPerDay).toBe(0);
  });

  test('tallies add up', () => {
    const [a, b] = [judge('......aaa!!.......'), judge('..........aaa.......')];
    expect(addTallies([a, b])).toMatchObject({ breaches: 1, falseAlarms: 1, pointedAt: 1, leadsMs: [3 * minute] });
    expect(addTallies([])).toMatchObject({ predictions: 0, leadsMs: [] });
  });

  test('a series is hopeless when one alarm in ten comes true, and not before eight were false', () => {
    const tally = (pointedAt: number, falseAlarms: number) => ({ ...judge(''), pointedAt, falseAlarms });
    expect(isHopeless(tally(0, 7))).toBe(false);
    expect(isHopeless(tally(0, 8))).toBe(true);
    expect(isHopeless(tally(1, 8))).toBe(false);
    expect(isHopeless(tally(2, 30))).toBe(true);
  });
});

describe('a policy', () => {
  const policy = { on: 0.2, evaluations: 2, sure: 0.4, off: 0.16, hold: 3 };
  const run = (...probabilities: (number | null | 'breach')[]) => {
    const state = new AmberState(policy);
    return probabilities.map((p) => (state.next(p === 'breach' ? null : p, p === 'breach') ? 1 : 0)).join('');
  };

  test('begins after two evaluations', () => expect(run(0.1, 0.3, 0.3, 0.3)).toBe('0011'));
  test('one evaluation is none', () => expect(run(0.3, 0.1, 0.3, 0.1)).toBe('0000'));
  test('begins at once when it is sure', () => expect(run(0.1, 0.5)).toBe('01'));
  test('holds, and ends below `off` only', () =>
    expect(run(0.5, 0.1, 0.1, 0.1, 0.5, 0.17, 0.17, 0.17)).toBe('11101111'));
  test('a missing value changes nothing', () => expect(run(0.3, null, 0.3, null, 0.3)).toBe('00111'));
  test('a breach ends it', () => expect(run(0.5, 'breach', 0.3, 0.3)).toBe('1001'));
});
