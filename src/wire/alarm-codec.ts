import type { Alarm, Alarms, Ended, Ending, UnwatchedHost } from '../core/alarm.ts';
import type { AlarmsAnswer, EndedAnswer } from './alarm.ts';

/** An alarm as it came over the wire: why there is one is a sentence, and its series a key. */
export type ReceivedAlarm = Omit<Alarm, 'series' | 'cause'> & { series: string; reason: string };

/** The alarms of an answer; a server of before 0.5.0 names no culprits, one of before 0.6.0 pauses nobody. */
export function readAlarms(answer: AlarmsAnswer): Alarms<ReceivedAlarm> {
  const { at, newestAt, level, alarms, stale, paused, nextStaleAt } = answer;
  return {
    at: Date.parse(at),
    ...(newestAt !== undefined && { newestAt: Date.parse(newestAt) }),
    level: level as Alarms['level'],
    alarms: alarms.map(
      (alarm) => ({ ...alarm, culprits: alarm.culprits ?? [], since: Date.parse(alarm.since) }) as ReceivedAlarm,
    ),
    stale: stale.map(readUnwatched),
    paused: (paused ?? []).map(readUnwatched),
    nextStaleAt: nextStaleAt === null ? null : Date.parse(nextStaleAt),
  };
}

function readUnwatched({ lastSeen, ...told }: AlarmsAnswer['stale'][number]): UnwatchedHost {
  return { ...told, lastSeen: Date.parse(lastSeen) };
}

/** An alerter of before 0.6.0 ends at a word it does not know: to it a paused one is unknown. */
export function endingAnswer({ how, value }: Ending): Pick<EndedAnswer, 'how' | 'value' | 'paused'> {
  return how === 'paused' ? { how: 'unknown', value, paused: true } : { how, value };
}

export function readEnded({ id, host, how, value, paused, newestAt }: EndedAnswer): Ended {
  const newest = newestAt === undefined ? {} : { newestAt: Date.parse(newestAt) };
  return { id, host, ...newest, how: paused === true ? 'paused' : (how as Ending['how']), value };
}
