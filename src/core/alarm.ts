import { createHash } from 'node:crypto';
import { formatDuration } from './duration.ts';
import { reservedNames, type SnapshotHeader, type UsageMetric } from './snapshot.ts';
import type { Above, RunQuery, SeriesKey, UsageRow } from './store.ts';
import { isProcessThreshold, levelFactor, type Threshold, type ThresholdMetric, usageColumn } from './threshold.ts';

/** Worst first. STALE is worse than GREEN: nobody knows how a silent host does. */
export const levels = ['RED', 'AMBER', 'STALE', 'GREEN'] as const;
export type Level = (typeof levels)[number];

/** A host that has said nothing for so many of its own intervals is STALE. */
export const staleIntervals = 3;

export type Subject = { kind: 'process'; name: string; pid: number | null } | { kind: 'system' };

/** The probability that a series goes over its threshold within the horizon. */
export interface Forecast {
  series: SeriesKey;
  metric: ThresholdMetric;
  value: number;
  threshold: number;
  since: number;
  probability: number;
  etaSeconds: number | null;
  /** Seconds between which the crossing is expected. */
  intervalSeconds: [number, number] | null;
  reason: string;
}

export type Prediction = Pick<Forecast, 'probability' | 'etaSeconds' | 'intervalSeconds'>;

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
  metric: ThresholdMetric;
  value: number;
  threshold: number;
  since: number;
  reason: string;
  prediction: Prediction | null;
}

export interface Alarms {
  at: number;
  level: Level;
  /** Worst first. */
  alarms: Alarm[];
  stale: { host: string; lastSeen: number }[];
}

/** A value over its clear level in its host's newest snapshot: RED if its run says so. */
export interface Candidate extends Omit<RunQuery, 'gapMs'> {
  header: SnapshotHeader;
  threshold: Threshold;
  subject: Subject;
  value: number;
}

/** Whether the host has been silent for too long at `at`. */
export function isStale(header: SnapshotHeader, at: number): boolean {
  return at - header.time > staleIntervals * header.intervalMs;
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

/** All that is over its clear level now. */
export function candidates(
  thresholds: readonly Threshold[],
  hosts: readonly SnapshotHeader[],
  rows: readonly UsageRow[],
): Candidate[] {
  const byHost = new Map(hosts.map((header) => [header.host, header]));
  const found: Candidate[] = [];
  for (const threshold of thresholds) {
    if (isProcessThreshold(threshold)) {
      for (const row of rows) {
        const header = byHost.get(row.host);
        if (header && !reservedNames.has(row.name)) addCandidate(found, header, threshold, row);
      }
    } else {
      for (const header of hosts) addCandidate(found, header, threshold, null);
    }
  }
  return found;
}

/**
 * The alarms at `at`. `since` answers, for each candidate in order, when its run began (null: there is
 * none). Without forecasts there is no AMBER.
 */
export function evaluate(
  at: number,
  hosts: readonly SnapshotHeader[],
  found: readonly Candidate[],
  since: readonly (number | null)[],
  forecasts: readonly Forecast[] = [],
): Alarms {
  const headers = new Map(hosts.map((header) => [header.host, header]));
  const red = found.flatMap((candidate, index) => redAlarm(candidate, since[index] ?? null, at));
  const known = new Set(red.map((alarm) => alarm.id));
  const amber = forecasts.map((forecast) => amberAlarm(forecast, headers, at)).filter((alarm) => !known.has(alarm.id));
  const alarms = [...red, ...amber].sort(worstFirst);
  const stale = hosts
    .filter((header) => isStale(header, at))
    .map((header) => ({ host: header.host, lastSeen: header.time }))
    .sort((a, b) => a.lastSeen - b.lastSeen);
  const level = alarms[0]?.level ?? (stale.length > 0 ? 'STALE' : 'GREEN');
  return { at, level, alarms, stale };
}

/** Stable over polls and restarts, and free of whatever a name may hold. */
export function alarmId(series: SeriesKey, metric: ThresholdMetric): string {
  const subject = series.kind === 'process' ? series.process : null;
  return createHash('sha256')
    .update(JSON.stringify([series.host, series.kind, subject, metric]))
    .digest('hex')
    .slice(0, 16);
}

function addCandidate(found: Candidate[], header: SnapshotHeader, threshold: Threshold, row: UsageRow | null): void {
  const column = row ? usageColumn(threshold) : threshold.metric;
  const value = row ? row[column as UsageMetric] : header.metrics[column as keyof typeof header.metrics];
  const factor = levelFactor(threshold, header.cores);
  if (value === null || value === undefined || value <= threshold.clear * factor) return;
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
  });
}

/** `pid` is of the instance with the most CPU: of several, that need not be the one with the most memory. */
function pidOf(row: UsageRow, threshold: Threshold): number | null {
  return threshold.metric === 'cpu' || row.count === 1 ? row.pid : null;
}

function redAlarm(candidate: Candidate, since: number | null, at: number): Alarm[] {
  const { header, threshold, subject, series, value } = candidate;
  if (since === null || header.time - since < threshold.forMs) return [];
  const lasted = header.time - since;
  return [
    {
      id: alarmId(series, threshold.metric),
      level: 'RED',
      state: isStale(header, at) ? 'stale' : 'firing',
      host: header.host,
      ip: header.ip,
      subject,
      metric: threshold.metric,
      value,
      threshold: threshold.red,
      since,
      reason: `${threshold.metric} is ${value.toFixed(1)}, over ${threshold.red}${lasted > 0 ? ` for ${formatDuration(lasted)}` : ''}`,
      prediction: null,
    },
  ];
}

function amberAlarm(forecast: Forecast, headers: ReadonlyMap<string, SnapshotHeader>, at: number): Alarm {
  const { series, metric, value, threshold, since, reason, probability, etaSeconds, intervalSeconds } = forecast;
  const header = headers.get(series.host);
  return {
    id: alarmId(series, metric),
    level: 'AMBER',
    state: header && isStale(header, at) ? 'stale' : 'firing',
    host: series.host,
    ip: header?.ip ?? null,
    subject: series.kind === 'process' ? { kind: 'process', name: series.process, pid: null } : { kind: 'system' },
    metric,
    value,
    threshold,
    since,
    reason,
    prediction: { probability, etaSeconds, intervalSeconds },
  };
}

function worstFirst(a: Alarm, b: Alarm): number {
  const byLevel = levels.indexOf(a.level) - levels.indexOf(b.level);
  const byPrediction = (b.prediction?.probability ?? 0) - (a.prediction?.probability ?? 0);
  const byExcess = b.value / b.threshold - a.value / a.threshold;
  return byLevel || byPrediction || byExcess || a.host.localeCompare(b.host) || a.id.localeCompare(b.id);
}
