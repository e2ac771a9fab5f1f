import { setImmediate } from 'node:timers/promises';
import { samplesWithin } from '../core/bounded-samples.ts';
import { parseDuration } from '../core/duration.ts';
import { MonitorError } from '../core/error.ts';
import type { Sample } from '../core/sample.ts';
import { parseSelector } from '../core/selector.ts';
import { seriesKey } from '../core/series.ts';
import type { Reads, TimeWindow } from '../core/store.ts';
import { type Budget, budgetOf } from './budget.ts';
import { currentOf, type Sla } from './sla.ts';
import { type Evaluation, evaluateSla, type Judged, reachMs, type Violation } from './violation.ts';

/** More samples are not read for one answer. */
const mostSamples = 250_000;

/** How an SLA stands in one of its windows. */
export interface WindowStatus extends Budget, TimeWindow {
  window: string;
  violations: number;
  violatedMs: number;
}

export interface SlaStatus {
  /** Of the end of the windows. */
  at: number;
  /** Whether a series is out of the range now; null: nothing is known now. */
  isViolated: boolean | null;
  /** Of the longest window. */
  violations: Violation[];
  windows: WindowStatus[];
}

/**
 * What of a window is violation, by the definitions that were in force.
 * @throws MonitorError `invalid` for more series or samples than are read for one answer
 */
export async function violationsIn(reads: Reads<[]>, sla: Sla, window: TimeWindow): Promise<Violation[]> {
  return evaluateSla(await judgedIn(reads, sla, window), window).violations;
}

/**
 * The same of several windows, of samples that are read once.
 * @throws as `violationsIn`
 */
export async function violationsOver(
  reads: Reads<[]>,
  sla: Sla,
  windows: readonly TimeWindow[],
): Promise<Violation[][]> {
  const from = Math.min(...windows.map((window) => window.from));
  const to = Math.max(...windows.map((window) => window.to));
  const judged = await judgedIn(reads, sla, { from, to });
  return windows.map((window) => evaluateSla(judged, window).violations);
}

/** How it stands at an instant. @throws as `violationsIn` */
export async function statusOf(reads: Reads<[]>, sla: Sla, at: number): Promise<SlaStatus> {
  const { windows, objective } = currentOf(sla);
  const lengths = windows.map((window) => ({ window, lengthMs: parseDuration(window, 'windows') }));
  const longest = { from: at - Math.max(...lengths.map(({ lengthMs }) => lengthMs)), to: at };
  const judged = await judgedIn(reads, sla, longest);
  const evaluated: WindowStatus[] = [];
  let ofLongest: Violation[] = [];
  for (const { window, lengthMs } of lengths) {
    // Others have their turn: each takes a twentieth of a second where there are many samples.
    await setImmediate();
    const span = { from: at - lengthMs, to: at };
    const { violations, violatedMs, knownMs } = evaluateSla(judged, span);
    if (span.from === longest.from) ofLongest = violations;
    const budget = budgetOf({ violatedMs, knownMs }, objective, lengthMs, at);
    evaluated.push({ window, ...span, violations: violations.length, violatedMs, ...budget });
  }
  const isViolated = isViolatedNow(evaluateSla(judged, { from: at - 1, to: at }));
  return { at, isViolated, violations: ofLongest, windows: evaluated };
}

function isViolatedNow({ violatedMs, knownMs }: Evaluation): boolean | null {
  return knownMs === 0 ? null : violatedMs > 0;
}

/** Each series is held to the definitions that name it. */
async function judgedIn(reads: Reads<[]>, { versions }: Sla, window: TimeWindow): Promise<Judged[]> {
  const inForce = versions.filter((_, index) => (versions[index + 1]?.since ?? Number.POSITIVE_INFINITY) > window.from);
  const bySelector = new Map<string, Map<string, Sample[]>>();
  let room = mostSamples;
  for (const selector of new Set(inForce.map((version) => version.selector))) {
    const found = new Map(await samplesOfSelector(reads, selector, window, room));
    for (const samples of found.values()) room -= samples.length;
    bySelector.set(selector, found);
  }
  const samples = new Map([...bySelector.values()].flatMap((found) => [...found]));
  return [...samples].map(([series, samples]) => ({
    series,
    samples,
    heldTo: versions.map(({ since, selector, min, max }) => ({
      since,
      range: bySelector.get(selector)?.has(series) ? { min, max } : null,
    })),
  }));
}

async function samplesOfSelector(reads: Reads<[]>, text: string, { from, to }: TimeWindow, most: number) {
  const window = { from: from - reachMs, to };
  const present = await reads.select({ ...window, series: parseSelector(text), stepMs: Math.ceil(to - window.from) });
  const series = present.map((each) => each.series);
  const found = await samplesWithin((query) => reads.select(query), series, window, most);
  if (found !== null) return found.map(({ series, samples }) => [seriesKey(series), samples] as const);
  throw new MonitorError(
    'invalid',
    `the SLA is on ${series.length} series with more than ${mostSamples} samples in the window, and no more are read for one answer; name fewer series (host="web-01") or shorter windows`,
  );
}
