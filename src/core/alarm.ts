import type { Forecast } from './forecast.ts';
import { seenAt } from './host-clock.ts';
import type { Series } from './series.ts';
import type { SnapshotHeader } from './snapshot.ts';
import type { Threshold } from './threshold.ts';

/** Worst first. STALE and PAUSED are worse than GREEN: nobody knows how such a host does, of the second because somebody wants it so. */
export const levels = ['RED', 'AMBER', 'STALE', 'PAUSED', 'GREEN'] as const;
export type Level = (typeof levels)[number];

/** A host that has said nothing for so many of its own intervals is STALE. */
export const staleIntervals = 3;

/** Not of any host: the server's own clock is in doubt. */
export const serverClockMetric = 'server.clockSkewSeconds';
/** What alarms about the server itself have for a host. */
export const serverName = '(server)';

/** `series`: of another source than hosts and their processes. */
export type AlarmSubject =
  | { kind: 'process'; name: string; pid: number | null }
  | { kind: 'system' }
  | { kind: 'series' };

/** What is known of a breach that has not come yet. */
export interface Prediction extends Pick<Forecast, 'etaSeconds' | 'intervalSeconds'> {
  probability: number;
  /** Sure enough to wake somebody: by the policy that puts precision first. */
  notify: boolean;
}

/** Why there is an alarm. Durations are milliseconds. */
export type Cause =
  /** Over the line, for so long by its host's clock. */
  | { kind: 'over'; lastedMs: number }
  /** It was over the line, and has not been at or under `clear` for `holdMs` yet. */
  | { kind: 'held'; clear: number; holdMs: number }
  /** It is over the line as was forecast, but not yet for long enough to be RED. */
  | { kind: 'pending' }
  /** It will be over the line: what the forecast says. */
  | { kind: 'forecast'; said: string }
  /** A host's clock is off; positive: ahead of the server's. */
  | { kind: 'hostClock'; skewSeconds: number; isUnusable: boolean }
  /** A host makes up so many process names that new ones are counted together. */
  | { kind: 'foldedNames' }
  /** The server's own clock is in doubt. */
  | { kind: 'serverClock'; doubt: string };

/** A process behind an alarm of its host, and what it takes. */
export interface Culprit {
  process: string;
  value: number;
}

/** How an alarm, or the silence or pause of a host, has ended. */
export interface Ending {
  /**
   * `recovered`: no longer over, or heard of again; `exited`: the process; `unknown`: its value is not known any more;
   * `paused`: its host is not looked at any more, as somebody wants it;
   * `forgotten`: somebody has said that its host is gone; `expired`: nothing was heard for so long that nothing is
   * known any more, and so nobody knows that it is well.
   */
  how: 'recovered' | 'exited' | 'unknown' | 'paused' | 'forgotten' | 'expired';
  /** The value by then, in the unit of the threshold; null: there is none. */
  value: number | null;
}

/** So many can be asked about at once: with the longest of series they fit into a body. */
export const mostEndings = 200;

/** One that is not there any more. */
export interface Ended extends Ending {
  host: string;
  /** Of the alarm; null: it is the host's silence or pause that has ended. */
  id: string | null;
  /** When the newest snapshot of the host was taken by which this is said; absent: nobody says. */
  newestAt?: number;
}

/** What a person sees. Times are epoch milliseconds. */
export interface Alarm {
  /** The same for as long as it is about the same metric of the same subject of the same host. */
  id: string;
  level: 'RED' | 'AMBER';
  /** `stale`: the host has fallen silent, this was its last state. */
  state: 'firing' | 'stale';
  host: string;
  ip: string | null;
  subject: AlarmSubject;
  metric: string;
  series: Series;
  /** What of a process was measured, as in its threshold: a value means nothing without. */
  of: Threshold['of'];
  basis: Threshold['basis'];
  value: number;
  threshold: number;
  since: number;
  cause: Cause;
  /** Of an alarm of a whole host, those that take most. */
  culprits: readonly Culprit[];
  /** Of an AMBER alarm, until it has come true. */
  prediction: Prediction | null;
  /** Of a RED alarm that was AMBER before: by how much that came earlier. */
  leadSeconds: number | null;
}

/** A host of which nothing is known but when it was last heard of; or what others are asked for, by its `sourceName`. */
export interface UnwatchedHost {
  host: string;
  lastSeen: number;
  /** Of a source: why there is nothing. */
  why?: string;
}

/** What a Prometheus that is asked is called where hosts are told of. */
export function sourceName(name: string): string {
  return `${sourcePrefix}${name})`;
}

/** Whoever sets up a collector cannot call its host so. */
export function isSourceName(host: string): boolean {
  return host.startsWith(sourcePrefix);
}

const sourcePrefix = '(prometheus ';

export interface Alarms<A = Alarm> {
  at: number;
  /** When the newest snapshot was taken of all that were looked at; absent: there is none. */
  newestAt?: number;
  level: Level;
  /** Worst first. */
  alarms: A[];
  stale: UnwatchedHost[];
  /** Hosts that live, and say nothing else. */
  paused: UnwatchedHost[];
  /** When the next host will be STALE if it says nothing more; null: none is left. */
  nextStaleAt: number | null;
}

/** Whether the host has been silent for too long at `at`. */
export function isStale(
  header: Pick<SnapshotHeader, 'time' | 'metrics' | 'seenAt' | 'intervalMs'>,
  at: number,
): boolean {
  return at - seenAt(header) > gapOf(header);
}

/** Whether it only says that it lives, as it was told to. */
export function isPaused({ metrics }: Pick<SnapshotHeader, 'metrics'>): boolean {
  return metrics['collector.paused'] === 1;
}

/** Without a word for longer than this it is silent, and a run of its values ends. */
export function gapOf({ intervalMs }: Pick<SnapshotHeader, 'intervalMs'>): number {
  return staleIntervals * intervalMs;
}
