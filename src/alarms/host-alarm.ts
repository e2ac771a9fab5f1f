import { type Alarm, type Alarms, isStale, serverClockMetric, serverName, type UnwatchedHost } from '../core/alarm.ts';
import { agreementMs, type ClockSkew, maxSkewSeconds, placedAt } from '../core/host-clock.ts';
import { snakeCase } from '../core/metric.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import { idOf } from './alarm-id.ts';
import { worstFirst } from './worst-first.ts';

/** An AMBER about a host itself that is no forecast: it is so. */
function hostAlarm(
  about: Pick<Alarm, 'state' | 'host' | 'ip' | 'metric' | 'value' | 'threshold' | 'since' | 'cause'>,
): Alarm {
  const { state, host, ip, metric, value, threshold, since, cause } = about;
  return {
    id: idOf({ host, process: null, metric }),
    level: 'AMBER',
    state,
    host,
    ip,
    subject: { kind: 'system' },
    metric,
    series: { metric: snakeCase(metric), labels: { host } },
    of: 'largest',
    basis: 'core',
    value,
    threshold,
    since,
    cause,
    culprits: [],
    prediction: null,
    leadSeconds: null,
  };
}

export function clockAlarm({ host, ip, skewSeconds, since, isUnusable, isSilent }: ClockSkew): Alarm {
  return hostAlarm({
    state: isSilent ? 'stale' : 'firing',
    host,
    ip,
    metric: 'collector.clockSkewSeconds',
    value: Math.abs(skewSeconds),
    threshold: maxSkewSeconds,
    since,
    cause: { kind: 'hostClock', skewSeconds, isUnusable },
  });
}

/** So many new names that the rest of them are counted together. */
export function foldAlarm(header: SnapshotHeader, at: number): Alarm {
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
    cause: { kind: 'foldedNames' },
  });
}

/** The same with sources that give nothing among the STALE. */
export function withSilentSources(
  alarms: Alarms,
  { silent, nextAt }: { silent: readonly UnwatchedHost[]; nextAt: number | null },
): Alarms {
  const stale = [...alarms.stale, ...silent].sort((a, b) => a.lastSeen - b.lastSeen);
  const due = [alarms.nextStaleAt, nextAt].filter((at) => at !== null);
  const isWorst = stale.length > 0 && (alarms.level === 'GREEN' || alarms.level === 'PAUSED');
  const level = isWorst ? 'STALE' : alarms.level;
  return { ...alarms, level, stale, nextStaleAt: due.length === 0 ? null : Math.min(...due) };
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
    cause: { kind: 'serverClock', doubt: reason },
  });
  const all = [...alarms.alarms, alarm].sort(worstFirst);
  return { ...alarms, level: all[0]?.level ?? alarms.level, alarms: all };
}
