import type { Ending } from '../core/alarm.ts';
import type { Change, ChangeLevel } from '../core/change.ts';
import type { ReceivedAlarm } from '../wire/alarm-codec.ts';
import type { Announcement } from './announcement.ts';
import { reasonOf } from './render.ts';

/** How what has ended without being well is told of. */
const notOk: Partial<Record<Ending['how'], ChangeLevel>> = { expired: 'STALE', paused: 'PAUSED' };

/** A series that has ended says nothing of what it was about: a process that has is gone. */
function levelOf({ level, ended, alarm }: Change<ReceivedAlarm>): ChangeLevel {
  if (ended === null) return level;
  const hasSeriesEnded = ended.how === 'exited' && alarm?.subject.kind === 'series';
  return hasSeriesEnded ? 'STALE' : (notOk[ended.how] ?? level);
}

/** What is to be said of a change. What is only not known any more is not OK. */
export function announcementOf(change: Change<ReceivedAlarm>, time: number): Announcement {
  const { before, host, alarm, lastSeen, ended } = change;
  const process = alarm?.subject.kind === 'process' ? alarm.subject : null;
  return {
    time,
    level: levelOf(change),
    before,
    id: alarm?.id ?? null,
    host,
    state: alarm?.state ?? null,
    process: process?.name ?? null,
    pid: process?.pid ?? null,
    metric: alarm?.metric ?? null,
    series: alarm?.subject.kind === 'series' ? alarm.series : null,
    value: change.level === 'OK' ? (ended?.value ?? null) : (alarm?.value ?? null),
    threshold: alarm?.threshold ?? null,
    since: alarm?.since ?? lastSeen,
    ended: ended?.how ?? null,
    culprits: alarm?.culprits ?? [],
    reason: reasonOf(change, time),
    prediction: alarm?.prediction ?? null,
    leadSeconds: alarm?.leadSeconds ?? null,
  };
}
