import type { TimeWindow } from '../../core/store.ts';

export const hourMs = 3_600_000;

/** What there is of an hour. */
export interface HourState {
  /** When it begins. */
  hour: number;
  /** Of all hosts. */
  snapshots: number;
  /** Some host has more of them than have been rolled up. */
  isStale: boolean;
  /** How many roll-ups of it have been written, and how many are there: more until ClickHouse has merged those that are there twice. */
  written: number;
  there: number;
}

/** What a window is told by: each of its rows is in one of them. */
export interface HourPlan {
  /** By when the hours begin. */
  rolled: TimeWindow[];
  /** Some of the roll-ups are there twice. */
  areTwice: boolean;
  /** Of some of them there are no rows any more. */
  areAlone: boolean;
  rows: TimeWindow[];
}

/** Nothing but rows. */
export function rowsAlone({ from, to }: TimeWindow): HourPlan {
  return { rolled: [], areTwice: false, areAlone: false, rows: [{ from, to }] };
}

/** Whether a whole hour lies in it. */
export function hasWholeHour({ from, to }: TimeWindow): boolean {
  return Math.ceil(first({ from }) / hourMs) < Math.floor((Math.floor(to) + 1) / hourMs);
}

/**
 * Whole hours by roll-ups, where these are of all that is stored and each is there once; what is left by rows. Where
 * there are no rows any more an edge is where its hour has it.
 * @param hours in which there is something, in any order
 */
export function hourPlanOf(window: TimeWindow, hours: readonly HourState[]): HourPlan {
  const plan: HourPlan = { rolled: [], areTwice: false, areAlone: false, rows: [] };
  let last: TimeWindow[] | null = null;
  // In between there is nothing: as few windows as can be, for each is a part of the question.
  const extend = (windows: TimeWindow[], window: TimeWindow) => {
    const before = windows.at(-1);
    if (last === windows && before !== undefined) before.to = window.to;
    else windows.push(window);
    last = windows;
  };
  for (const state of hours.toSorted((a, b) => a.hour - b.hour)) {
    const { hour, snapshots, written, there } = state;
    const isGone = snapshots === 0;
    if (isGone ? there > 0 : isUsable(state, window)) {
      extend(plan.rolled, { from: hour - 1, to: hour });
      plan.areTwice ||= there !== written;
      plan.areAlone ||= isGone;
    } else if (!isGone) extend(plan.rows, clipped(window, hour));
  }
  return plan.rolled.length === 0 ? rowsAlone(window) : plan;
}

function isUsable({ hour, isStale, written, there }: HourState, { from, to }: TimeWindow): boolean {
  return !isStale && written === there && first({ from }) <= hour && hour + hourMs <= Math.floor(to) + 1;
}

/** The first instant of a window: times are whole. */
function first({ from }: Pick<TimeWindow, 'from'>): number {
  return Math.floor(from) + 1;
}

function clipped({ from, to }: TimeWindow, hour: number): TimeWindow {
  return { from: Math.max(Math.floor(from), hour - 1), to: Math.min(Math.floor(to), hour + hourMs - 1) };
}
