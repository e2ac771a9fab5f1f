import type { Evaluation } from './violation.ts';

/** How a window stands against an objective. */
export interface Budget {
  /** Share of the window of which something is known, 0 to 1. */
  coverage: number;
  /** Percent of the known time within the range; null: nothing is known. */
  compliance: number | null;
  /** Null: nothing is known. */
  isMet: boolean | null;
  /** Milliseconds of violation that the objective allows in the window, and what is left of them; below 0: none is. */
  budgetMs: number;
  leftMs: number;
  /** When it will be used up where the known time goes on as it was; null: not at all, `at`: it is. */
  usedUpAt: number | null;
}

/**
 * @param objective percent of the time
 * @param lengthMs of the window, which ends at `at`
 */
export function budgetOf(
  { violatedMs, knownMs }: Pick<Evaluation, 'violatedMs' | 'knownMs'>,
  objective: number,
  lengthMs: number,
  at: number,
): Budget {
  const allowed = 1 - objective / 100;
  const budgetMs = allowed * lengthMs;
  const leftMs = budgetMs - violatedMs;
  const pace = knownMs === 0 ? 0 : violatedMs / knownMs;
  return {
    coverage: knownMs / lengthMs,
    compliance: knownMs === 0 ? null : 100 * (1 - pace),
    // A hundredth of a millisecond is no violation: it comes from the percent.
    isMet: knownMs === 0 ? null : violatedMs <= allowed * knownMs + 0.01,
    budgetMs,
    leftMs,
    usedUpAt: violatedMs === 0 ? null : at + Math.max(0, leftMs) / pace,
  };
}
