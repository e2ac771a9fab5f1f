import { createHash } from 'node:crypto';
import { dayOf } from './clock.ts';
import { formatDuration } from './duration.ts';
import { type Forecast, type ForecastSubject, isAmber } from './forecast.ts';
import { formatValue } from './format-value.ts';
import { agreementMs, type ClockSkew, maxSkewSeconds, placedAt, seenAt } from './host-clock.ts';
import { type UsageMetric, unitOf } from './metric.ts';
import { otherName, reservedNames, type SnapshotHeader } from './snapshot.ts';
import type { Above, RunQuery, UsageRow } from './store.ts';
import { isProcessThreshold, levelFactor, type Threshold, type ThresholdMetric, usageColumn } from './threshold.ts';

/** Worst first. STALE is worse than GREEN: nobody knows how a silent host does. */
export const levels = ['RED', 'AMBER', 'STALE', 'GREEN'] as const;
export type Level = (typeof levels)[number];

/** A host that has said nothing for so many of its own intervals is STALE. */
export const staleIntervals = 3;

/** Not of any host: the server's own clock is in doubt. */
export const serverClockMetric = 'server.clockSkewSeconds';
/** What alarms about the server itself have for a host. */
export const serverName = '(server)';

export type Subject = { kind: 'process'; name: string; pid: number | null } | { kind: 'system' };

/** What is known of a breach that has not come yet. */
export interface Prediction extends Pick<Forecast, 'etaSeconds' | 'intervalSeconds'> {
  probability: number;
  /** Sure enough to wake somebody: by the policy that puts precision first. */
  notify: boolean;
}

/** What a person sees. Times are epoch milliseconds. */
export interface Alarm {
  /** The same for as long as it is about the same metric of the same subject of the same host. */
  id: string;
  level: 'RED' | 'AMBER';
  /** `stale`: the host has fallen silent, this was its last state. */
  state: 'firing' | 'stale';
  host: string;
  ip: string | null;
  subject: Subject;
  metric: ThresholdMetric | typeof serverClockMetric;
  /** What of a process was measured, as in its threshold: a value means nothing without. */
  of: Threshold['of'];
  basis: Threshold['basis'];
  value: number;
  threshold: number;
  since: number;
  reason: string;
  /** Of an AMBER alarm, until it has come true. */
  prediction: Prediction | null;
  /** Of a RED alarm that was AMBER before: by how much that came earlier. */
  leadSeconds: number | null;
}

export interface Alarms {
  at: number;
  level: Level;
  /** Worst first. */
  alarms: Alarm[];
  stale: { host: string; lastSeen: number }[];
  /** When the next host will be STALE if it says nothing more; null: none is left. */
  nextStaleAt: number | null;
}

/** A value of its host's newest snapshot that is over its clear level, or was of late: RED if its run says so. */
export interface Candidate extends Omit<RunQuery, 'gapMs' | 'until'> {
  header: SnapshotHeader;
  threshold: Threshold;
  subject: Subject;
  value: number;
}

