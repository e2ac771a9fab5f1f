import type { Clock } from '../core/clock.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { Store } from '../core/store.ts';

export interface IngestCounts {
  stored: number;
  processes: number;
  /** Older than the retention when they came: acknowledged, so that nobody sends them for ever. */
  expired: number;
}

/** The one way into the store, for every wire format. */
export class Ingest {
  readonly counts: IngestCounts = { stored: 0, processes: 0, expired: 0 };
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #retentionMs: number;

  constructor(store: Store, clock: Clock, retentionMs: number) {
    this.#store = store;
    this.#clock = clock;
    this.#retentionMs = retentionMs;
  }

  /** Resolves once everything that is not older than the retention is durable. */
  async write(snapshots: readonly Snapshot[]): Promise<void> {
    const oldest = this.#clock.now() - this.#retentionMs;
    const kept = snapshots.filter((snapshot) => snapshot.time >= oldest);
    if (kept.length > 0) await this.#store.write(kept);
    this.counts.expired += snapshots.length - kept.length;
    this.counts.stored += kept.length;
    for (const snapshot of kept) this.counts.processes += snapshot.processes.name.length;
  }
}
