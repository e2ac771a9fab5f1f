import type { Forecast } from '../core/forecast.ts';
import type { TimeWindow } from '../core/store.ts';
import { emptyTally, type Tally } from '../core/tally.ts';

/** What was said of one series at one step, and what it was. */
export interface ScoredForecast {
  /** End of the step, epoch milliseconds. */
  time: number;
  value: number;
  threshold: number;
  /** Null where none was given: the series was over its threshold, or too young. */
  probability: number | null;
  isAmber: boolean;
  /** From `time` on, of an AMBER: when the breach was expected, and between which two times. Null: not said. */
  etaMs: number | null;
  intervalMs: readonly [number, number] | null;
}

/** How AMBER is judged, as it is told to people. */
export const precisionRule =
  'A stretch of AMBER counts as one alarm, and as one more for every further horizon it lasts; an alarm is false when no breach comes within a horizon of its start, and precision is breaches pointed at / (breaches pointed at + false alarms).';

/** A forecast as it is judged; whether it was muted, and so seen by nobody, is not asked. */
export function saidOf(forecast: Omit<Forecast, 'isMuted' | 'host' | 'process' | 'metric'>): ScoredForecast {
  const { time, value, threshold, probability, amberSince, etaSeconds, intervalSeconds } = forecast;
  return {
    time,
    value,
    threshold,
    probability,
    isAmber: amberSince !== null && probability !== null,
    etaMs: etaSeconds === null ? null : etaSeconds * 1000,
    intervalMs: intervalSeconds === null ? null : [intervalSeconds[0] * 1000, intervalSeconds[1] * 1000],
  };
}

export interface Accuracy {
  /** Null: there is nothing to divide by. */
  precision: number | null;
  recall: number | null;
  f1: number | null;
  brier: number | null;
  /** 1 is perfect, 0 no better than always saying the series' own share of breaches. */
  brierSkill: number | null;
  medianLeadSeconds: number | null;
  /** Mean distance of the time said from the breach, where one came. */
  etaErrorSeconds: number | null;
  /** Share of these breaches that came within the interval said; 0.8 is what it means to be. */
  intervalShare: number | null;
  falseAlarmsPerDay: number | null;
}

const dayMs = 86_400_000;

/** Before what is counted of a series, so much has to be told of it: no stretch of AMBER that matters is longer. */
export const contextMs = 2 * 3_600_000;

/**
 * How right the predictions of one series were, by time. Only those made a horizon before `until` or earlier
 * are judged: of later ones nobody knows yet.
 * @param counted only what lies in it is counted: windows that join up add up to the whole
 */
export function tallyOf(
  said: readonly ScoredForecast[],
  stepMs: number,
  horizonMs: number,
  until: number,
  counted: TimeWindow = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY },
): Tally {
  const tally = emptyTally();
  const breachAt = nextBreaches(said);
  const counts = ({ time }: ScoredForecast) => time > counted.from && time <= counted.to;
  const terms = { breachAt, stepMs, horizonMs, until, counts };
  judgePredictions(tally, said, terms);
  judgeBreaches(tally, said, terms);
  judgeAlarms(tally, said, terms);
  judgeTimes(tally, said, terms);
  return tally;
}

export function accuracyOf(tally: Tally): Accuracy {
  const precision = ratio(tally.pointedAt, tally.pointedAt + tally.falseAlarms);
  const recall = ratio(tally.warned, tally.breaches);
  const base = ratio(tally.followed, tally.predictions);
  const brier = ratio(tally.squaredError, tally.predictions);
  const uncertainty = base === null ? 0 : base * (1 - base);
  const leads = tally.leadsMs.toSorted((a, b) => a - b);
  const median = leads[Math.floor((leads.length - 1) / 2)];
  return {
    precision,
    recall,
    f1: precision === null || recall === null ? null : (ratio(2 * precision * recall, precision + recall) ?? 0),
    brier,
    brierSkill: brier === null || uncertainty === 0 ? null : 1 - brier / uncertainty,
    medianLeadSeconds: median === undefined ? null : median / 1000,
    etaErrorSeconds: ratio(tally.etaErrorMs / 1000, tally.etas),
    intervalShare: ratio(tally.intervalsHeld, tally.etas),
    falseAlarmsPerDay: ratio(tally.falseAlarms * dayMs, tally.coveredMs),
  };
}

/** A series is hopeless when nearly all that was said of it lately was false: so many alarms, so few breaches they pointed at. */
export function isHopeless({ pointedAt, falseAlarms }: Tally): boolean {
  return falseAlarms >= 8 && pointedAt < 0.1 * (pointedAt + falseAlarms);
}

