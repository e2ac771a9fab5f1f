import type { Culprit, Ending } from '../core/alarm.ts';
import type { ChangeLevel } from '../core/change.ts';
import type { PredictionAnswer } from '../wire/alarm.ts';

/** One thing the alerter says. Null: does not apply. Times are epoch milliseconds. */
export interface Announcement {
  time: number;
  level: ChangeLevel;
  before: Exclude<ChangeLevel, 'OK'> | null;
  id: string | null;
  host: string;
  /** `stale`: the host has fallen silent, this was its last state. Null where it is about the host's silence or pause. */
  state: 'firing' | 'stale' | null;
  process: string | null;
  pid: number | null;
  metric: string | null;
  /** Of another source than hosts and their processes: the key of its series. Absent where an older one has said it. */
  series?: string | null;
  /** For OK the value now; null when the process has ended. */
  value: number | null;
  threshold: number | null;
  /** When the run over the threshold began; of a silent host, when it was last heard of. */
  since: number | null;
  /** Of OK, and of STALE and PAUSED that were something else before: how it ended. Absent where an older one has said it. */
  ended?: Ending['how'] | null;
  /** Of a host's alarm: the processes that take most. Absent where an older one has said it. */
  culprits?: readonly Culprit[];
  reason: string;
  prediction: PredictionAnswer | null;
  /** Of RED that was AMBER before: how much earlier. */
  leadSeconds: number | null;
}

/** As this version has it: up to 0.4.0 how something ended, and who was behind it, stood in the reason alone. */
export function upgradeAnnouncement(said: Announcement): Announcement {
  if (said.ended !== undefined) return said;
  const { reason } = said;
  const ended = reason.startsWith('forgotten, as') ? 'forgotten' : reason.startsWith('forgotten') ? 'expired' : null;
  const culprits = (reason.split('; most by ')[1]?.split(', ') ?? []).map(culpritOf);
  return { ...said, ended: said.level === 'OK' ? (ended ?? 'recovered') : ended, culprits };
}

function culpritOf(text: string): Culprit {
  const [, process = text, value = '0'] = /^(.*) ([\d.]+)$/.exec(text) ?? [];
  return { process, value: Number(value) };
}
