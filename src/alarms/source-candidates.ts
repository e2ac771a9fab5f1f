import { gapOf } from '../core/alarm.ts';
import { hasEnded, isKnown, type Point } from '../core/sample.ts';
import { isOfOtherSource, type Series, subjectOf } from '../core/series.ts';
import type { Reads, Selected, TimeWindow } from '../core/store.ts';
import type { ThresholdSet } from '../core/threshold-set.ts';
import { type Candidate, type Reporter, seriesCandidate } from './candidate.ts';

/** A series that has said nothing for so long is not looked at any more. */
const longestSilenceMs = 3_600_000;
/** Until it has been silent for three times this, or three times as long as it usually is, it counts as fresh. */
const leastIntervalMs = 100_000;
/** With fewer samples than this in the hour a series is looked at for so long. */
const leastSamples = 4;
const rareReachMs = 86_400_000;
/** Series over one line that are looked at: those that have been there longest. */
const mostSeriesOver = 500;

/**
 * What other sources than hosts have sent, where there is a line on it, and it was over its clear level within the hour.
 * @param isGone those that nobody wants to hear of any more
 */
export async function sourceCandidates(
  lines: ThresholdSet,
  at: number,
  isGone: (series: Series) => boolean,
  reads: Reads<[]>,
): Promise<Candidate[]> {
  const found: Candidate[] = [];
  const window = { from: at - longestSilenceMs, to: at };
  for (const threshold of lines.all.filter(({ selector }) => isOfOtherSource(selector.metric))) {
    const above = await reads.above(threshold.selector, threshold.clear, window);
    const series = above.filter((each) => lines.on(each) === threshold && !isGone(each)).slice(0, mostSeriesOver);
    for (const { series: each, samples } of await samplesOf(series, window, reads)) {
      const known = samples.filter(isKnown);
      const last = known.at(-1);
      if (last === undefined || last.time <= window.from || hasEnded(samples)) continue;
      const header = reporterOf(each, known);
      const heldFrom = last.time - threshold.holdMs - gapOf(header);
      if (known.some(({ time, value }) => value > threshold.clear && (time === last.time || time > heldFrom)))
        found.push(seriesCandidate(threshold, each, header, last.value));
    }
  }
  return found;
}

/** Of those that report rarely of a day: from one or two samples nobody knows how often they come. */
async function samplesOf(series: readonly Series[], window: TimeWindow, reads: Reads<[]>): Promise<Selected[]> {
  if (series.length === 0) return [];
  const found = await reads.select({ ...window, series, stepMs: null });
  const rare = found.filter(({ samples }) => samples.length < leastSamples).map((each) => each.series);
  if (rare.length === 0) return found;
  const longer = await reads.select({ from: window.to - rareReachMs, to: window.to, series: rare, stepMs: null });
  return [...found.filter(({ samples }) => samples.length >= leastSamples), ...longer];
}

/** A source as if it were a host that reports as often as the samples come. */
function reporterOf(series: Series, samples: readonly Point[]): Reporter {
  const gaps = samples.slice(1).map(({ time }, index) => time - (samples[index] as Point).time);
  const usual = gaps.sort((a, b) => a - b)[Math.floor(gaps.length / 2)] ?? 0;
  return {
    host: subjectOf(series).host,
    ip: null,
    time: (samples.at(-1) as Point).time,
    intervalMs: Math.max(leastIntervalMs, usual),
    metrics: {},
  };
}
