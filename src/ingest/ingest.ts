import type { TokenRecord } from '../access/token.ts';
import { checkHosts, checkSeries } from '../access/write-rights.ts';
import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { MonitorError } from '../core/error.ts';
import { mostAheadMs } from '../core/host-clock.ts';
import type { MetricSample } from '../core/sample.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { Store } from '../core/store.ts';
import type { KnownHosts } from '../hosts/known-hosts.ts';
import type { Expiry } from './expiry.ts';
import type { LatestUsage } from './latest-usage.ts';

export interface IngestCounts {
  stored: number;
  processes: number;
  /** Of other sources. */
  samples: number;
  /** Older than what is kept when they came: settled, so that nobody sends them for ever. */
  expired: number;
  /** Samples of series beyond what their owner may bring along in a day. */
  beyondBudget: number;
  /** What came with remote write and has no place here: native histograms, exemplars, values that are no number. */
  histograms: number;
  exemplars: number;
  notNumbers: number;
  /** Samples that came so and cannot be kept: of series that cannot be named, or a day ahead. */
  notKept: number;
}

/** What became of what was sent: all of it is settled. */
export interface IngestResult {
  stored: number;
  /** Older than what is kept: not stored. */
  expired: number;
}

export interface SampleIngestResult extends IngestResult {
  /** Of new series, beyond what their host or source may bring along in a day: not stored. */
  beyondBudget: number;
}

export interface ScrapedIngestResult extends SampleIngestResult {
  /** More than a day ahead: not stored. */
  early: number;
}

/** How many are not stored, and why: `older than ...`. */
export function notStored({ beyondBudget, expired, early }: ScrapedIngestResult): { count: number; why: string }[] {
  const reasons = [
    { count: beyondBudget, why: 'of new series, beyond what may be brought along in a day (--new-series)' },
    { count: expired, why: 'older than what is kept (--retention)' },
    { count: early, why: "more than a day ahead of this server's clock" },
  ];
  return reasons.filter(({ count }) => count > 0);
}

/** Who sends snapshots, and when by its own clock; null where nobody knows. */
export interface SentBy {
  token: TokenRecord | null;
  sentAt: number | null;
}

const earlyRetrySeconds = 600;

export interface IngestParts {
  store: Store;
  hosts: KnownHosts;
  expiry: Expiry;
  clock: Clock;
  latestUsage: LatestUsage;
}

/** The one way into the store, for every wire format. */
export class Ingest {
  readonly counts: IngestCounts = {
    stored: 0,
    processes: 0,
    samples: 0,
    expired: 0,
    beyondBudget: 0,
    histograms: 0,
    exemplars: 0,
    notNumbers: 0,
    notKept: 0,
  };
  readonly #store: Store;
  readonly #hosts: KnownHosts;
  readonly #expiry: Expiry;
  readonly #clock: Clock;
  readonly #latest: LatestUsage;
  #listener: (samples: readonly MetricSample[]) => void = () => undefined;

  constructor({ store, hosts, expiry, clock, latestUsage }: IngestParts) {
    this.#store = store;
    this.#hosts = hosts;
    this.#expiry = expiry;
    this.#clock = clock;
    this.#latest = latestUsage;
  }

  /**
   * Resolves once everything that is not older than what is kept is durable.
   * @throws MonitorError `forbidden` when the sender may not write for one of the hosts, `too_early` for a snapshot
   * more than a day ahead: then nothing is stored
   */
  async write(snapshots: readonly Snapshot[], { token, sentAt }: SentBy): Promise<IngestResult> {
    checkHosts(token, snapshots);
    this.#hosts.hear(snapshots, sentAt);
    this.#refuseEarly(snapshots);
    this.#hosts.refuseTooManyAhead(snapshots);
    const oldest = this.#expiry.oldestKept();
    const kept = snapshots.filter((snapshot) => snapshot.time >= oldest);
    const { refused } = kept.length > 0 ? await this.#store.append({ snapshots: kept }) : { refused: [] };
    const isRefused = new Set<unknown>(refused);
    const stored = kept.filter((snapshot) => !isRefused.has(snapshot));
    if (stored.length < snapshots.length)
      for (const snapshot of snapshots) if (!stored.includes(snapshot)) this.#hosts.markExpired(snapshot);
    const [only] = stored;
    // One that came alone is live.
    if (snapshots.length === 1 && only !== undefined) {
      this.#hosts.markStored(only);
      this.#latest.remember(only);
    }
    const taken = { stored: stored.length, expired: snapshots.length - stored.length };
    this.counts.expired += taken.expired;
    this.counts.stored += taken.stored;
    for (const snapshot of stored) this.counts.processes += snapshot.processes.name.length;
    return taken;
  }

  /**
   * The same of samples of other sources. A clock that is a little off is not measured: each is where it says.
   * @throws MonitorError as `write`
   */
  async writeSamples(samples: readonly MetricSample[], token: TokenRecord | null): Promise<SampleIngestResult> {
    checkSeries(token, samples);
    this.#refuseEarly(samples, 'sample');
    const { lost: _, ...result } = await this.#writeKept(samples);
    return result;
  }

  /**
   * The same of what comes once and is not sent again: what is more than a day ahead is left out.
   * @throws MonitorError `forbidden`
   */
  async writeScraped(samples: readonly MetricSample[], token: TokenRecord | null): Promise<ScrapedIngestResult> {
    checkSeries(token, samples);
    const latest = this.#clock.now() + mostAheadMs;
    const timely = samples.filter(({ time }) => time <= latest);
    const early = samples.length - timely.length;
    this.counts.notKept += early;
    const { lost, ...result } = await this.#writeKept(timely);
    const isLost = new Set(lost);
    this.#listener(isLost.size === 0 ? timely : timely.filter((sample) => !isLost.has(sample)));
    return { ...result, early };
  }

  /** What was scraped is told once it is durable. */
  onScraped(listener: (samples: readonly MetricSample[]) => void): void {
    this.#listener = listener;
  }

  /** `lost`: those that are not stored. */
  async #writeKept(samples: readonly MetricSample[]): Promise<SampleIngestResult & { lost: readonly unknown[] }> {
    const oldest = this.#expiry.oldestKept();
    const kept = samples.filter(({ time }) => time >= oldest);
    const none = { refused: [], beyondBudget: [] };
    const { refused, beyondBudget } = kept.length > 0 ? await this.#store.append({ samples: kept }) : none;
    const stored = kept.length - refused.length - beyondBudget.length;
    this.counts.samples += stored;
    this.counts.beyondBudget += beyondBudget.length;
    const old = kept.length < samples.length ? samples.filter(({ time }) => time < oldest) : [];
    const lost = [...old, ...refused, ...beyondBudget];
    return { stored, expired: old.length + refused.length, beyondBudget: beyondBudget.length, lost };
  }

  #refuseEarly(snapshots: readonly { time: number }[], what = 'snapshot'): void {
    const latest = this.#clock.now() + mostAheadMs;
    const early = snapshots.find((snapshot) => snapshot.time > latest);
    if (early === undefined) return;
    const ahead = formatDuration(early.time - this.#clock.now());
    throw new MonitorError(
      'too_early',
      `the ${what} of ${new Date(early.time).toISOString()} is ${ahead} ahead of this server's clock: one of the two is wrong; keep it, and send it again later`,
      { retryAfterSeconds: earlyRetrySeconds },
    );
  }
}
