import type { Alarm, Alarms, Ended } from '../core/alarm.ts';
import type { AlarmsAnswer } from './alarm.ts';

/** An alarm as it came over the wire: why there is one is a sentence, and its series a key. */
export type ToldAlarm = Omit<Alarm, 'series' | 'cause'> & { series: string; reason: string };

/** The alarms of an answer, and what has ended; of a server that does not tell, nothing has. */
export function readAlarms(answer: AlarmsAnswer): { alarms: Alarms<ToldAlarm>; ended: Ended[] } {
  const { at, level, alarms, stale, nextStaleAt, ended = [] } = answer;
  return {
    alarms: {
      at: Date.parse(at),
      level: level as Alarms['level'],
      // A server of before 0.5.0 names no culprits.
      alarms: alarms.map(
        (alarm) => ({ ...alarm, culprits: alarm.culprits ?? [], since: Date.parse(alarm.since) }) as ToldAlarm,
      ),
      stale: stale.map(({ host, lastSeen }) => ({ host, lastSeen: Date.parse(lastSeen) })),
      nextStaleAt: nextStaleAt === null ? null : Date.parse(nextStaleAt),
    },
    ended: ended.map((each) => ({ ...each, at: Date.parse(each.at) }) as Ended),
  };
}
