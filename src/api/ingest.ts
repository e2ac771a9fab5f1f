import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { MonitorError } from '../core/error.ts';
import { mostAheadMs } from '../core/host-clock.ts';
import type { TakenAnswer } from '../core/schema.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { Store } from '../core/store.ts';
import type { TokenRecord } from '../core/token.ts';
import { checkHosts } from './check-hosts.ts';
import type { Expiry } from './expiry.ts';
import type { KnownHosts } from './known-hosts.ts';

export interface IngestCounts {
  stored: number;
  processes: number;
  /** Older than what is kept when they came: settled, so that nobody sends them for ever. */
  expired: number;
}

/** Who sends snapshots, and when by its own clock; null where nobody knows. */
export interface SentBy {
  token: TokenRecord | null;
  sentAt: number | null;
}

const earlyRetrySeconds = 600;

/** The one way into the store, for every wire format. */
export class Ingest {
  readonly counts: IngestCounts = { stored: 0, processes: 0, expired: 0 };
  readonly #store: Store;
  readonly #hosts: KnownHosts;
  readonly #expiry: Expiry;
  readonly #clock: Clock;

  constructor(store: Store, hosts: KnownHosts, expiry: Expiry, clock: Clock) {
    this.#store = store;
    this.#hosts = hosts;
    this.#expiry = expiry;
    this.#clock = clock;
  }

  /**
   * Resolves once everything that is not older than what is kept is durable.
   * @throws MonitorError `forbidden` when the sender may not write for one of the hosts, `too_early` for a snapshot
   * more than a day ahead: then nothing is stored
   */
  async write(snapshots: readonly Snapshot[], { token, sentAt }: SentBy): Promise<TakenAnswer> {
    checkHosts(token, snapshots);
    this.#hosts.hear(snapshots, sentAt);
    this.#refuseEarly(snapshots);
    this.#hosts.refuseTooManyAhead(snapshots);
    const oldest = this.#expiry.oldestKept();
    const kept = snapshots.filter((snapshot) => snapshot.time >= oldest);
    const refused = kept.length > 0 ? await this.#store.write(kept) : [];
    const stored = refused.length === 0 ? kept : kept.filter((snapshot) => !refused.includes(snapshot));
    if (stored.length < snapshots.length)
      for (const snapshot of snapshots) if (!stored.includes(snapshot)) this.#hosts.expired(snapshot);
    const [only] = stored;
    // One that came alone is live.
    if (snapshots.length === 1 && only !== undefined) this.#hosts.stored(only);
    const taken = { stored: stored.length, expired: snapshots.length - stored.length };
    this.counts.expired += taken.expired;
    this.counts.stored += taken.stored;
    for (const snapshot of stored) this.counts.processes += snapshot.processes.name.length;
    return taken;
  }

  #refuseEarly(snapshots: readonly Snapshot[]): void {
    const latest = this.#clock.now() + mostAheadMs;
    const early = snapshots.find((snapshot) => snapshot.time > latest);
    if (early === undefined) return;
    const ahead = formatDuration(early.time - this.#clock.now());
    throw new MonitorError(
      'too_early',
      `the snapshot of ${new Date(early.time).toISOString()} is ${ahead} ahead of this server's clock: one of the two is wrong; keep it, and send it again later`,
      { retryAfterSeconds: earlyRetrySeconds },
    );
  }
}
