import { type Alarms, gapOf, isPaused, isStale, type UnwatchedHost } from '../core/alarm.ts';
import { dayOf } from '../core/clock.ts';
import { type Forecast, isAmber } from '../core/forecast.ts';
import { type ClockSkew, seenAt } from '../core/host-clock.ts';
import { isOfOtherSource } from '../core/series.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import { ThresholdSet } from '../core/threshold-set.ts';
import { alarmId } from './alarm-id.ts';
import { amberAlarm, hasComeTrue } from './amber-alarm.ts';
import type { Candidate } from './candidate.ts';
import { clockAlarm, foldAlarm } from './host-alarm.ts';
import { redAlarm } from './red-alarm.ts';
import { worstFirst } from './worst-first.ts';

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
  lines: ThresholdSet = new ThresholdSet([]),
): Alarms {
  const headers = new Map(hosts.map((header) => [header.host, header]));
  const shown = forecasts.filter((forecast) => !forecast.isMuted);
  const predicted = new Map(shown.map((forecast) => [alarmId(forecast.series), forecast.amberSince]));
  const red = found
    .map((candidate, index) => redAlarm(candidate, since[index] ?? null, at, predicted))
    .filter((alarm) => alarm !== null);
  const known = new Set(red.map((alarm) => alarm.id));
  const running = new Set(
    found.filter((_, index) => since[index] != null).map((candidate) => alarmId(candidate.series)),
  );
  const paused = new Set(hosts.filter(isPaused).map(({ host }) => host));
  const amber = forecasts
    .filter(({ series }) => isOfOtherSource(series.metric) || !paused.has(series.labels.host ?? ''))
    .filter((forecast) => isAmber(forecast) || (hasComeTrue(forecast) && running.has(alarmId(forecast.series))))
    .map((forecast) => amberAlarm(forecast, headers, at, lines.on(forecast.series)))
    .filter((alarm) => !known.has(alarm.id));
  // The budget of new names is of a day.
  const today = dayOf(at);
  const folding = hosts.filter(({ metrics }) => dayOf(metrics['collector.foldedSinceMs'] ?? Number.NaN) === today);
  const told = [...skews.map(clockAlarm), ...folding.map((header) => foldAlarm(header, at))];
  const alarms = [...red, ...amber, ...told.filter((alarm) => !known.has(alarm.id))].sort(worstFirst);
  const unwatched = {
    stale: lastHeardFirst(hosts.filter((header) => isStale(header, at))),
    paused: lastHeardFirst(hosts.filter((header) => isPaused(header) && !isStale(header, at))),
  };
  const level =
    alarms[0]?.level ?? (unwatched.stale.length > 0 ? 'STALE' : unwatched.paused.length > 0 ? 'PAUSED' : 'GREEN');
  return { at, level, alarms, ...unwatched, nextStaleAt: nextStaleAt(hosts, at) };
}

/** Of a host that no collector tells of. */
const silentExporter =
  'nothing more is told of it: the exporter that measures it, the host, or the Prometheus in between is down';

function lastHeardFirst(hosts: readonly SnapshotHeader[]): UnwatchedHost[] {
  return hosts
    .map((header) => ({
      host: header.host,
      lastSeen: seenAt(header),
      ...(header.metrics['collector.mapped'] === 1 && { why: silentExporter }),
    }))
    .sort((a, b) => a.lastSeen - b.lastSeen);
}

function nextStaleAt(hosts: readonly SnapshotHeader[], at: number): number | null {
  const due = hosts.filter((header) => !isStale(header, at)).map((header) => seenAt(header) + gapOf(header));
  return due.length === 0 ? null : Math.min(...due);
}
