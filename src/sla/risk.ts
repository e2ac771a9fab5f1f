import { formatDuration } from '../core/duration.ts';
import { seriesKey } from '../core/series.ts';
import type { RangePassing } from '../forecast/range-forecaster.ts';
import type { WindowStatus } from './sla-reader.ts';

/** That the error budget of a window is used up within the horizon. */
export interface Risk {
  window: string;
  probability: number;
  /** When, and between which two eight in ten lie; 0 where nothing is likely. */
  etaSeconds: number;
  intervalSeconds: [number, number];
  reason: string;
}

const eightInTen: [number, number] = [0.1, 0.9];

/**
 * What may use up a budget: a violation that is under way and goes on, or one that is predicted and lasts.
 * @param violatedForMs how long the one under way has lasted; null: there is none
 */
export function riskOf(
  status: Pick<WindowStatus, 'window' | 'leftMs'>,
  violatedForMs: number | null,
  passings: readonly RangePassing[],
  horizonMs: number,
): Risk {
  const none: Risk = { window: status.window, probability: 0, etaSeconds: 0, intervalSeconds: [0, 0], reason: '' };
  const left = status.leftMs;
  // It is used up already.
  if (left < 0) return none;
  const risks = [
    ...(violatedForMs === null ? [] : [goingOn(status.window, left, violatedForMs, horizonMs)]),
    ...passings.map((passing) => predicted(status.window, left, passing, horizonMs)),
  ];
  return risks.reduce((worst, risk) => (risk.probability > worst.probability ? risk : worst), none);
}

/**
 * Of what has lasted for a while nothing else is known: that it lasts at least as long again has the chance of one
 * half, and that it lasts k times as long in all 1 / k (Gott 1993, doi:10.1038/363315a0).
 */
function goingOn(window: string, leftMs: number, violatedForMs: number, horizonMs: number): Risk {
  const probability = leftMs > horizonMs || violatedForMs <= 0 ? 0 : violatedForMs / (violatedForMs + leftMs);
  const etaSeconds = leftMs / 1000;
  const since = `out of its range for ${secondsText(violatedForMs)}`;
  const reason = `${since}; if that goes on, the ${window} budget is used up in ${secondsText(leftMs)}`;
  return { window, probability, etaSeconds, intervalSeconds: [etaSeconds, etaSeconds], reason };
}

/** It has to come so early that what is left of the budget ends within the horizon. */
function predicted(window: string, leftMs: number, passing: RangePassing, horizonMs: number): Risk {
  const { probability, etaSeconds, intervalSeconds, series } = passing;
  const none = { window, probability: 0, etaSeconds: 0, intervalSeconds: [0, 0] as [number, number], reason: '' };
  if (probability === null || etaSeconds === null || intervalSeconds === null) return none;
  const within = (seconds: number) => Math.min(seconds + leftMs / 1000, horizonMs / 1000);
  const share = shareBefore((horizonMs - leftMs) / 1000, etaSeconds, intervalSeconds, horizonMs / 1000);
  return {
    window,
    probability: probability * share,
    etaSeconds: within(etaSeconds),
    intervalSeconds: [within(intervalSeconds[0]), within(intervalSeconds[1])],
    reason: `${seriesKey(series)} ${passing.reason}; ${secondsText(leftMs)} are left of the ${window} budget`,
  };
}

/** The share of passages that come before so many seconds: straight lines between what is known of them. */
function shareBefore(
  seconds: number,
  median: number,
  [low, high]: readonly [number, number],
  horizonSeconds: number,
): number {
  const known = [
    [0, 0],
    [low, eightInTen[0]],
    [median, 0.5],
    [high, eightInTen[1]],
    [horizonSeconds, 1],
  ] as const;
  for (const [index, [at, share]] of known.entries()) {
    const [before, shareThere] = known[index - 1] ?? [0, 0];
    if (seconds < at)
      return seconds <= before ? shareThere : shareThere + ((share - shareThere) * (seconds - before)) / (at - before);
  }
  return seconds < 0 ? 0 : 1;
}

function secondsText(ms: number): string {
  return formatDuration(Math.max(1, Math.round(ms / 1000)) * 1000);
}
