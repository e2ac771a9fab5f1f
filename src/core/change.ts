import { type Alarm, type Alarms, type Ended, type Ending, levels } from './alarm.ts';

/** What of an alarm tells it apart. */
export type AlarmIdentity = Pick<Alarm, 'id' | 'level' | 'host'>;

/** One thing to tell: something got worse, better, fell silent or came back. */
export interface Change<A = Alarm> {
  level: 'RED' | 'AMBER' | 'STALE' | 'OK';
  /** What it was before; null when nothing had been said of it. */
  before: 'RED' | 'AMBER' | 'STALE' | null;
  host: string;
  /** The alarm as it is now, or, for OK, as it last was. Null when it is about the host's silence. */
  alarm: A | null;
  /** When the host was last heard of, where `alarm` is null. */
  lastSeen: number | null;
  /** Of OK, how it has ended; null: nobody knows. */
  ended: Ending | null;
}

const order = [...levels.slice(0, 3), 'OK'];

/** What changed between two evaluations, worst first. Without an earlier one all that is there is new. */
export function changes<A extends AlarmIdentity>(before: Alarms<A> | null, now: Alarms<A>): Change<A>[] {
  const found = [...alarmChanges(before?.alarms ?? [], now.alarms), ...staleChanges(before?.stale ?? [], now.stale)];
  return found.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

function* alarmChanges<A extends AlarmIdentity>(before: readonly A[], now: readonly A[]): Iterable<Change<A>> {
  const earlier = new Map(before.map((alarm) => [alarm.id, alarm]));
  for (const alarm of now) {
    const { level, host } = alarm;
    const previous = earlier.get(alarm.id)?.level ?? null;
    if (previous !== level) yield { level, before: previous, host, alarm, lastSeen: null, ended: null };
  }
  const current = new Set(now.map((alarm) => alarm.id));
  for (const alarm of before) {
    const { id, level, host } = alarm;
    if (!current.has(id)) yield { level: 'OK', before: level, host, alarm, lastSeen: null, ended: null };
  }
}

function* staleChanges(before: Alarms['stale'], now: Alarms['stale']): Iterable<Change<never>> {
  const earlier = new Set(before.map(({ host }) => host));
  const current = new Set(now.map(({ host }) => host));
  for (const { host, lastSeen } of now)
    if (!earlier.has(host)) yield { level: 'STALE', before: null, host, alarm: null, lastSeen, ended: null };
  for (const { host, lastSeen } of before)
    if (!current.has(host)) yield { level: 'OK', before: 'STALE', host, alarm: null, lastSeen, ended: null };
}

/** The same changes, each OK with how it has ended where that is known. */
export function withEndings<A extends AlarmIdentity>(
  found: readonly Change<A>[],
  ended: readonly Ended[],
): Change<A>[] {
  const endings = new Map(ended.map(({ host, id, how, value }) => [endingKey(host, id), { how, value }]));
  return found.map((change) => {
    const ending = endings.get(endingKey(change.host, change.alarm?.id ?? null));
    return change.level === 'OK' && ending !== undefined ? { ...change, ended: ending } : change;
  });
}

function endingKey(host: string, id: string | null): string {
  return id ?? `silence of ${host}`;
}

/** What has been said once this has been said too. */
export function withChange<A extends AlarmIdentity>(
  said: Alarms<A>,
  { level, host, alarm, lastSeen }: Change<A>,
): Alarms<A> {
  if (alarm === null) {
    const stale = said.stale.filter((silent) => silent.host !== host);
    return { ...said, stale: level === 'OK' ? stale : [...stale, { host, lastSeen: lastSeen ?? said.at }] };
  }
  const alarms = said.alarms.filter((other) => other.id !== alarm.id);
  return { ...said, alarms: level === 'OK' ? alarms : [...alarms, alarm] };
}
