import type { Clock } from '../core/clock.ts';
import type { Snapshot, SnapshotHeader } from '../core/snapshot.ts';

/** Rows of all hosts together: some 250 bytes each. */
const mostRows = 100_000;
const mostHosts = 20_000;
/** Whoever has not asked for so long does not ask again and again: once a minute is usual. */
export const keptReadyMs = 150_000;

/**
 * The rows of each host's newest snapshot, kept while somebody asks for them again and again: to read them all would
 * cost the store more than all else that a scrape costs.
 */
export class LatestUsage {
  readonly #clock: Clock;
  readonly #snapshots = new Map<string, Snapshot>();
  #rows = 0;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One that is stored: with what was folded of it as it is in the store. */
  remember(snapshot: Snapshot): void {
    this.#forget(snapshot.host);
    if (!this.#isWanted()) this.#clear();
    else this.#keep(snapshot);
  }

  /** Exactly this snapshot; undefined: only the store has it. */
  find({ host, time }: Pick<SnapshotHeader, 'host' | 'time'>): Snapshot | undefined {
    this.#askedAt = this.#clock.monotonic();
    const snapshot = this.#snapshots.get(host);
    return snapshot?.time === time ? snapshot : undefined;
  }

  #isWanted(): boolean {
    return this.#clock.monotonic() - this.#askedAt < keptReadyMs;
  }

  #keep(snapshot: Snapshot): void {
    const rows = snapshot.processes.name.length;
    if (rows > mostRows) return;
    this.#snapshots.set(snapshot.host, snapshot);
    this.#rows += rows;
    // Those that have reported longest ago, perhaps for the last time.
    for (const host of this.#snapshots.keys()) {
      if (this.#rows <= mostRows && this.#snapshots.size <= mostHosts) break;
      this.#forget(host);
    }
  }

  #forget(host: string): void {
    this.#rows -= this.#snapshots.get(host)?.processes.name.length ?? 0;
    this.#snapshots.delete(host);
  }

  #clear(): void {
    this.#snapshots.clear();
    this.#rows = 0;
  }
}
