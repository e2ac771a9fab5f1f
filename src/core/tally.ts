import type { Series } from './series.ts';

/** How right the predictions of one series were, as counts that add up over series and over time. */
export interface Tally {
  /** Predictions whose horizon has passed, and how many of them were followed by a breach. */
  predictions: number;
  followed: number;
  /** Sum of (probability - outcome)^2. */
  squaredError: number;
  /** Breaches after at least a horizon of quiet that a prediction could have warned of, and of these, those it did. */
  breaches: number;
  warned: number;
  /** Breaches with no prediction in the horizon before: the series was new. They count in nothing else. */
  unforeseeable: number;
  /** AMBER alarms, those that pointed at no breach, and the breaches that the others pointed at: see `precisionRule`. */
  alarms: number;
  falseAlarms: number;
  pointedAt: number;
  /** Times of a breach that were said of an AMBER and then came true, the sum of their errors, and how many intervals held. */
  etas: number;
  etaErrorMs: number;
  intervalsHeld: number;
  /** From the first AMBER in the horizon before a breach to the breach, of those warned of. */
  leadsMs: number[];
  /** Time covered by predictions. */
  coveredMs: number;
}

/** Of one hour, or of all hours that were asked for. */
export interface HourTally {
  series: Series;
  /** End of the (last) hour, epoch milliseconds. */
  time: number;
  /** Whether the series was muted at the end. */
  isMuted: boolean;
  tally: Tally;
}

/** All of a tally that is one number. */
export const tallyCounts = [
  'predictions',
  'followed',
  'squaredError',
  'breaches',
  'warned',
  'unforeseeable',
  'alarms',
  'falseAlarms',
  'pointedAt',
  'etas',
  'etaErrorMs',
  'intervalsHeld',
  'coveredMs',
] as const satisfies readonly (keyof Tally)[];

export function emptyTally(): Tally {
  const counts = Object.fromEntries(tallyCounts.map((key) => [key, 0])) as Omit<Tally, 'leadsMs'>;
  return { ...counts, leadsMs: [] };
}

export function addTallies(tallies: readonly Tally[]): Tally {
  const sum = emptyTally();
  for (const tally of tallies) {
    for (const key of tallyCounts) sum[key] += tally[key];
    for (const lead of tally.leadsMs) sum.leadsMs.push(lead);
  }
  return sum;
}
