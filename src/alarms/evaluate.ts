import { createHash } from 'node:crypto';
import {
  type Alarm,
  type AlarmSubject,
  type Alarms,
  gapOf,
  isStale,
  levels,
  serverClockMetric,
  serverName,
} from '../core/alarm.ts';
import { dayOf } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { type Forecast, isAmber } from '../core/forecast.ts';
import { formatUnit } from '../core/format-value.ts';
import { agreementMs, type ClockSkew, maxSkewSeconds, placedAt, seenAt } from '../core/host-clock.ts';
import { type HostMetric, snakeCase } from '../core/metric.ts';
import {
  familyOf,
  hostSeries,
  isOfOtherSource,
  processSeries,
  type Series,
  type Subject,
  seriesKey,
  subjectOf,
  unitOfSeries,
} from '../core/series.ts';
import { otherName, reservedNames, type SnapshotHeader } from '../core/snapshot.ts';
import type { Above, UsageRow } from '../core/store.ts';
import { isProcessThreshold, levelFactor, type Threshold, usageColumn } from '../core/threshold.ts';
import { Lines } from './lines.ts';
import type { RunQuery } from './run.ts';

/** Who has reported a candidate's value: a host, or another source as if it were one. */
export type Reporter = Pick<SnapshotHeader, 'host' | 'ip' | 'time' | 'intervalMs' | 'metrics' | 'seenAt'>;

/** A value of its reporter's newest snapshot that is over its clear level, or was of late: RED if its run says so. */
export interface Candidate extends Omit<RunQuery, 'gapMs' | 'until'> {
  header: Reporter;
  /** Of its series: it is asked for often. */
  key: string;
  threshold: Threshold;
  subject: AlarmSubject;
  value: number;
}

/** The lowest level of each stored column that can matter to any host: a filter for the store. */
export function prefilter(thresholds: readonly Threshold[], hosts: readonly SnapshotHeader[]): Above {
  const above: Above = {};
  for (const threshold of thresholds.filter(isProcessThreshold)) {
    const factors = hosts.map((header) => levelFactor(threshold, header.cores));
    const column = usageColumn(threshold);
    above[column] = Math.min(above[column] ?? Infinity, threshold.clear * Math.min(...factors, Infinity));
  }
  return above;
}

/**
 * All of hosts and processes that is over its clear level now, or was of late and may still be RED.
 * @param rows those that are or were over some level
 * @param held keys of series that were over their clear level of late
 */
export function candidates(
  lines: Lines,
  hosts: readonly SnapshotHeader[],
  rows: readonly UsageRow[],
  held: ReadonlySet<string> = new Set(),
): Candidate[] {
  const byHost = new Map(hosts.map((header) => [header.host, header]));
  const found: Candidate[] = [];
  for (const quantity of lines.quantities('process'))
    for (const row of rows) {
      const header = byHost.get(row.host);
      const line = lines.lineFor(quantity, { host: row.host, process: row.name });
      if (line === undefined || header === undefined || reservedNames.has(row.name)) continue;
      const column = usageColumn(line);
      const subject = { kind: 'process', name: row.name, pid: pidOf(row, line) } as const;
      addCandidate(found, header, line, processSeries(column, row.host, row.name), row[column], subject, held);
    }
  for (const quantity of lines.quantities('host'))
    for (const header of hosts) {
      const line = lines.lineFor(quantity, { host: header.host });
      if (line === undefined) continue;
      const { column } = familyOf(line.selector.metric) as { column: HostMetric };
      const value = header.metrics[column] ?? null;
      addCandidate(found, header, line, hostSeries(column, header.host), value, { kind: 'system' }, held);
    }
  return found;
}

/** The newest value of a series of another source. */
export function seriesCandidate(threshold: Threshold, series: Series, header: Reporter, value: number): Candidate {
  const { red, clear, forMs, holdMs } = threshold;
  return {
    header,
    key: seriesKey(series),
    threshold,
    series,
    value,
    subject: { kind: 'series' },
    red,
    clear,
    forMs,
    holdMs,
  };
}

/**
 * The alarms at `at`. `since` answers, for each candidate in order, when its run began (null: there is
 * none). `forecasts` are the newest of each series; without them nothing is predicted. `skews` are the hosts
 * whose clock is off. `lines` are those that forecasts are of.
 */