interface Terms {
  /** The time of the first breach after each step. */
  breachAt: readonly number[];
  stepMs: number;
  horizonMs: number;
  until: number;
  counts: (step: ScoredForecast) => boolean;
}

/** The time of the first breach after each step. */
function nextBreaches(said: readonly ScoredForecast[]): number[] {
  let next = Number.POSITIVE_INFINITY;
  const found: number[] = [];
  for (const step of said.toReversed()) {
    found.push(next);
    if (isBreach(step)) next = step.time;
  }
  return found.reverse();
}

function isBreach({ value, threshold }: ScoredForecast): boolean {
  return value > threshold;
}

function judgePredictions(tally: Tally, said: readonly ScoredForecast[], terms: Terms): void {
  const { breachAt, stepMs, horizonMs, until, counts } = terms;
  for (const [k, step] of said.entries()) {
    const { time, probability } = step;
    if (probability === null || !counts(step) || !isJudged(said, k, horizonMs, until)) continue;
    const outcome = (breachAt[k] as number) <= time + horizonMs ? 1 : 0;
    tally.predictions++;
    tally.followed += outcome;
    tally.squaredError += (probability - outcome) ** 2;
    tally.coveredMs += stepMs;
  }
}

function judgeBreaches(tally: Tally, said: readonly ScoredForecast[], { horizonMs, until, counts }: Terms): void {
  let lastBreach = Number.NEGATIVE_INFINITY;
  let start = 0;
  for (const [k, step] of said.entries()) {
    if (!isBreach(step)) continue;
    while ((said[start] as ScoredForecast).time < step.time - horizonMs) start++;
    const isNew = step.time - lastBreach > horizonMs;
    lastBreach = step.time;
    if (!isNew || !counts(step)) continue;
    const before = said.slice(start, k).map((earlier, index) => ({ ...earlier, k: start + index }));
    const predictions = before.filter(({ probability }) => probability !== null);
    if (predictions.length === 0) tally.unforeseeable++;
    // Warnings and false alarms of the same steps are judged together, or not yet.
    const judged = predictions.filter((earlier) => isJudged(said, earlier.k, horizonMs, until));
    if (judged.length === 0) continue;
    tally.breaches++;
    const first = judged.find((earlier) => earlier.isAmber);
    if (!first) continue;
    tally.warned++;
    tally.leadsMs.push(step.time - first.time);
  }
}

function judgeAlarms(
  tally: Tally,
  said: readonly ScoredForecast[],
  { breachAt, horizonMs, until, counts }: Terms,
): void {
  let start: number | null = null;
  // A breach that two alarms point at counts where the first of them does.
  const pointedAt = new Set<number>();
  for (const [k, step] of said.entries()) {
    // A value that is missing ends no stretch; one that is there and no AMBER does.
    if (!isOpenAmber(step) || !isJudged(said, k, horizonMs, until)) start = null;
    else if (start === null || step.time - start >= horizonMs) {
      start = step.time;
      const breach = breachAt[k] as number;
      const isFalse = breach > step.time + horizonMs;
      if (counts(step)) {
        tally.alarms++;
        if (isFalse) tally.falseAlarms++;
        else if (!pointedAt.has(breach)) tally.pointedAt++;
      }
      if (!isFalse) pointedAt.add(breach);
    }
  }
}

function isOpenAmber(step: ScoredForecast): boolean {
  return step.isAmber && step.probability !== null && !isBreach(step);
}

/** Whether it is known what came within the horizon: it has passed, and was not all missing. */
function isJudged(said: readonly ScoredForecast[], k: number, horizonMs: number, until: number): boolean {
  const end = (said[k] as ScoredForecast).time + horizonMs;
  const next = said[k + 1];
  return end <= until && next !== undefined && next.time <= end;
}

function judgeTimes(
  tally: Tally,
  said: readonly ScoredForecast[],
  { breachAt, horizonMs, until, counts }: Terms,
): void {
  for (const [k, step] of said.entries()) {
    const after = (breachAt[k] as number) - step.time;
    if (!counts(step) || !isOpenAmber(step) || step.etaMs === null || step.intervalMs === null) continue;
    if (after > horizonMs || step.time + horizonMs > until) continue;
    const [low, high] = step.intervalMs;
    tally.etas++;
    tally.etaErrorMs += Math.abs(step.etaMs - after);
    if (low <= after && after <= high) tally.intervalsHeld++;
  }
}

function ratio(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}
