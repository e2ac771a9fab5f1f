import type { Clock } from '../core/clock.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { Store } from '../core/store.ts';
import type { TokenRecord } from '../core/token.ts';
import { checkHosts } from './check-hosts.ts';
import type { KnownHosts } from './known-hosts.ts';

export interface IngestCounts {
  stored: number;
  processes: number;
  /** Older than the retention when they came: acknowledged, so that nobody sends them for ever. */
  expired: number;
}

/** Who sends snapshots, and when by its own clock; null where nobody knows. */
export interface SentBy {
  token: TokenRecord | null;
  sentAt: number | null;
}

/** The one way into the store, for every wire format. */
export class Ingest {
  readonly counts: IngestCounts = { stored: 0, processes: 0, expired: 0 };
  readonly #store: Store;
  readonly #hosts: KnownHosts;
  readonly #clock: Clock;
  readonly #retentionMs: number;

  constructor(store: Store, hosts: KnownHosts, clock: Clock, retentionMs: number) {
    this.#store = store;
    this.#hosts = hosts;
    this.#clock = clock;
    this.#retentionMs = retentionMs;
  }

  /**
   * Resolves once everything that is not older than the retention is durable.
   * @throws MonitorError `forbidden` when the sender may not write for one of the hosts: then nothing is stored
   */
  async write(snapshots: readonly Snapshot[], { token, sentAt }: SentBy): Promise<void> {
    checkHosts(token, snapshots);
    this.#hosts.hear(snapshots, sentAt);
    const oldest = this.#clock.now() - this.#retentionMs;
    const kept = snapshots.filter((snapshot) => snapshot.time >= oldest);
    if (kept.length > 0) await this.#store.write(kept);
    for (const snapshot of snapshots) if (snapshot.time < oldest) this.#hosts.expired(snapshot);
    this.counts.expired += snapshots.length - kept.length;
    this.counts.stored += kept.length;
    for (const snapshot of kept) this.counts.processes += snapshot.processes.name.length;
  }
}
