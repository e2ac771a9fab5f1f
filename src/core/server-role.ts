import type { Series } from './series.ts';
import { seriesKey } from './series.ts';

/** `ingest` takes in, `query` answers, `watch` forecasts and does what has to be done once for all servers of a store. */
export const serverRoles = ['ingest', 'query', 'watch'] as const;
export type ServerRole = (typeof serverRoles)[number];

/** The so-many-th, from 1, of so many watchers that share the hosts. */
export interface WatchShare {
  index: number;
  of: number;
}

/** What one of several servers over a store does. */
export interface Duties {
  roles: readonly ServerRole[];
  share: WatchShare;
}

export const everyDuty: Duties = { roles: serverRoles, share: { index: 1, of: 1 } };

/** `1/2` */
export function formatShare({ index, of }: WatchShare): string {
  return `${index}/${of}`;
}

/** Whether this server alone does what is done once for all: the watcher of the first share. */
export function isFirstWatcher({ roles, share }: Duties): boolean {
  return roles.includes('watch') && share.index === 1;
}

/** Whether a series is of this share: all series of a host are of the same. */
export function isSeriesInShare(series: Series, share: WatchShare): boolean {
  return isInShare(series.labels.host ?? seriesKey(series), share);
}

export function isInShare(name: string, { index, of }: WatchShare): boolean {
  return of === 1 || fnv1a(name) % of === index - 1;
}

/** FNV-1a with 32 bits, of UTF-8 (draft-eastlake-fnv): the same in every process, and evenly spread. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** What is wrong with the shares that are watched now; null: every host is watched once. */
export function shareProblem(shares: readonly WatchShare[]): string | null {
  const ofs = [...new Set(shares.map(({ of }) => of))];
  if (shares.length === 0) return 'nobody forecasts: no server with the role watch is there';
  if (ofs.length > 1)
    return `watchers divide the hosts differently (${[...new Set(shares.map(formatShare))].sort().join(', ')}): give all of them the same number of shares`;
  const of = ofs[0] as number;
  const counts = Array.from({ length: of }, (_, at) => shares.filter(({ index }) => index === at + 1).length);
  const named = (isMeant: (count: number) => boolean) =>
    counts.flatMap((count, at) => (isMeant(count) ? [formatShare({ index: at + 1, of })] : [])).join(', ');
  const missing = named((count) => count === 0);
  if (missing !== '') return `nobody watches share ${missing}: its hosts are not forecast`;
  const doubled = named((count) => count > 1);
  return doubled === '' ? null : `share ${doubled} is watched by more than one server: the work is done twice`;
}
