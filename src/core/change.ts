import { type Alarm, type Alarms, type Ended, type Ending, levels } from './alarm.ts';

/** What of an alarm tells it apart. */
export type Told = Pick<Alarm, 'id' | 'level' | 'host'>;

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
  /** Of OK, as far as it is known. */
  ended: Ending | null;
}

const order = [...levels.slice(0, 3), 'OK'];

/**
 * What changed between two evaluations, worst first. Without an earlier one all that is there is new.
 * @param ended what is known of how what is gone has ended
 */
export function changes<A extends Told>(
  before: Alarms<A> | null,
  now: Alarms<A>,
  ended: readonly Ended[] = [],
): Change<A>[] {
  const endings = new Map(ended.map(({ host, id, how, value }) => [keyOf(host, id), { how, value }]));
  const endingOf = (host: string, id: string | null) => endings.get(keyOf(host, id)) ?? null;
  const found = [
    ...alarmChanges(before?.alarms ?? [], now.alarms, endingOf),
    ...staleChanges(before?.stale ?? [], now.stale, endingOf),
  ];
  return found.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

type EndingOf = (host: string, id: string | null) => Ending | null;

function keyOf(host: string, id: string | null): string {
  return id ?? `silence of ${host}`;
}

function* alarmChanges<A extends Told>(
  before: readonly A[],
  now: readonly A[],
  endingOf: EndingOf,
): Iterable<Change<A>> {
  const earlier = new Map(before.map((alarm) => [alarm.id, alarm]));
  for (const alarm of now) {
    const { level, host } = alarm;
    const previous = earlier.get(alarm.id)?.level ?? null;
    if (previous !== level) yield { level, before: previous, host, alarm, lastSeen: null, ended: null };
  }
  const current = new Set(now.map((alarm) => alarm.id));
  for (const alarm of before) {
    const { id, level, host } = alarm;
    if (!current.has(id)) yield { level: 'OK', before: level, host, alarm, lastSeen: null, ended: endingOf(host, id) };
  }
}

function* staleChanges(before: Alarms['stale'], now: Alarms['stale'], endingOf: EndingOf): Iterable<Change<never>> {
  const earlier = new Set(before.map(({ host }) => host));
  const current = new Set(now.map(({ host }) => host));
  for (const { host, lastSeen } of now)
    if (!earlier.has(host)) yield { level: 'STALE', before: null, host, alarm: null, lastSeen, ended: null };
  for (const { host, lastSeen } of before)
    if (!current.has(host))
      yield { level: 'OK', before: 'STALE', host, alarm: null, lastSeen, ended: endingOf(host, null) };
}

/** What has been said once this has been said too. */
export function withChange<A extends Told>(said: Alarms<A>, { level, host, alarm, lastSeen }: Change<A>): Alarms<A> {
  if (alarm === null) {
    const stale = said.stale.filter((silent) => silent.host !== host);
    return { ...said, stale: level === 'OK' ? stale : [...stale, { host, lastSeen: lastSeen ?? said.at }] };
  }
  const alarms = said.alarms.filter((other) => other.id !== alarm.id);
  return { ...said, alarms: level === 'OK' ? alarms : [...alarms, alarm] };
}
