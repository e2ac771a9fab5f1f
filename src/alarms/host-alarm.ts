import { type Alarm, type Alarms, isStale, serverClockMetric, serverName } from '../core/alarm.ts';
import { formatDuration } from '../core/duration.ts';
import { agreementMs, type ClockSkew, maxSkewSeconds, placedAt } from '../core/host-clock.ts';
import { snakeCase } from '../core/metric.ts';
import { seriesKey } from '../core/series.ts';
import { otherName, type SnapshotHeader } from '../core/snapshot.ts';
import { idOf } from './alarm-id.ts';
import { worstFirst } from './worst-first.ts';

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

export function clockAlarm({ host, ip, skewSeconds, since, isUnusable, isSilent }: ClockSkew): Alarm {
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
