import { reasonOf } from '../alarms/reason.ts';
import type { Alarm, Alarms, UnwatchedHost } from '../core/alarm.ts';
import type { Change } from '../core/change.ts';
import { seriesKey } from '../core/series.ts';
import { roundPercent } from '../core/snapshot.ts';
import type { AlarmAnswer, AlarmsAnswer } from '../wire/alarm.ts';
import { endingAnswer } from '../wire/alarm-codec.ts';
import { iso } from './window.ts';

/** Alarms as they go over the wire. The level stays that of all, whatever is asked for. */
export function alarmsAnswer(found: Alarms, only: { host?: string; level?: string } = {}): AlarmsAnswer {
  const isAboutHost = (host: string) => only.host === undefined || only.host === host;
  const wanted = found.alarms.filter((alarm) => isAboutHost(alarm.host) && (only.level ?? alarm.level) === alarm.level);
  return {
    at: iso(found.at),
    ...(found.newestAt !== undefined && { newestAt: iso(found.newestAt) }),
    level: found.level,
    alarms: wanted.map(alarmAnswer),
    stale: unwatchedAnswer(found.stale, isAboutHost),
    paused: unwatchedAnswer(found.paused, isAboutHost),
    nextStaleAt: found.nextStaleAt === null ? null : iso(found.nextStaleAt),
  };
}

export function changeAnswer({ alarm, lastSeen, ended, ...change }: Change) {
  return {
    ...change,
    alarm: alarm && alarmAnswer(alarm),
    lastSeen: lastSeen === null ? null : iso(lastSeen),
    ended: ended && endingAnswer(ended),
  };
}

function unwatchedAnswer(hosts: readonly UnwatchedHost[], isWanted: (host: string) => boolean) {
  return hosts
    .filter(({ host }) => isWanted(host))
    .map(({ lastSeen, ...told }) => ({ ...told, lastSeen: iso(lastSeen) }));
}

function alarmAnswer(alarm: Alarm): AlarmAnswer {
  const { cause: _, prediction, leadSeconds, culprits, ...told } = alarm;
  return {
    ...told,
    series: seriesKey(alarm.series),
    value: roundPercent(alarm.value),
    since: iso(alarm.since),
    reason: reasonOf(alarm),
    prediction,
    leadSeconds,
    culprits: [...culprits],
  };
}
