import type { SnapshotHeader } from './snapshot.ts';

/** A clock that is further off than this is said. */
export const maxSkewSeconds = 30;
/** A snapshot further ahead of the server than this is kept, marked, and not evaluated. */
export const maxAheadMs = 5 * 60_000;

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

/** When a snapshot was taken, by the clock of the server. */
export function seenAt(header: SnapshotHeader): number {
  return header.seenAt ?? header.time - skewOf(header) * 1000;
}
