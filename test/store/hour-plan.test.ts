import { expect, test } from 'vitest';
import { type HourState, hasWholeHour, hourMs, hourPlanOf } from '../../src/store/clickhouse/hour-plan.ts';

const start = 400_000 * hourMs;
const at = (hours: number) => start + hours * hourMs;
const state = (hours: number, more: Partial<HourState> = {}): HourState => ({
  hour: at(hours),
  snapshots: 360,
  isStale: false,
  written: 300,
  there: 300,
  ...more,
});

test('whole hours are of roll-ups, and both ends of rows', () => {
  const window = { from: at(0) + 5, to: at(4) - 2 };
  const plan = hourPlanOf(
    window,
    [3, 1, 0, 2].map((hours) => state(hours)),
  );
  expect(plan).toEqual({
    rolled: [{ from: at(1) - 1, to: at(2) }],
    areTwice: false,
    areAlone: false,
    rows: [
      { from: at(0) + 5, to: at(1) - 1 },
      { from: at(3) - 1, to: at(4) - 2 },
    ],
  });
});

test('an hour is whole by its first and its last instant', () => {
  const whole = { from: at(0) - 1, to: at(1) - 1 };
  expect(hourPlanOf(whole, [state(0)]).rows).toEqual([]);
  expect(hasWholeHour(whole)).toBe(true);
  for (const less of [
    { ...whole, from: at(0) },
    { ...whole, to: at(1) - 2 },
    { from: at(0) - 0.5, to: at(1) - 1.5 },
  ]) {
    expect(hasWholeHour(less)).toBe(false);
    expect(hourPlanOf(less, [state(0)])).toMatchObject({ rolled: [], rows: [less] });
  }
});

test('an hour that something came late for, and one of which not all roll-ups are there once, is of rows', () => {
  const states = [state(0), state(1, { isStale: true }), state(2, { there: 299 }), state(3, { there: 301 }), state(4)];
  const plan = hourPlanOf({ from: at(0) - 1, to: at(5) - 1 }, states);
  expect(plan.rolled).toEqual([
    { from: at(0) - 1, to: at(0) },
    { from: at(4) - 1, to: at(4) },
  ]);
  expect(plan.rows).toEqual([{ from: at(1) - 1, to: at(4) - 1 }]);
});

test('where there are no rows any more all that is there is told, whole hours of it', () => {
  const states = [
    state(0, { snapshots: 0 }),
    state(1, { snapshots: 0, there: 301 }),
    state(2, { snapshots: 0, there: 0 }),
    state(7),
  ];
  const plan = hourPlanOf({ from: at(0) + 1000, to: at(1) + 1000 }, states.slice(0, 2));
  expect(plan).toEqual({ rolled: [{ from: at(0) - 1, to: at(1) }], areTwice: true, areAlone: true, rows: [] });
  const longer = hourPlanOf({ from: at(0) - 1, to: at(8) - 1 }, states);
  expect(longer.rolled).toEqual([{ from: at(0) - 1, to: at(7) }]);
});

test('hours between which there is nothing are one part, unless the next is told by something else', () => {
  const states = [state(0), state(24), state(48, { isStale: true }), state(72, { isStale: true }), state(96)];
  const plan = hourPlanOf({ from: at(0) - 1, to: at(100) - 1 }, states);
  expect(plan.rolled).toEqual([
    { from: at(0) - 1, to: at(24) },
    { from: at(96) - 1, to: at(96) },
  ]);
  expect(plan.rows).toEqual([{ from: at(48) - 1, to: at(73) - 1 }]);
});

test('where nothing is rolled up all is of rows, also where nothing is known to be', () => {
  const window = { from: 0, to: at(9) };
  expect(hourPlanOf(window, [])).toMatchObject({ rolled: [], rows: [window] });
  expect(hourPlanOf(window, [state(3, { isStale: true })])).toMatchObject({ rolled: [], rows: [window] });
});