/** Whether the host has been silent for too long at `at`. */
export function isStale(header: SnapshotHeader, at: number): boolean {
  return at - seenAt(header) > staleIntervals * header.intervalMs;
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

/** A subject whose metric was over its clear level of late; `process` is null for the host itself. */
export interface Held {
  host: string;
  process: string | null;
  metric: ThresholdMetric;
}

/**
 * All that is over its clear level now, or was of late and may still be RED.
 * @param rows those that are or were over some level
 */
export function candidates(
  thresholds: readonly Threshold[],
  hosts: readonly SnapshotHeader[],
  rows: readonly UsageRow[],
  held: readonly Held[] = [],
): Candidate[] {
  const byHost = new Map(hosts.map((header) => [header.host, header]));
  const wasOver = new Set(held.map(heldKey));
  const found: Candidate[] = [];
  for (const threshold of thresholds) {
    const { metric } = threshold;
    if (isProcessThreshold(threshold)) {
      for (const row of rows) {
        const header = byHost.get(row.host);
        if (header && !reservedNames.has(row.name))
          addCandidate(
            found,
            header,
            threshold,
            row,
            wasOver.has(heldKey({ host: row.host, process: row.name, metric })),
          );
      }
    } else {
      for (const header of hosts)
        addCandidate(
          found,
          header,
          threshold,
          null,
          wasOver.has(heldKey({ host: header.host, process: null, metric })),
        );
    }
  }
  return found;
}

function heldKey({ host, process, metric }: Held): string {
  return JSON.stringify([host, process, metric]);
}

/**
 * The alarms at `at`. `since` answers, for each candidate in order, when its run began (null: there is
 * none). `forecasts` are the newest of each series; without them nothing is predicted. `skews` are the hosts
 * whose clock is off. `thresholds` are those that forecasts are of.
 */
export function evaluate(
  at: number,
  hosts: readonly SnapshotHeader[],
  found: readonly Candidate[],
  since: readonly (number | null)[],
  forecasts: readonly Forecast[] = [],
  skews: readonly ClockSkew[] = [],
  thresholds: readonly Threshold[] = [],
): Alarms {
  const headers = new Map(hosts.map((header) => [header.host, header]));
  const byMetric = new Map(thresholds.map((threshold) => [threshold.metric, threshold]));
  const shown = forecasts.filter((forecast) => !forecast.isMuted);
  const predicted = new Map(shown.map((forecast) => [alarmId(forecast), forecast.amberSince]));
  const red = found.flatMap((candidate, index) => redAlarm(candidate, since[index] ?? null, at, predicted));
  const known = new Set(red.map((alarm) => alarm.id));
  const running = new Set(
    found.filter((_, index) => since[index] != null).map((candidate) => alarmId(subjectOf(candidate))),
  );
  const amber = forecasts
    .filter((forecast) => isAmber(forecast) || (hasComeTrue(forecast) && running.has(alarmId(forecast))))
    .map((forecast) => amberAlarm(forecast, headers, at, byMetric.get(forecast.metric)))
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
  const due = hosts
    .filter((header) => !isStale(header, at))
    .map((header) => seenAt(header) + staleIntervals * header.intervalMs);
  return due.length === 0 ? null : Math.min(...due);
}

/** Stable over polls and restarts, and free of whatever a name may hold. */
export function alarmId({ host, process, metric }: Omit<ForecastSubject, 'metric'> & { metric: string }): string {
  return createHash('sha256')
    .update(JSON.stringify([host, process === null ? 'system' : 'process', process, metric]))
    .digest('hex')
    .slice(0, 16);
}

function addCandidate(
  found: Candidate[],
  header: SnapshotHeader,
  threshold: Threshold,
  row: UsageRow | null,
  wasOver: boolean,
): void {
  const column = row ? usageColumn(threshold) : threshold.metric;
  const value = row ? row[column as UsageMetric] : header.metrics[column as keyof typeof header.metrics];
  const factor = levelFactor(threshold, header.cores);
  if (value === null || value === undefined || (value <= threshold.clear * factor && !wasOver)) return;
  found.push({
    header,
    threshold,
    value: value / factor,
    subject: row ? { kind: 'process', name: row.name, pid: pidOf(row, threshold) } : { kind: 'system' },
    series: row
      ? { kind: 'process', host: header.host, process: row.name, metric: column as UsageMetric }
      : { kind: 'system', host: header.host, metric: column as keyof typeof header.metrics },
    red: threshold.red * factor,
    clear: threshold.clear * factor,
    forMs: threshold.forMs,
    holdMs: threshold.holdMs,
  });
}

/** `pid` is of the instance with the most CPU: of several, that need not be the one with the most memory. */
function pidOf(row: UsageRow, threshold: Threshold): number | null {
  return threshold.metric === 'cpu' || row.count === 1 ? row.pid : null;
}

function subjectOf({ header, subject, threshold }: Candidate): ForecastSubject {
  return { host: header.host, process: subject.kind === 'process' ? subject.name : null, metric: threshold.metric };
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
  const id = alarmId(subjectOf(candidate));
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

function redReason({ metric, red, clear, holdMs }: Threshold, value: number, lastedMs: number): string {
  const is = `${metric} is ${levelText(metric, value, 1)}`;
  if (value > red)
    return `${is}, over ${levelText(metric, red)}${lastedMs > 0 ? ` for ${formatDuration(lastedMs)}` : ''}`;
  const calm = `at or under ${levelText(metric, Math.round(clear * 10) / 10)}`;
  return `${is} after it was over ${levelText(metric, red)}; RED ends when it has been ${calm}${holdMs > 0 ? ` for ${formatDuration(holdMs)}` : ''}`;
}

/** A percentage is told as a number alone. */
function levelText(metric: string, value: number, digits?: number): string {
  if (!['percent', 'percentOfCore'].includes(unitOf(metric))) return formatValue(metric, value);
  return digits === undefined ? String(value) : value.toFixed(digits);
}

function amberAlarm(
  forecast: Forecast,
  headers: ReadonlyMap<string, SnapshotHeader>,
  at: number,
  line: Threshold | undefined,
): Alarm {
  const { host, process, metric, value, threshold, amberSince, notifySince, reason } = forecast;
  const { probability, etaSeconds, intervalSeconds } = forecast;
  const header = headers.get(host);
  return {
    id: alarmId(forecast),
    level: 'AMBER',
    state: header && isStale(header, at) ? 'stale' : 'firing',
    host,
    ip: header?.ip ?? null,
    subject: process === null ? { kind: 'system' } : { kind: 'process', name: process, pid: null },
    metric,
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
    id: alarmId({ host, process: null, metric }),
    level: 'AMBER',
    state,
    host,
    ip,
    subject: { kind: 'system' },
    metric,
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
