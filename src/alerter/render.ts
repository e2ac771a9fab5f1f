import type { Colors } from 'picocolors/types.js';
import { type Ending, isSourceName, serverClockMetric } from '../core/alarm.ts';
import type { Change } from '../core/change.ts';
import { formatDuration } from '../core/duration.ts';
import { formatValue } from '../core/format-value.ts';
import type { HostMetric } from '../core/metric.ts';
import { clockTime } from '../platform/clock-time.ts';
import { terminalJson, terminalText } from '../platform/terminal-text.ts';
import { wordWrap } from '../platform/word-wrap.ts';
import type { ReceivedAlarm } from '../wire/alarm-codec.ts';
import type { Announcement } from './announcement.ts';

const paint: Record<Announcement['level'], (colors: Colors, text: string) => string> = {
  RED: (colors, text) => colors.bold(colors.red(text)),
  AMBER: (colors, text) => colors.bold(colors.yellow(text)),
  STALE: (colors, text) => colors.magenta(text),
  PAUSED: (colors, text) => colors.cyan(text),
  OK: (colors, text) => colors.green(text),
};
/** With the room behind it. */
const levelWidth = 'PAUSED '.length;
const dayCharacters = '2026-11-21 '.length;
/** Time, level and the room between. */
const headColumns = 28;
const foldedNames: HostMetric = 'collector.foldedNames';

/** One line for a person: time, level as a word, host, subject, and what there is to know. */
export function renderLine(announcement: Announcement, colors: Colors, columns: number | null = null): string {
  const { time, level, host } = announcement;
  const head = `${clockTime(time)}  ${paint[level](colors, level)}${' '.repeat(levelWidth - level.length)}`;
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
  const { level, metric } = announcement;
  if (metric === null) return silenceStory(announcement);
  // Of something that was RED or AMBER: nobody knows any more.
  if (level === 'STALE') return announcement.reason;
  const name = nameOf(announcement, metric);
  if (level === 'PAUSED') return `${announcement.reason}; ${name} ${was(announcement)}`;
  if (level === 'OK') return endStory(announcement, metric);
  const ofHost = isClock(metric) || metric === foldedNames;
  if (ofHost) return `${terminalText(announcement.reason, 300)}${silence(announcement)}`;
  return level === 'AMBER' ? amberStory(announcement, name) : redStory(announcement, name);
}

function silenceStory({ level, host, since, time, ended, reason, before }: Announcement): string {
  if (ended === 'forgotten' || ended === 'expired') return reason;
  if (level === 'PAUSED' || isSourceName(host)) return reason;
  if (level !== 'STALE' && before === 'PAUSED') return 'is looked at again';
  if (level !== 'STALE')
    return ended === null ? 'is not silent any more; how that ended is not known' : 'is reporting again';
  const lastHeard = timeBeside(since ?? time, time);
  if (!reason.startsWith(nothingHeard)) return `${reason}; last heard of at ${lastHeard}`;
  return `silent for ${lasted(since, time)}, last heard of at ${lastHeard}: its collector has ended, or the host or the network is down`;
}

function endStory(announcement: Announcement, metric: string): string {
  const { value, threshold, ended, reason, before } = announcement;
  if (ended === 'forgotten') return reason;
  const wasBefore = was(announcement);
  if (isClock(metric)) return `the clock is right again; ${wasBefore}`;
  if (metric === foldedNames) return `its new process names are kept one by one again; ${wasBefore}`;
  const name = nameOf(announcement, metric);
  if (value === null) return `${terminalText(reason)}; ${name} ${wasBefore}`;
  const [is, line] = [toldValue(announcement, value), toldValue(announcement, threshold ?? 0)];
  const over = before === 'AMBER' ? `not expected over ${line} any more` : `no longer over ${line}`;
  return `${name} ${is}, ${over}; ${wasBefore}`;
}

function was({ before, since, time }: Announcement): string {
  return `was ${before} for ${lasted(since, time)}`;
}

