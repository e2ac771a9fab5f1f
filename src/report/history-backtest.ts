import type { MonitorClient } from '../client/monitor-client.ts';
import { formatDuration } from '../core/duration.ts';
import { MonitorError } from '../core/error.ts';
import { formatValue } from '../core/format-value.ts';
import { seriesKey } from '../core/series.ts';
import type { Threshold } from '../core/threshold.ts';
import { type PolicyName, policies } from '../forecast/amber-policy.ts';
import { backtest } from '../forecast/backtest.ts';
import { type ScoredForecast, tallyOf } from '../forecast/score.ts';
import { clockTime } from '../platform/clock-time.ts';
import { terminalText } from '../platform/terminal-text.ts';
import { accuracyLines } from './accuracy-lines.ts';

export interface HistoryBacktest {
  host: string;
  process: string | null;
  threshold: Threshold;
  policy: PolicyName;
  sinceMs: number;
}

/** One stretch of AMBER. */
interface Episode {
  from: number;
  to: number;
  etaSeconds: number | null;
  breachAt: number | null;
  /** The horizon of its last step has not passed. */
  isOpen: boolean;
}

/**
 * What would have been said of one's own history, when, and how right it was, as lines for a person.
 * @throws MonitorError `not_found` when nothing is stored of the series
 */
export async function backtestHistory(client: MonitorClient, asked: HistoryBacktest, now: number): Promise<string[]> {
  const { horizonSeconds, stepSeconds } = await client.forecasts({ host: asked.host });
  const stepMs = stepSeconds * 1000;
  const { times, values } = await read(client, asked, now, stepMs);
  const shape = { threshold: asked.threshold.red, horizonSteps: Math.round(horizonSeconds / stepSeconds), stepSeconds };
  const { amber, probability, etaSteps, intervalSteps } = backtest(values, shape, policies[asked.policy]);
  const said = times.flatMap((time, k): ScoredForecast[] => {
    const value = values[k] ?? null;
    if (value === null) return [];
    const [eta, interval] = [etaSteps[k] ?? null, intervalSteps[k] ?? null];
    return [
      {
        time,
        value,
        threshold: shape.threshold,
        probability: probability[k] ?? null,
        isAmber: amber[k] === 1,
        etaMs: eta === null ? null : eta * stepMs,
        intervalMs: interval === null ? null : [interval[0] * stepMs, interval[1] * stepMs],
      },
    ];
  });
  const etas = new Map(times.map((time, k) => [time, etaSteps[k] ?? null]));
  const episodes = episodesOf(said, etas, stepMs, horizonSeconds * 1000);
  const tally = tallyOf(said, stepMs, horizonSeconds * 1000, times.at(-1) ?? 0);
  return [title(asked, times, said.length, stepMs), '', ...table(episodes), '', ...accuracyLines(tally)];
}

async function read(
  client: MonitorClient,
  { host, process, threshold, sinceMs }: HistoryBacktest,
  now: number,
  stepMs: number,
) {
  const { metric } = threshold.selector;
  const labels = process === null ? { host } : { host, process };
  const { series } = await client.series({
    series: seriesKey({ metric, labels }),
    window: `${sinceMs}ms`,
    step: `${stepMs}ms`,
    // The step that goes on has no mean yet.
    at: new Date(Math.floor(now / stepMs) * stepMs - 1).toISOString(),
  });
  const points = series[0]?.points ?? [];
  const [first] = points;
  if (!first) {
    const subject = process === null ? host : `${process} on ${host}`;
    throw new MonitorError(
      'not_found',
      `nothing is stored of ${threshold.metric} of ${subject} in the last ${formatDuration(sinceMs)}`,
    );
  }
  const start = Date.parse(first.time);
  const found = new Map(points.map(({ time, value }) => [Math.round((Date.parse(time) - start) / stepMs), value]));
  const count = Math.max(...found.keys()) + 1;
  // A forecast is made at the end of its step.
  const times = Array.from({ length: count }, (_, k) => start + (k + 1) * stepMs);
  return { times, values: times.map((_, k) => found.get(k) ?? null) };
}

function episodesOf(
  said: readonly ScoredForecast[],
  etas: ReadonlyMap<number, number | null>,
  stepMs: number,
  horizonMs: number,
): Episode[] {
  const episodes: Episode[] = [];
  let isOpen = false;
  for (const { time, isAmber, value, threshold } of said) {
    const last = episodes.at(-1);
    if (isAmber && !isOpen) {
      const steps = etas.get(time) ?? null;
      const breach = said.find(
        (step) => step.time > time && step.time <= time + horizonMs && step.value > step.threshold,
      );
      const etaSeconds = steps === null ? null : (steps * stepMs) / 1000;
      episodes.push({ from: time, to: time, etaSeconds, breachAt: breach?.time ?? null, isOpen: false });
    } else if (isAmber && last) last.to = time;
    if (value > threshold && isOpen && last) last.breachAt ??= time;
    isOpen = isAmber;
  }
  const until = said.at(-1)?.time ?? 0;
  for (const episode of episodes) episode.isOpen = episode.to + horizonMs > until;
  return episodes;
}

function title(
  { host, process, threshold, policy }: HistoryBacktest,
  times: readonly number[],
  known: number,
  stepMs: number,
): string {
  const subject = process === null ? terminalText(host) : `${terminalText(process)} on ${terminalText(host)}`;
  const line = `${threshold.metric} over ${formatValue(threshold.metric, threshold.red)}`;
  const span = `${clockTime(times[0] as number)} to ${clockTime(times.at(-1) as number)}`;
  const missing = times.length - known;
  return `${subject}: ${line}, ${span}, ${times.length} steps of ${formatDuration(stepMs)}${missing > 0 ? ` (${missing} missing)` : ''}, policy ${policy}`;
}

function table(episodes: readonly Episode[]): string[] {
  if (episodes.length === 0) return ['no AMBER would have been said'];
  return episodes.map(({ from, to, etaSeconds, breachAt, isOpen }) => {
    const eta = etaSeconds === null ? '' : `, expected in ${minutes(etaSeconds)}`;
    const nothing = isOpen ? 'not known yet' : 'nothing came of it';
    const came = breachAt === null ? nothing : `came true after ${minutes((breachAt - from) / 1000)}`;
    return `AMBER  ${clockTime(from)} to ${clockTime(to)}${eta}: ${came}`;
  });
}

function minutes(seconds: number): string {
  return formatDuration(Math.max(1, seconds < 120 ? Math.round(seconds) : Math.round(seconds / 60) * 60) * 1000);
}
