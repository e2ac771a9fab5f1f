import type { SnapshotHeader } from './snapshot.ts';

/** A clock that is further off than this is said. */
export const maxSkewSeconds = 30;
/** Clocks that differ by more than this do not agree about what time it is. */
export const agreementMs = 5 * 60_000;
/** A snapshot further ahead of the server than this is kept, marked, and not evaluated. */
export const maxAheadMs = 5 * 60_000;
/** One further ahead than this is not taken: the server's clock may be the wrong one. */
export const mostAheadMs = 86_400_000;

/** A host whose clock is off: by how much (positive: ahead of the server), and since when that is known. */
export interface ClockSkew {
  host: string;
  ip: string | null;
  skewSeconds: number;
  since: number;
  /** Its snapshots are too far off to say anything of now. */
  isUnusable: boolean;
  /** It says nothing any more: that is how its clock was. */
  isSilent: boolean;
}

/** By how much a host's clock was ahead when this was sent; 0 where nobody knows. */
export function skewOf({ metrics }: Pick<SnapshotHeader, 'metrics'>): number {
  return metrics['collector.clockSkewSeconds'] ?? 0;
}

/** Where a snapshot stands in the server's time, now and in every replay: at its own less its sender's skew. */
export function placedAt(header: Pick<SnapshotHeader, 'time' | 'metrics'>): number {
  return header.time - skewOf(header) * 1000;
}

/** When a snapshot was taken, by the clock of the server: by its receipt where that is known. */
export function seenAt(header: Pick<SnapshotHeader, 'time' | 'metrics' | 'seenAt'>): number {
  return header.seenAt ?? placedAt(header);
}
