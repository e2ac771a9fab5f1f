import { type Alarm, type Alarms, levels } from './alarm.ts';

/** One thing to tell: something got worse, better, fell silent or came back. */
export interface Change {
  level: 'RED' | 'AMBER' | 'STALE' | 'OK';
  /** What it was before; null when nothing had been said of it. */
  before: 'RED' | 'AMBER' | 'STALE' | null;
  host: string;
  /** The alarm as it is now, or, for OK, as it last was. Null when it is about the host's silence. */
  alarm: Alarm | null;
  /** When the host was last heard of, where `alarm` is null. */
  lastSeen: number | null;
}

const order = [...levels.slice(0, 3), 'OK'];

/** What changed between two evaluations, worst first. Without an earlier one all that is there is new. */
export function changes(before: Alarms | null, now: Alarms): Change[] {
  const found = [...alarmChanges(before?.alarms ?? [], now.alarms), ...staleChanges(before?.stale ?? [], now)];
  return found.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

function* alarmChanges(before: readonly Alarm[], now: readonly Alarm[]): Iterable<Change> {
  const earlier = new Map(before.map((alarm) => [alarm.id, alarm]));
  for (const alarm of now) {
    const previous = earlier.get(alarm.id)?.level ?? null;
    if (previous !== alarm.level)
      yield { level: alarm.level, before: previous, host: alarm.host, alarm, lastSeen: null };
  }
  const current = new Set(now.map((alarm) => alarm.id));
  for (const alarm of before) {
    if (!current.has(alarm.id)) yield { level: 'OK', before: alarm.level, host: alarm.host, alarm, lastSeen: null };
  }
}

function* staleChanges(before: Alarms['stale'], now: Alarms): Iterable<Change> {
  const earlier = new Set(before.map((host) => host.host));
  const current = new Set(now.stale.map((host) => host.host));
  for (const { host, lastSeen } of now.stale) {
    if (!earlier.has(host)) yield { level: 'STALE', before: null, host, alarm: null, lastSeen };
  }
  for (const { host, lastSeen } of before) {
    if (!current.has(host)) yield { level: 'OK', before: 'STALE', host, alarm: null, lastSeen };
  }
}

/** What has been said once this has been said too. */
export function withChange(said: Alarms, { level, host, alarm, lastSeen }: Change): Alarms {
  if (alarm === null) {
    const stale = said.stale.filter((silent) => silent.host !== host);
    return { ...said, stale: level === 'OK' ? stale : [...stale, { host, lastSeen: lastSeen ?? said.at }] };
  }
  const alarms = said.alarms.filter((other) => other.id !== alarm.id);
  return { ...said, alarms: level === 'OK' ? alarms : [...alarms, alarm] };
}
