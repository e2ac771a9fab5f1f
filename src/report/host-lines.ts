import { formatDuration } from '../core/duration.ts';
import { clockTime } from '../platform/clock-time.ts';
import { plainTable } from '../platform/plain-table.ts';
import { terminalText } from '../platform/terminal-text.ts';
import type { HostsAnswer } from '../wire/host.ts';

/** The answer of /v1/hosts as a table, those first that were heard of last. */
export function hostLines({ hosts }: HostsAnswer, now: number): string[] {
  if (hosts.length === 0) return ['no host has reported yet'];
  const sorted = hosts.toSorted((a, b) => Date.parse(b.lastSeen) - Date.parse(a.lastSeen));
  const rows = sorted.map(({ host, ip, state, lastSeen, interval }) => {
    const ago = formatDuration(Math.max(0, Math.round((now - Date.parse(lastSeen)) / 1000) * 1000));
    const heard = `${clockTime(Date.parse(lastSeen))}, ${ago} ago`;
    return [terminalText(host), ip ?? '-', state === 'stale' ? 'STALE' : state, heard, formatDuration(interval * 1000)];
  });
  return plainTable(['HOST', 'ADDRESS', 'STATE', 'LAST HEARD OF', 'EVERY'], rows);
}
