import { gapOf, isPaused } from '../core/alarm.ts';
import { placedAt } from '../core/host-clock.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import type { Reads } from '../core/store.ts';

/**
 * The first snapshot of a collector knows no CPU. Taken for the newest it would end every CPU alarm of
 * its host for an interval, so the one before it counts while that is fresh.
 */
export async function withKnownCpu(hosts: readonly SnapshotHeader[], reads: Reads<[]>): Promise<SnapshotHeader[]> {
  const found: SnapshotHeader[] = [];
  for (const header of hosts) {
    const knows =
      isPaused(header) ||
      header.metrics['system.cpu'] !== undefined ||
      header.metrics['collector.sweepMs'] === undefined;
    found.push(knows ? header : await beforeOf(header, reads));
  }
  return found;
}

async function beforeOf(header: SnapshotHeader, reads: Reads<[]>): Promise<SnapshotHeader> {
  const before = (await reads.latest(placedAt(header) - 1)).find(({ host }) => host === header.host);
  const isFresh = before !== undefined && header.time - before.time <= gapOf(header);
  return isFresh && before.metrics['system.cpu'] !== undefined ? before : header;
}