/** The key of a series has the metric in it. */
function nameOf({ series }: Announcement, metric: string): string {
  return series ? 'value' : metric;
}

function amberStory(announcement: Announcement, name: string): string {
  const is = `${name} ${toldValue(announcement, announcement.value ?? 0)}`;
  return `${is}: ${terminalText(announcement.reason, 300)} (${likelihood(announcement)})${silence(announcement)}`;
}

function redStory(announcement: Announcement, name: string): string {
  const { value, threshold, since, time, leadSeconds, culprits = [] } = announcement;
  const over = `over ${toldValue(announcement, threshold ?? 0)} since ${timeBeside(since ?? time, time)}`;
  const isOver = (value ?? 0) > (threshold ?? 0);
  const line = `${name} ${toldValue(announcement, value ?? 0)}, ${isOver ? over : `was ${over}; RED until it stays down`}`;
  const lead = leadSeconds === null ? '' : `; predicted ${formatDuration(leadSeconds * 1000)} before`;
  const most = culprits.map((each) => `${each.process} ${each.value.toFixed(1)}`).join(', ');
  return `${line}${lead}${most === '' ? '' : `; most by ${terminalText(most, 120)}`}`;
}

/** Of another source nobody knows the unit, whatever its name is. */
function toldValue({ series, metric }: Announcement, value: number): string {
  return formatValue(series || metric === null ? '' : metric, value);
}

function lasted(since: number | null, time: number): string {
  return since === null ? '' : formatDuration(Math.max(0, Math.round((time - since) / 1000) * 1000));
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

const endings: Record<Exclude<Ending['how'], 'expired' | 'forgotten'>, string> = {
  exited: 'exited',
  unknown: 'not known any more',
  recovered: 'back under the threshold',
  paused: 'not looked at any more, since its host is paused',
};

/** Why, as one sentence, for who reads JSON. */
export function reasonOf({ level, host, alarm, lastSeen, why, ended }: Change<ReceivedAlarm>, time: number): string {
  if (level === 'STALE' && why !== undefined) return why;
  if (level === 'STALE') return silenceReason(time, lastSeen ?? time);
  if (level === 'PAUSED')
    return `paused: it lives, and is not looked at; to look at it again: amberwatch host set ${host} --resume`;
  if (level !== 'OK') return alarm?.reason ?? '';
  if (ended?.how === 'expired')
    return alarm?.subject.kind === 'series'
      ? 'forgotten: nothing has been heard of it for an hour'
      : isSourceName(host)
        ? 'it is not asked any more'
        : 'forgotten: silent for longer than snapshots are kept';
  if (ended?.how === 'forgotten') return 'forgotten, as somebody has said';
  if (alarm === null) return isSourceName(host) ? 'it answers again, and what was missed is fetched' : '';
  if (ended?.how === 'exited' && alarm.subject.kind === 'series')
    return 'its series has ended: what it was scraped from is gone, or cannot be scraped any more';
  if (alarm.metric === serverClockMetric) return 'the clock is believed again';
  if (ended === null) return 'it has ended; how is not known';
  // A later server may know more words.
  return endings[ended.how] ?? 'it has ended';
}

const nothingHeard = 'nothing heard';

function silenceReason(time: number, lastSeen: number): string {
  return `${nothingHeard} for ${lasted(lastSeen, time)}, more than three of its intervals: its collector has ended, or the host or the network is down`;
}

/** Of an alarm that was said before the alerter's restart. */
export function stillText({ level, host, subject, series, reason }: ReceivedAlarm): string {
  const name = subject.kind === 'series' ? series : subject.kind === 'process' ? subject.name : 'the host';
  return `still ${level}: ${host}, ${name}, ${reason}`;
}

export function allIsWell(hosts: number, server: string): string {
  if (hosts === 0) return `no host has reported yet; start a collector with: amberwatch collect --server ${server}`;
  return `GREEN: nothing is over the line on ${hosts} host${hosts === 1 ? '' : 's'}`;
}
