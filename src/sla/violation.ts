import type { Sample } from '../core/sample.ts';
import type { TimeWindow } from '../core/store.ts';
import type { Side } from '../forecast/side.ts';

/** A series was out of the range. Epoch milliseconds. */
export interface Violation {
  /** Its key. */
  series: string;
  from: number;
  to: number;
  side: Side;
  /** The value farthest from the range. */
  worst: number;
}

/** What a window shows of series against a range. */
export interface Evaluation {
  /** By when they began, then by series. */
  violations: Violation[];
  /** Milliseconds in which at least one series was out of the range. */
  violatedMs: number;
  /** Milliseconds in which at least one value was known: the rest is neither met nor violated. */
  knownMs: number;
}

/** Between two values that are known nothing is missing where no more time than this many usual steps lies. */
const longestSteps = 3;
const leastGapMs = 30_000;
/** As long before a window a value may reach into it. */
export const reachMs = 600_000;

/** What a series is held to, from then on until the next; null: it is not meant. The first one is for all of the past. */
export interface HeldTo {
  since: number;
  range: { min: number | null; max: number | null } | null;
}

/** A series with its samples by time, from `reachMs` before a window on. */
export interface Judged {
  /** Its key. */
  series: string;
  samples: readonly Sample[];
  heldTo: readonly HeldTo[];
}

/** A value that held, and on which side of the range. */
interface Piece {
  from: number;
  to: number;
  value: number;
  side: Side | null;
}

/**
 * A value holds until the next one, for three usual steps at most: then nothing is known. Where a definition has
 * changed, each is for its time.
 */
export function evaluateSla(judged: readonly Judged[], window: TimeWindow): Evaluation {
  const all = judged.map((each) => ({ series: each.series, pieces: piecesOf(each, window) }));
  const violations = all.flatMap(({ series, pieces }) => violationsOf(series, pieces));
  violations.sort((a, b) => a.from - b.from || (a.series < b.series ? -1 : 1));
  const pieces = all.flatMap(({ pieces }) => pieces);
  return {
    violations,
    violatedMs: lengthOf(pieces.filter(({ side }) => side !== null)),
    knownMs: lengthOf(pieces),
  };
}

function piecesOf({ samples, heldTo }: Judged, window: TimeWindow): Piece[] {
  const gapMs = gapOf(samples);
  const pieces: Piece[] = [];
  for (const [index, { time, value }] of samples.entries()) {
    if (typeof value !== 'number') continue;
    const next = samples[index + 1]?.time ?? Number.POSITIVE_INFINITY;
    const held = { from: Math.max(time, window.from), to: Math.min(next, time + gapMs, window.to) };
    for (const [place, { since, range }] of heldTo.entries()) {
      const from = place === 0 ? held.from : Math.max(held.from, since);
      const to = Math.min(held.to, heldTo[place + 1]?.since ?? Number.POSITIVE_INFINITY);
      if (to > from && range !== null) pieces.push({ from, to, value, side: sideOf(value, range) });
    }
  }
  return pieces;
}

/** Three times the usual time between two samples. */
function gapOf(samples: readonly Sample[]): number {
  const steps = samples.slice(1).map(({ time }, index) => time - (samples[index] as Sample).time);
  steps.sort((a, b) => a - b);
  return Math.max(leastGapMs, longestSteps * (steps[Math.floor(steps.length / 2)] ?? 0));
}

function sideOf(value: number, { min, max }: NonNullable<HeldTo['range']>): Side | null {
  if (max !== null && value > max) return 'above';
  return min !== null && value < min ? 'below' : null;
}

/** What follows without a break, on the same side, is one. */
function violationsOf(series: string, pieces: readonly Piece[]): Violation[] {
  const violations: Violation[] = [];
  for (const { from, to, value, side } of pieces) {
    if (side === null) continue;
    const last = violations.at(-1);
    const isMore = last?.to === from && last.side === side;
    if (!isMore) violations.push({ series, from, to, side, worst: value });
    else {
      last.to = to;
      last.worst = side === 'above' ? Math.max(last.worst, value) : Math.min(last.worst, value);
    }
  }
  return violations;
}

/** Of all of them together, what is in several counted once. */
function lengthOf(spans: readonly TimeWindow[]): number {
  return unionOf(spans).reduce((length, { from, to }) => length + to - from, 0);
}

/** The same as spans that do not touch, by time. */
export function unionOf(spans: readonly TimeWindow[]): TimeWindow[] {
  const union: TimeWindow[] = [];
  for (const { from, to } of spans.toSorted((a, b) => a.from - b.from)) {
    const last = union.at(-1);
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to);
    else if (to > from) union.push({ from, to });
  }
  return union;
}
