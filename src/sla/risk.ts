import { formatDuration } from '../core/duration.ts';
import { seriesKey } from '../core/series.ts';
import type { TimeWindow } from '../core/store.ts';
import type { RangePassing } from '../forecast/range-forecaster.ts';
import type { WindowStatus } from './sla-reader.ts';
import { unionOf } from './violation.ts';

/** That the error budget of a window is used up within the horizon. */
export interface Risk {
  window: string;
  /** By the one series that is likeliest to use it up. */
  probability: number;
  /** When, and between which two eight in ten lie; 0 where nothing is likely. */
  etaSeconds: number;
  intervalSeconds: [number, number];
  reason: string;
}

/** What is known at the end of a window. */
export interface RiskFacts {
  status: Pick<WindowStatus, 'window' | 'from' | 'to' | 'leftMs'>;
  /** Of the window, of one that is as long or longer. */
  violations: readonly TimeWindow[];
  passings: readonly RangePassing[];
  horizonMs: number;
}

/**
 * A violation of nobody knows what length lasts between a sixtieth of the horizon and all of it, every order alike. Of
 * 1,028 on recorded series 45 % lasted a fifth of the horizon, 24 % a third and 19 % a half: this says 39, 27 and 17.
 */
const shortestShare = 1 / 60;
/** Less is what rounding leaves. */
const nothingMs = 0.01;

/** What may use up a budget: a violation that is under way and goes on, or one that is predicted and lasts. */
export function riskOf(facts: RiskFacts): Risk {
  const { status, violations, passings } = facts;
  const none: Risk = { window: status.window, probability: 0, etaSeconds: 0, intervalSeconds: [0, 0], reason: '' };
  if (status.leftMs < -nothingMs) return { ...none, probability: 1, reason: `the ${status.window} budget is used up` };
  const neededMs = violationNeeded(violations, status.from, Math.max(0, status.leftMs));
  const open = violations.filter(({ to }) => to >= status.to);
  const lastedMs = open.length === 0 ? 0 : status.to - Math.min(...open.map(({ from }) => from));
  // What is out of its range by now may have been in it when the window ended.
  const isOut = open.length > 0 || passings.some((passing) => passing.isOut);
  const risks = isOut
    ? [goingOn(facts, neededMs, lastedMs)]
    : passings.map((passing) => predicted(facts, neededMs, passing));
  return (
    risks.reduce((worst, risk) => ((risk?.probability ?? 0) > (worst?.probability ?? 0) ? risk : worst), none) ?? none
  );
}

/** How long a violation has to last from now on to use up what is left: meanwhile others leave the window. */
function violationNeeded(violations: readonly TimeWindow[], from: number, leftMs: number): number {
  let [at, left] = [from, leftMs];
  for (const past of unionOf(violations)) {
    const between = Math.max(0, past.from - at);
    if (between >= left) break;
    left -= between;
    at = Math.max(at, past.to);
  }
  return at - from + left;
}

/**
 * One that has just begun lasts as violations do. Of what has lasted for a while nothing else is known: that it lasts at
 * least as long again has the chance of one half, and that it lasts k times as long in all 1 / k (Gott 1993,
 * doi:10.1038/363315a0).
 */
function goingOn(
  { status: { window, to }, violations, horizonMs }: RiskFacts,
  neededMs: number,
  lastedMs: number,
): Risk | null {
  if (neededMs > horizonMs) return null;
  const ended = violations.filter((violation) => violation.to < to);
  const probability = Math.max(lastedMs / (lastedMs + neededMs || 1), shareLasting(ended, neededMs, horizonMs));
  const etaSeconds = neededMs / 1000;
  const reason = `out of its range for ${secondsText(lastedMs)}; if that goes on, the ${window} budget is used up in ${secondsText(neededMs)}`;
  return { window, probability, etaSeconds, intervalSeconds: [etaSeconds, etaSeconds], reason };
}

/** It has to come so early that what is left of the budget ends within the horizon, and to last as long. */
function predicted({ status, violations, horizonMs }: RiskFacts, neededMs: number, passing: RangePassing): Risk | null {
  const { probability, etaSeconds, intervalSeconds, series } = passing;
  if (probability === null || etaSeconds === null || intervalSeconds === null) return null;
  const within = (seconds: number) => Math.min(seconds + neededMs / 1000, horizonMs / 1000);
  const early = shareBefore((horizonMs - neededMs) / 1000, etaSeconds, intervalSeconds, horizonMs / 1000);
  return {
    window: status.window,
    probability: probability * early * shareLasting(violations, neededMs, horizonMs),
    etaSeconds: within(etaSeconds),
    intervalSeconds: [within(intervalSeconds[0]), within(intervalSeconds[1])],
    reason: `${seriesKey(series)} ${passing.reason}; ${secondsText(status.leftMs)} are left of the ${status.window} budget`,
  };
}

/** The share of violations that last so long: those there were, and one more of which nothing is known. */
function shareLasting(violations: readonly TimeWindow[], neededMs: number, horizonMs: number): number {
  const shortest = horizonMs * shortestShare;
  const unknown = 1 - Math.log(Math.min(Math.max(neededMs, shortest), horizonMs) / shortest) / -Math.log(shortestShare);
  const lasting = violations.filter(({ from, to }) => to - from >= neededMs).length;
  return (lasting + unknown) / (violations.length + 1);
}

/** The share of passages that come before so many seconds: straight lines between what is known of them. */
function shareBefore(
  seconds: number,
  median: number,
  [low, high]: readonly [number, number],
  horizonSeconds: number,
): number {
  const known = [[low, 0.1] as const, [median, 0.5] as const, [high, 0.9] as const, [horizonSeconds, 1] as const];
  let [before, shareThere] = [0, 0];
  for (const [at, share] of known) {
    if (seconds < at)
      return seconds <= before ? shareThere : shareThere + ((share - shareThere) * (seconds - before)) / (at - before);
    [before, shareThere] = [at, share];
  }
  return 1;
}

function secondsText(ms: number): string {
  return formatDuration(Math.max(1, Math.round(ms / 1000)) * 1000);
}
