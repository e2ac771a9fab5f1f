import { formatDuration } from '../core/duration.ts';
import { clockTime } from '../platform/clock-time.ts';
import { plainTable } from '../platform/plain-table.ts';
import { terminalText } from '../platform/terminal-text.ts';
import type { HostsAnswer } from '../wire/host.ts';

type HostAnswer = HostsAnswer['hosts'][number];

/** The answer of /v1/hosts as a table, those first that were heard of last. */
export function hostLines({ hosts }: HostsAnswer, now: number): string[] {
  if (hosts.length === 0) return ['no host has reported yet'];
  const sorted = hosts.toSorted((a, b) => Date.parse(b.lastSeen) - Date.parse(a.lastSeen));
  const rows = sorted.map(({ host, ip, state, lastSeen, interval, desired }) => {
    const ago = formatDuration(Math.max(0, Math.round((now - Date.parse(lastSeen)) / 1000) * 1000));
    const heard = `${clockTime(Date.parse(lastSeen))}, ${ago} ago`;
    return [terminalText(host), ip ?? '-', stateText(state, desired), heard, paceText(interval, desired)];
  });
  return plainTable(['HOST', 'ADDRESS', 'STATE', 'LAST HEARD OF', 'EVERY'], rows);
}

/** Where its collector has yet to learn what is wanted, that too. A server of before 0.6.0 wants nothing. */
function stateText(state: HostAnswer['state'], desired: HostAnswer['desired'] | undefined): string {
  if (state === 'stale') return 'STALE';
  const isPaused = state === 'paused';
  const text = isPaused ? 'PAUSED' : state;
  return isPaused === (desired?.paused ?? isPaused) ? text : `${text}, to ${isPaused ? 'resume' : 'pause'}`;
}

function paceText(interval: number, desired: HostAnswer['desired'] | undefined): string {
  const wanted = desired?.interval ?? interval;
  const text = formatDuration(interval * 1000);
  return wanted === interval ? text : `${text}, to be ${formatDuration(wanted * 1000)}`;
}