export function evaluate(
  at: number,
  hosts: readonly SnapshotHeader[],
  found: readonly Candidate[],
  since: readonly (number | null)[],
  forecasts: readonly Forecast[] = [],
  skews: readonly ClockSkew[] = [],
  lines: Lines = new Lines([]),
): Alarms {
  const headers = new Map(hosts.map((header) => [header.host, header]));
  const shown = forecasts.filter((forecast) => !forecast.isMuted);
  const predicted = new Map(shown.map((forecast) => [alarmId(forecast.series), forecast.amberSince]));
  const red = found.flatMap((candidate, index) => redAlarm(candidate, since[index] ?? null, at, predicted));
  const known = new Set(red.map((alarm) => alarm.id));
  const running = new Set(
    found.filter((_, index) => since[index] != null).map((candidate) => alarmId(candidate.series)),
  );
  const amber = forecasts
    .filter((forecast) => isAmber(forecast) || (hasComeTrue(forecast) && running.has(alarmId(forecast.series))))
    .map((forecast) => amberAlarm(forecast, headers, at, lines.on(forecast.series)))
    .filter((alarm) => !known.has(alarm.id));
  // The budget of new names is of a day.
  const today = dayOf(at);
  const folding = hosts.filter(({ metrics }) => dayOf(metrics['collector.foldedSinceMs'] ?? Number.NaN) === today);
  const told = [...skews.map(clockAlarm), ...folding.map((header) => foldAlarm(header, at))];
  const alarms = [...red, ...amber, ...told.filter((alarm) => !known.has(alarm.id))].sort(worstFirst);
  const stale = hosts
    .filter((header) => isStale(header, at))
    .map((header) => ({ host: header.host, lastSeen: seenAt(header) }))
    .sort((a, b) => a.lastSeen - b.lastSeen);
  const level = alarms[0]?.level ?? (stale.length > 0 ? 'STALE' : 'GREEN');
  return { at, level, alarms, stale, nextStaleAt: nextStaleAt(hosts, at) };
}

function nextStaleAt(hosts: readonly SnapshotHeader[], at: number): number | null {
  const due = hosts.filter((header) => !isStale(header, at)).map((header) => seenAt(header) + gapOf(header));
  return due.length === 0 ? null : Math.min(...due);
}

/** Stable over polls and restarts, and free of whatever a name may hold. One for `process_cpu` and `process_cpu_max`. */
export function alarmId(series: Series): string {
  return isOfOtherSource(series.metric) ? hashed(seriesKey(series)) : idOf(subjectOf(series));
}

function idOf({ host, process, metric }: Subject): string {
  return hashed(JSON.stringify([host, process === null ? 'system' : 'process', process, metric]));
}

