import { formatDuration } from '../core/duration.ts';
import { formatValue } from '../core/format-value.ts';
import type { ThresholdMetric } from '../core/threshold.ts';

/** What is known when a series is about to breach. */
export interface ReasonFacts {
  metric: ThresholdMetric;
  value: number;
  threshold: number;
  stepSeconds: number;
  /** Per step; null: there is no clear trend. */
  slope: number | null;
  etaSeconds: number | null;
  intervalSeconds: [number, number] | null;
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

/** A trend is the reason only where it covers half of the way by itself. */
const leastShareOfGap = 0.5;

function directionOf({
  metric,
  value,
  threshold,
  slope,
  stepSeconds,
  etaSeconds,
  intervalSeconds,
}: ReasonFacts): string {
  const line = formatValue(metric, threshold);
  const by = etaSeconds === null ? 'soon' : `in about ${minutes(etaSeconds, intervalSeconds)}`;
  const covered = ((slope ?? 0) * (etaSeconds ?? 0)) / stepSeconds;
  if (slope === null || covered < leastShareOfGap * (threshold - value)) return `likely over ${line} ${by}`;
  const unit = formatValue(metric, 0).replace(/^[\d.]+ ?/, '');
  const perMinute = (slope * 60) / stepSeconds;
  const rate = `${perMinute < 0.995 ? perMinute.toPrecision(2) : perMinute.toFixed(1)}${unit && ` ${unit}`}/min`;
  return `rising ${rate}, reaches ${line} ${by}`;
}

function minutes(etaSeconds: number, intervalSeconds: [number, number] | null): string {
  if (etaSeconds < 60) return formatDuration(Math.max(1, Math.round(etaSeconds)) * 1000);
  const [low, high] = (intervalSeconds ?? []).map((seconds) => Math.round(seconds / 60));
  return `${Math.round(etaSeconds / 60)} min${low === undefined || low === high ? '' : ` (${low}-${high})`}`;
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
