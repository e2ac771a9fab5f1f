import { type Alarm, isStale } from '../core/alarm.ts';
import type { Forecast } from '../core/forecast.ts';
import { isOfOtherSource, subjectOf } from '../core/series.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import type { Threshold } from '../core/threshold.ts';
import { alarmId } from './alarm-id.ts';

/** Over its threshold, as was said before. It stays AMBER until it is RED. */
export function hasComeTrue({ amberSince, probability, isMuted }: Forecast): boolean {
  return amberSince !== null && probability === null && !isMuted;
}

export function amberAlarm(
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
    series,
    of: line?.of ?? 'largest',
    basis: line?.basis ?? 'core',
    value,
    threshold,
    since: amberSince ?? forecast.time,
    cause: probability === null ? { kind: 'pending' } : { kind: 'forecast', said: reason },
    culprits: [],
    prediction:
      probability === null ? null : { probability, etaSeconds, intervalSeconds, notify: notifySince !== null },
    leadSeconds: null,
  };
}
