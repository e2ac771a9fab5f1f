import type { Colors } from 'picocolors/types.js';
import { serverClockMetric } from '../core/alarm.ts';
import { formatDuration } from '../core/duration.ts';
import { formatValue } from '../core/format-value.ts';
import type { HostMetric } from '../core/metric.ts';
import { clockTime } from '../platform/clock-time.ts';
import { terminalJson, terminalText } from '../platform/terminal-text.ts';
import { wordWrap } from '../platform/word-wrap.ts';
import type { Announcement } from './announcement.ts';

const paint: Record<Announcement['level'], (colors: Colors, text: string) => string> = {
  RED: (colors, text) => colors.bold(colors.red(text)),
  AMBER: (colors, text) => colors.bold(colors.yellow(text)),
  STALE: (colors, text) => colors.magenta(text),
  OK: (colors, text) => colors.green(text),
};
const levelWidth = 5;
const dayCharacters = '2026-11-21 '.length;
/** Time, level and the room between. */
const headColumns = 28;
const foldedNames: HostMetric = 'collector.foldedNames';

/** One line for a person: time, level as a word, host, subject, and what there is to know. */
export function renderLine(announcement: Announcement, colors: Colors, columns: number | null = null): string {
  const { time, level, host } = announcement;
  const head = `${clockTime(time)}  ${paint[level](colors, level.padEnd(levelWidth))}  `;
  const text = [terminalText(host) || '-', ...subject(announcement), terminalText(story(announcement), 600)].join('  ');
  return wordWrap(text, columns, headColumns, head);
}

/** The same as one line of NDJSON. */
export function renderJson(announcement: Announcement): string {
  const iso = (time: number | null) => (time === null ? null : new Date(time).toISOString());
  return terminalJson({ ...announcement, time: iso(announcement.time), since: iso(announcement.since) });
}

/** An instant in a line that begins with another: the day is not said twice. */
function timeBeside(instant: number, beside: number): string {
  const [text, other] = [clockTime(instant), clockTime(beside)];
  return text.slice(0, dayCharacters) === other.slice(0, dayCharacters) ? text.slice(dayCharacters) : text;
}

function subject({ process, pid, metric, series }: Announcement): string[] {
  if (metric === null) return [];
  if (series) return [terminalText(series, 200)];
  return process === null ? ['(host)'] : [`${terminalText(process)}${pid === null ? '' : `[${pid}]`}`];
}

function story(announcement: Announcement): string {
  const { level, metric, value, threshold, since, time, reason, before, leadSeconds, series } = announcement;
  // Of another source nobody knows the unit, whatever its name is.
  const told = (number: number) => formatValue(series || metric === null ? '' : metric, number);
  const ago = since === null ? '' : formatDuration(Math.max(0, Math.round((time - since) / 1000) * 1000));
  if (reason.startsWith('forgotten')) return reason;
  if (metric === null)
    return level === 'STALE'
      ? `silent for ${ago}, last heard of at ${timeBeside(since ?? time, time)}: its collector has ended, or the host or the network is down`
      : 'is reporting again';
  if (level === 'OK') {
    const wasBefore = `was ${before} for ${ago}`;
    if (isClock(metric)) return `the clock is right again; ${wasBefore}`;
    if (metric === foldedNames) return `its new process names are kept one by one again; ${wasBefore}`;
    if (before === 'AMBER' && value !== null)
      return `${metric} ${told(value)}, not expected over ${told(threshold ?? 0)} any more; ${wasBefore}`;
    if (value === null) return `${terminalText(reason)}; ${metric} ${wasBefore}`;
    return `${metric} ${told(value)}, no longer over ${told(threshold ?? 0)}; ${wasBefore}`;
  }
  const over = `over ${told(threshold ?? 0)} since ${timeBeside(since ?? time, time)}`;
  const isOver = (value ?? 0) > (threshold ?? 0);
  const line = `${metric} ${told(value ?? 0)}, ${isOver ? over : `was ${over}; RED until it stays down`}`;
  const [, culprits] = reason.split('; most by ');
  if (isClock(metric) || metric === foldedNames) return `${terminalText(reason, 300)}${silence(announcement)}`;
  if (level === 'AMBER')
    return `${metric} ${told(value ?? 0)}: ${terminalText(reason, 300)} (${likelihood(announcement)})${silence(announcement)}`;
  const lead = leadSeconds === null ? '' : `; predicted ${formatDuration(leadSeconds * 1000)} before`;
  return `${line}${lead}${culprits === undefined ? '' : `; most by ${terminalText(culprits, 120)}`}`;
}

function isClock(metric: string): boolean {
  return metric === 'collector.clockSkewSeconds' || metric === serverClockMetric;
}

/** Nothing that has not come yet is certain. */
function likelihood({ prediction }: Announcement): string {
  return prediction === null
    ? 'it has come true'
    : `${Math.min(99, Math.round(prediction.probability * 100))} % likely`;
}

/** What is said of a silent host is old. */
function silence({ state }: Announcement): string {
  return state === 'stale' ? '; its host has fallen silent, this was its last state' : '';
}
