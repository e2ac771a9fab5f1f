import type { Colors } from 'picocolors/types.js';
import { formatDuration } from '../core/duration.ts';
import { terminalJson, terminalText } from '../core/terminal-text.ts';
import type { Announcement } from './announcement.ts';

const paint: Record<Announcement['level'], (colors: Colors, text: string) => string> = {
  RED: (colors, text) => colors.bold(colors.red(text)),
  AMBER: (colors, text) => colors.bold(colors.yellow(text)),
  STALE: (colors, text) => colors.magenta(text),
  OK: (colors, text) => colors.green(text),
};
const levelWidth = 5;

/** One line for a person: time, level as a word, host, subject, and what there is to know. */
export function renderLine(announcement: Announcement, colors: Colors): string {
  const { time, level, host } = announcement;
  const word = paint[level](colors, level.padEnd(levelWidth));
  return [
    clockTime(time),
    word,
    terminalText(host),
    ...subject(announcement),
    terminalText(story(announcement), 600),
  ].join('  ');
}

/** The same as one line of NDJSON. */
export function renderJson(announcement: Announcement): string {
  const iso = (time: number | null) => (time === null ? null : new Date(time).toISOString());
  return terminalJson({ ...announcement, time: iso(announcement.time), since: iso(announcement.since) });
}

/** Local date and time to the second. */
export function clockTime(time: number): string {
  const date = new Date(time);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

export function formatValue(metric: string, value: number): string {
  if (metric === 'system.load1') return value.toFixed(2);
  if (metric === 'system.temperature') return `${value.toFixed(1)} °C`;
  return `${value.toFixed(1)} %`;
}

function subject({ process, pid, metric }: Announcement): string[] {
  if (metric === null) return [];
  return process === null ? ['(host)'] : [`${terminalText(process)}${pid === null ? '' : `[${pid}]`}`];
}

function story(announcement: Announcement): string {
  const { level, metric, value, threshold, since, time, reason, before } = announcement;
  const ago = since === null ? '' : formatDuration(Math.max(0, Math.round((time - since) / 1000) * 1000));
  if (reason.startsWith('forgotten')) return reason;
  if (metric === null)
    return level === 'STALE' ? `silent for ${ago}, last heard of at ${clockTime(since ?? time)}` : 'is reporting again';
  if (level === 'OK') {
    const wasBefore = `was ${before} for ${ago}`;
    if (value === null) return `${terminalText(reason)}; ${metric} ${wasBefore}`;
    return `${metric} ${formatValue(metric, value)}, no longer over ${formatValue(metric, threshold ?? 0)}; ${wasBefore}`;
  }
  const line = `${metric} ${formatValue(metric, value ?? 0)}, over ${formatValue(metric, threshold ?? 0)} since ${clockTime(since ?? time)}`;
  const [, culprits] = reason.split('; most by ');
  if (level === 'AMBER') return terminalText(`${metric} ${formatValue(metric, value ?? 0)}: ${reason}`, 300);
  return culprits === undefined ? line : `${line}; most by ${terminalText(culprits, 120)}`;
}
