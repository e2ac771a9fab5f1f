import { describe, expect, test } from 'vitest';
import { divide } from '../../src/store/duckdb/pieces.ts';

const minute = 60_000;
const hour = 3_600_000;
const always = { usage: Number.NEGATIVE_INFINITY, minute: Number.NEGATIVE_INFINITY };
/** `from` and `to` of each, in minutes. */
const inMinutes = (spans: { from: number; to: number }[]) =>
  spans.map(({ from, to }) => [(from + 1) / minute, (to + 1) / minute]);

describe('a window as pieces', () => {
  test('is hours as far as they are whole, minutes around them, and rows at its edges', () => {
    const {
      usage,
      minute: minutes,
      hour: hours,
    } = divide({ from: 90.5 * minute - 1, to: 400.25 * minute - 1 }, hour, always);
    expect(inMinutes(hours)).toEqual([[120, 360]]);
    expect(inMinutes(minutes)).toEqual([
      [91, 120],
      [360, 400],
    ]);
    expect(inMinutes(usage)).toEqual([
      [90.5, 91],
      [400, 400.25],
    ]);
  });

  test('with whole edges has none, and its first instant is not in it', () => {
    const { usage, minute: minutes, hour: hours } = divide({ from: 0, to: hour }, hour, always);
    expect([hours, inMinutes(minutes)]).toEqual([[], [[1, 60]]]);
    expect(usage).toEqual([
      { from: 0, to: minute - 1 },
      { from: hour - 1, to: hour },
    ]);
  });

  test('of steps of a minute has no hours, of shorter ones nothing but rows', () => {
    const window = { from: -1, to: 3 * hour - 1 };
    expect(divide(window, minute, always)).toEqual({ usage: [], minute: [window], hour: [] });
    expect(divide(window, 0, always)).toEqual({ usage: [window], minute: [], hour: [] });
  });

  test('begins and ends with whole minutes where its rows are gone, and with hours where these are', () => {
    const window = { from: 90.5 * minute - 1, to: 400.25 * minute - 1 };
    const rowsGone = divide(window, hour, { ...always, usage: 1000 * minute });
    expect(rowsGone.usage).toEqual([]);
    expect(inMinutes(rowsGone.minute)).toEqual([
      [90, 120],
      [360, 401],
    ]);
    const allGone = divide(window, hour, { usage: 1000 * minute, minute: 1000 * minute });
    expect([allGone.usage, allGone.minute, inMinutes(allGone.hour)]).toEqual([[], [], [[60, 420]]]);
  });
});
