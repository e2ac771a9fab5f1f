import type { Alarm, Alarms, UnwatchedHost } from '../core/alarm.ts';
import type { AlarmsAnswer } from './alarm.ts';

/** An alarm as it came over the wire: why there is one is a sentence, and its series a key. */
export type ReceivedAlarm = Omit<Alarm, 'series' | 'cause'> & { series: string; reason: string };

/** The alarms of an answer; a server of before 0.5.0 names no culprits, one of before 0.6.0 pauses nobody. */
export function readAlarms({ at, level, alarms, stale, paused, nextStaleAt }: AlarmsAnswer): Alarms<ReceivedAlarm> {
  return {
    at: Date.parse(at),
    level: level as Alarms['level'],
    alarms: alarms.map(
      (alarm) => ({ ...alarm, culprits: alarm.culprits ?? [], since: Date.parse(alarm.since) }) as ReceivedAlarm,
    ),
    stale: stale.map(readUnwatched),
    paused: (paused ?? []).map(readUnwatched),
    nextStaleAt: nextStaleAt === null ? null : Date.parse(nextStaleAt),
  };
}

function readUnwatched({ host, lastSeen }: AlarmsAnswer['stale'][number]): UnwatchedHost {
  return { host, lastSeen: Date.parse(lastSeen) };
}
