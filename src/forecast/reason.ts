import { formatDuration } from '../core/duration.ts';
import { formatValue } from '../core/format-value.ts';
import type { Side } from './side.ts';

/** What is known when a series is about to breach. */
export interface ReasonFacts {
  metric: string;
  /** Absent: a breach is above the threshold. `below`: value and slope are those of a mirror. */
  side?: Side;
  value: number;
  threshold: number;
  stepSeconds: number;
  /** Per step; null: there is no clear trend. */
  slope: number | null;
  /** Of a breach within the horizon. */
  probability: number;
  horizonSeconds: number;
  /** If it comes within the horizon. */
  etaSeconds: number;
  intervalSeconds: [number, number];
  /** Past visits to a state like this one, and how many of them ended in a breach. */
  visits: { alike: number; breached: number };
  /** The cycle whose phase foretells a breach, if one does. */
  cycle: { steps: number; seen: number; breached: number } | null;
}

/** Visits fewer than this say nothing. */
const leastVisits = 3;

/** One sentence for a person: where it is going, by when, and what happened before. */
export function reasonOf(facts: ReasonFacts): string {
  return [directionOf(facts), cycleOf(facts) ?? visitsOf(facts)].filter(Boolean).join('; ');
}

/**
 * Where it is going and by when. The rate is told only where it leads to the time that is told: nobody shall do the
 * sum and find another one. More likely not than so is said as that.
 */
function directionOf(facts: ReasonFacts): string {
  const { metric, threshold, probability, horizonSeconds } = facts;
  const line = formatValue(metric, threshold);
  const by = `in about ${minutes(facts.etaSeconds, facts.intervalSeconds)}`;
  const rate = rateOf(facts);
  const { beyond, going } = words[facts.side ?? 'above'];
  if (probability < 0.5) {
    const not = `likely not ${beyond} ${line} within ${lengthOf(horizonSeconds)}, if so ${by}`;
    return rate === null ? not : `${going} ${rate}; ${not}`;
  }
  return rate === null ? `likely ${beyond} ${line} ${by}` : `${going} ${rate}, reaches ${line} ${by}`;
}

const words = {
  above: { beyond: 'over', going: 'rising' },
  below: { beyond: 'under', going: 'falling' },
} as const;

function rateOf({
  metric,
  value,
  threshold,
  slope,
  stepSeconds,
  intervalSeconds: [low, high],
}: ReasonFacts): string | null {
  if (slope === null || slope <= 0) return null;
  const arithmetic = ((threshold - value) / slope) * stepSeconds;
  // Both are read as rounded to the minute.
  const rounding = high < 60 ? 0.5 : 30;
  if (arithmetic < low - rounding || arithmetic > high + rounding) return null;
  const unit = formatValue(metric, 0).replace(/^[\d.]+ ?/, '');
  const perMinute = (slope * 60) / stepSeconds;
  return `${perMinute < 0.995 ? perMinute.toPrecision(2) : perMinute.toFixed(1)}${unit && ` ${unit}`}/min`;
}

function minutes(etaSeconds: number, intervalSeconds: [number, number]): string {
  if (etaSeconds < 60) return formatDuration(Math.max(1, Math.round(etaSeconds)) * 1000);
  const [low, high] = intervalSeconds.map((seconds) => Math.round(seconds / 60));
  return `${Math.round(etaSeconds / 60)} min${low === high ? '' : ` (${low}-${high})`}`;
}

function cycleOf({ cycle, stepSeconds }: ReasonFacts): string | null {
  if (!cycle) return null;
  return `it breached at this point in ${cycle.breached} of the last ${cycle.seen} periods of ${lengthOf(cycle.steps * stepSeconds)}`;
}

/** To the minute where that is short enough to be read. */
function lengthOf(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 8 * 3600 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 360) / 10} h`;
}

function visitsOf({ visits }: ReasonFacts): string | null {
  if (visits.alike < leastVisits) return null;
  return `this series breached ${visits.breached} of the last ${visits.alike} times it looked like this`;
}
