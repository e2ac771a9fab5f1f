import { type Alarm, type Alarms, type Ended, type Ending, levels, type UnwatchedHost } from './alarm.ts';

/** What of an alarm tells it apart. */
export type AlarmIdentity = Pick<Alarm, 'id' | 'level' | 'host'>;

/** What can be said of something; OK: it is over. */
export type ChangeLevel = 'RED' | 'AMBER' | 'STALE' | 'PAUSED' | 'OK';

/** One thing to tell: something got worse, better, fell silent, was paused or came back. */
export interface Change<A = Alarm> {
  level: ChangeLevel;
  /** What it was before; null when nothing had been said of it. */
  before: Exclude<ChangeLevel, 'OK'> | null;
  host: string;
  /** The alarm as it is now, or, for OK, as it last was. Null when it is about the host's silence or pause. */
  alarm: A | null;
  /** When the host was last heard of, where `alarm` is null. */
  lastSeen: number | null;
  /** Of a source that gives nothing any more: why. */
  why?: string;
  /** Of OK, how it has ended; null: nobody knows. */
  ended: Ending | null;
}

const order: readonly string[] = [...levels.filter((level) => level !== 'GREEN'), 'OK'];

/** What changed between two evaluations, worst first. Without an earlier one all that is there is new. */
export function changes<A extends AlarmIdentity>(before: Alarms<A> | null, now: Alarms<A>): Change<A>[] {
  const found = [...alarmChanges(before?.alarms ?? [], now.alarms), ...hostChanges(before, now)];
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

/** A host that was paused and falls silent is not OK in between. */
function* hostChanges(before: Alarms<unknown> | null, now: Alarms<unknown>): Iterable<Change<never>> {
  const earlier = unwatched(before);
  const current = unwatched(now);
  for (const { level, ...host } of current.values()) {
    const previous = earlier.get(host.host)?.level ?? null;
    if (previous !== level) yield { ...host, level, before: previous, alarm: null, ended: null };
  }
  for (const { level, ...host } of earlier.values())
    if (!current.has(host.host)) yield { ...host, level: 'OK', before: level, alarm: null, ended: null };
}

function unwatched(alarms: Alarms<unknown> | null) {
  const told = (level: 'STALE' | 'PAUSED') => (each: UnwatchedHost) => [each.host, { ...each, level }] as const;
  return new Map([...(alarms?.paused ?? []).map(told('PAUSED')), ...(alarms?.stale ?? []).map(told('STALE'))]);
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
  { level, host, alarm, lastSeen, why }: Change<A>,
): Alarms<A> {
  if (alarm === null) {
    const others = (hosts: readonly UnwatchedHost[]) => hosts.filter((each) => each.host !== host);
    const unwatched = { host, lastSeen: lastSeen ?? said.at, ...(why !== undefined && { why }) };
    const now = (of: ChangeLevel) => (level === of ? [unwatched] : []);
    const stale = [...others(said.stale), ...now('STALE')];
    return { ...said, stale, paused: [...others(said.paused), ...now('PAUSED')] };
  }
  const alarms = said.alarms.filter((other) => other.id !== alarm.id);
  return { ...said, alarms: level === 'OK' ? alarms : [...alarms, alarm] };
}