function hashed(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function addCandidate(
  found: Candidate[],
  header: SnapshotHeader,
  threshold: Threshold,
  series: Series,
  value: number | null,
  subject: AlarmSubject,
  held: ReadonlySet<string>,
): void {
  const factor = levelFactor(threshold, header.cores);
  if (value === null || (value <= threshold.clear * factor && held.size === 0)) return;
  const key = seriesKey(series);
  if (value <= threshold.clear * factor && !held.has(key)) return;
  const { red, clear, forMs, holdMs } = threshold;
  found.push({
    header,
    key,
    threshold,
    series,
    value: value / factor,
    subject,
    red: red * factor,
    clear: clear * factor,
    forMs,
    holdMs,
  });
}

/** `pid` is of the instance with the most CPU: of several, that need not be the one with the most memory. */
function pidOf(row: UsageRow, threshold: Threshold): number | null {
  return threshold.metric === 'cpu' || row.count === 1 ? row.pid : null;
}

/** Over its threshold, as was said before. It stays AMBER until it is RED. */
function hasComeTrue({ amberSince, probability, isMuted }: Forecast): boolean {
  return amberSince !== null && probability === null && !isMuted;
}

function redAlarm(
  candidate: Candidate,
  since: number | null,
  at: number,
  predicted: ReadonlyMap<string, number | null>,
): Alarm[] {
  const { header, threshold, subject, value } = candidate;
  if (since === null || header.time - since < threshold.forMs) return [];
  const lasted = header.time - since;
  const id = alarmId(candidate.series);
  // Runs are looked for in the host's own time; what is told is the server's.
  const began = since - (header.time - placedAt(header));
  const lead = began - (predicted.get(id) ?? began);
  const reasons = [
    redReason(threshold, value, lasted),
    ...(lead > 0 ? [`predicted ${formatDuration(lead)} before`] : []),
  ];
  return [
    {
      id,
      level: 'RED',
      state: isStale(header, at) ? 'stale' : 'firing',
      host: header.host,
      ip: header.ip,
      subject,
      metric: threshold.metric,
      series: candidate.key,
      of: threshold.of,
      basis: threshold.basis,
      value,
      threshold: threshold.red,
      since: began,
      reason: reasons.join('; '),
      prediction: null,
      leadSeconds: lead > 0 ? lead / 1000 : null,
    },
  ];
}

function redReason({ selector, metric: name, red, clear, holdMs }: Threshold, value: number, lastedMs: number): string {
  const { metric } = selector;
  const is = `${name} is ${levelText(metric, value, 1)}`;
  if (value > red)
    return `${is}, over ${levelText(metric, red)}${lastedMs > 0 ? ` for ${formatDuration(lastedMs)}` : ''}`;
  const calm = `at or under ${levelText(metric, Math.round(clear * 10) / 10)}`;
  return `${is} after it was over ${levelText(metric, red)}; RED ends when it has been ${calm}${holdMs > 0 ? ` for ${formatDuration(holdMs)}` : ''}`;
}

/** A percentage is told as a number alone. */
function levelText(metric: string, value: number, digits?: number): string {
  const unit = unitOfSeries(metric);
  if (unit !== 'percent' && unit !== 'percentOfCore') return formatUnit(unit, value);
  return digits === undefined ? String(value) : value.toFixed(digits);
}

function amberAlarm(
  forecast: Forecast,
  headers: ReadonlyMap<string, SnapshotHeader>,
  at: number,
  line: Threshold | undefined,
): Alarm {
  const { series, value, threshold, amberSince, notifySince, reason } = forecast;
  const { host, process, metric } = subjectOf(series);
  const isOfHost = !isOfOtherSource(series.metric);
  const { probability, etaSeconds, intervalSeconds } = forecast;
  // Of another source its host's collector says nothing.
  const header = isOfHost ? headers.get(host) : undefined;
  return {
    id: alarmId(series),
    level: 'AMBER',
    state: header && isStale(header, at) ? 'stale' : 'firing',
    host,
    ip: header?.ip ?? null,
    subject:
      process === null ? { kind: isOfHost ? 'system' : 'series' } : { kind: 'process', name: process, pid: null },
    metric,
    series: seriesKey(series),
    of: line?.of ?? 'largest',
    basis: line?.basis ?? 'core',
    value,
    threshold,
    since: amberSince ?? forecast.time,
    reason: probability === null ? 'over the line, but not yet for long enough to be RED' : reason,
    prediction:
      probability === null ? null : { probability, etaSeconds, intervalSeconds, notify: notifySince !== null },
    leadSeconds: null,
  };
}

/** An AMBER about a host itself that is no forecast: it is so. */
function hostAlarm(
  about: Pick<Alarm, 'state' | 'host' | 'ip' | 'metric' | 'value' | 'threshold' | 'since' | 'reason'>,
): Alarm {
  const { state, host, ip, metric, value, threshold, since, reason } = about;
  return {
    id: idOf({ host, process: null, metric }),
    level: 'AMBER',
    state,
    host,
    ip,
    subject: { kind: 'system' },
    metric,
    series: seriesKey({ metric: snakeCase(metric), labels: { host } }),
    of: 'largest',
    basis: 'core',
    value,
    threshold,
    since,
    reason,
    prediction: null,
    leadSeconds: null,
  };
}

function clockAlarm({ host, ip, skewSeconds, since, isUnusable, isSilent }: ClockSkew): Alarm {
  const direction = skewSeconds < 0 ? 'behind' : 'ahead of';
  const off = `the clock of ${host} is ${formatDuration(Math.abs(skewSeconds) * 1000)} ${direction} the server's`;
  return hostAlarm({
    state: isSilent ? 'stale' : 'firing',
    host,
    ip,
    metric: 'collector.clockSkewSeconds',
    value: Math.abs(skewSeconds),
    threshold: maxSkewSeconds,
    since,
    reason: isUnusable ? `${off}: its snapshots are not evaluated` : off,
  });
}

/** So many new names that the rest of them are counted together. */
function foldAlarm(header: SnapshotHeader, at: number): Alarm {
  const { host, ip, metrics } = header;
  const names = metrics['collector.foldedNames'] ?? 0;
  return hostAlarm({
    state: isStale(header, at) ? 'stale' : 'firing',
    host,
    ip,
    metric: 'collector.foldedNames',
    value: names,
    threshold: 1,
    since: metrics['collector.foldedSinceMs'] ?? placedAt(header),
    reason: `${host} makes up too many process names: until midnight UTC new ones are counted in ${otherName}, ${names} of its newest snapshot`,
  });
}

/** The same with an AMBER about the server's own clock. */
export function withServerClock(
  alarms: Alarms,
  { since, aheadMs, reason }: { since: number; aheadMs: number; reason: string },
): Alarms {
  const alarm = hostAlarm({
    state: 'firing',
    host: serverName,
    ip: null,
    metric: serverClockMetric,
    value: Math.round(Math.abs(aheadMs) / 1000),
    threshold: agreementMs / 1000,
    since,
    reason: `${reason}; put it right, or, if it is right, say so: amberwatch store expire --confirm`,
  });
  const all = [...alarms.alarms, alarm].sort(worstFirst);
  return { ...alarms, level: all[0]?.level ?? alarms.level, alarms: all };
}

function worstFirst(a: Alarm, b: Alarm): number {
  const byLevel = levels.indexOf(a.level) - levels.indexOf(b.level);
  const byPrediction = (b.prediction?.probability ?? 0) - (a.prediction?.probability ?? 0);
  const byExcess = b.value / b.threshold - a.value / a.threshold;
  return byLevel || byPrediction || byExcess || a.host.localeCompare(b.host) || a.id.localeCompare(b.id);
}
