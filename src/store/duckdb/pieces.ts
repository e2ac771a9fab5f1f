import type { Resolution, TimeWindow } from '../../core/store.ts';
import { hourMs, minuteMs } from './layouts.ts';
import type { Parts } from './parts.ts';

/** A part of a question: rows of processes, or roll-ups of them, and the time of them that is meant. */
export interface Piece {
  /** To stand after FROM. */
  relation: string;
  window: TimeWindow;
  family: 'usage' | 'minute' | 'hour';
}

export interface PieceOptions {
  hosts?: readonly number[] | undefined;
  /** No coarser roll-ups than of so long; absent: whatever there is. */
  longestMs?: number;
}

/** Whether it is roll-ups, and not rows. */
export function isRolled({ family }: Piece): boolean {
  return family !== 'usage';
}

/** The longest roll-ups that steps of so long can be made of; absent: it is one step. */
export function longestOf(stepMs = hourMs): number {
  return stepMs % hourMs === 0 ? hourMs : stepMs % minuteMs === 0 ? minuteMs : 0;
}

/** The coarsest that a window, or its steps, is made of. */
export function resolutionOf(parts: Parts, window: TimeWindow, stepMs?: number): Resolution {
  const lengths = piecesOf(parts, window, { longestMs: longestOf(stepMs) }).map(({ family }) => family);
  return lengths.includes('hour') ? '1h' : lengths.includes('minute') ? '1m' : 'raw';
}

/** Of less its rows themselves are read. */
const leastRolledMs = 15 * minuteMs;

/**
 * All rows in a window, each once: young rows as they are, and of what is closed the coarsest roll-ups that lie wholly
 * in it. So sums, counts, least and most of it are exact. Where what is finer has been forgotten, an edge is where the
 * coarser one has it.
 */
export function piecesOf(parts: Parts, window: TimeWindow, { hosts, longestMs = hourMs }: PieceOptions = {}): Piece[] {
  const ofHosts = hosts === undefined ? {} : { hosts };
  const young: Piece = { relation: 'usage', window, family: 'usage' };
  if (parts.all().length === 0) return [young];
  const oldest = parts.oldest();
  const isShort = window.to - window.from < leastRolledMs && window.from >= oldest.usage;
  const spans = isShort ? { usage: [window] } : divide(window, longestMs, oldest);
  const closed = (Object.entries(spans) as ['usage' | 'minute' | 'hour', TimeWindow[]][]).flatMap(([family, each]) =>
    each.flatMap((span): Piece[] => {
      const relation = family === 'hour' ? parts.relation(family, span, ofHosts) : parts.closed(family, span, ofHosts);
      return relation === null ? [] : [{ relation, window: span, family }];
    }),
  );
  return [young, ...closed];
}

type Oldest = Record<'usage' | 'minute', number>;

/** What of a window is told by which. */
export function divide(
  { from, to }: TimeWindow,
  longestMs: number,
  oldest: Oldest,
): Record<'usage' | 'minute' | 'hour', TimeWindow[]> {
  // Times are whole: (from, to] is [from + 1, to + 1).
  const all: Span = [Math.floor(from) + 1, Math.floor(to) + 1];
  const minutes = longestMs < minuteMs ? empty(all) : within(all, minuteMs, oldest.usage);
  const hours = longestMs < hourMs ? empty(minutes) : within(minutes, hourMs, oldest.minute);
  return {
    usage: windows(around(all, minutes)),
    minute: windows(around(minutes, hours)),
    hour: windows([hours]),
  };
}

/** `[since, until)`. */
type Span = readonly [since: number, until: number];

const empty = ([since]: Span): Span => [since, since];

/** What of it whole bins cover; before `oldest` also those that it only touches. */
function within([since, until]: Span, lengthMs: number, oldest: number): Span {
  const first = (since < oldest ? Math.floor : Math.ceil)(since / lengthMs) * lengthMs;
  const last = (until < oldest ? Math.ceil : Math.floor)(until / lengthMs) * lengthMs;
  return last > first ? [first, last] : empty([since, until]);
}

/** What is left of the one before and after the other. */
function around([since, until]: Span, [first, last]: Span): Span[] {
  return [
    [since, first],
    [last, until],
  ];
}

function windows(spans: readonly Span[]): TimeWindow[] {
  return spans.filter(([since, until]) => until > since).map(([since, until]) => ({ from: since - 1, to: until - 1 }));
}
