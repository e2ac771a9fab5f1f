import { isStale } from '../core/alarm.ts';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/error.ts';
import type { MetricSample } from '../core/sample.ts';
import { seriesKey } from '../core/series.ts';
import type { Snapshot, SnapshotHeader } from '../core/snapshot.ts';
import { every } from '../platform/every.ts';
import { canonicalIp } from '../platform/ip.ts';
import type { Log } from '../platform/log.ts';
import { LruCache } from '../platform/lru-cache.ts';
import { MappedHost } from './mapped-host.ts';
import { type MappedSeries, SeriesMatcher } from './mapped-series.ts';
import type { Mapping } from './mapping.ts';

export interface UsageMapperParts {
  /** Resolves once these are durable. */
  write: (snapshots: readonly Snapshot[]) => Promise<void>;
  /** The newest header of every host. */
  hosts: () => Promise<readonly SnapshotHeader[]>;
  clock: Clock;
  log: Log;
}

const everyMs = 1000;
const mostSeries = 200_000;
const mostHosts = 20_000;
/** What was taken longer ago is a part of the past, and comes as one of many. */
const liveMs = 300_000;
const mostAtOnce = 50;
/** While the store is away. */
const mostWaiting = 2000;
/** Reasons that have been said. */
const mostSaid = 1000;

/** Makes snapshots of hosts and their processes out of what others have measured. */
export class UsageMapper {
  readonly #parts: UsageMapperParts;
  readonly #matcher: SeriesMatcher;
  readonly #series = new LruCache<string, readonly MappedSeries[]>(mostSeries);
  readonly #hosts = new Map<string, MappedHost>();
  readonly #said = new Set<string>();
  #stop: () => void = () => undefined;
  #working: Promise<void> = Promise.resolve();
  #waiting: Snapshot[] = [];
  /** Snapshots that were made, and samples that could not be placed. */
  readonly counts = { snapshots: 0, unplaced: 0 };

  constructor(mappings: readonly Mapping[], parts: UsageMapperParts) {
    this.#parts = parts;
    this.#matcher = new SeriesMatcher(mappings);
  }

  start(): void {
    const failed = (error: unknown) =>
      this.#parts.log.warn(`what others have measured is not told of hosts: ${messageOf(error)}`);
    this.#stop = every(everyMs, () => this.work(false), failed);
  }

  /** What has come is written, complete or not. */
  async close(): Promise<void> {
    this.#stop();
    await this.work(true).catch(() => undefined);
  }

  /** Samples that are stored. */
  take(samples: readonly MetricSample[]): void {
    const now = this.#parts.clock.monotonic();
    for (const sample of samples)
      if (this.#matcher.knows(sample.series.metric))
        for (const mapped of this.#mappedSeries(sample)) {
          const told = mapped.tell(sample);
          if (told !== null) this.#host(mapped.host)?.add(mapped, sample.time, told, now);
        }
  }

  /** Writes the snapshots that are complete. */
  work(all: boolean): Promise<void> {
    this.#working = this.#working.catch(() => undefined).then(() => this.#work(all));
    return this.#working;
  }

  async #work(all: boolean): Promise<void> {
    const monotonic = this.#parts.clock.monotonic();
    const ready = [...this.#hosts.values()].filter((host) => host.isReady(monotonic, all));
    if (ready.length === 0) return this.#writeWaiting();
    const others = await this.#reportedByOthers();
    for (const host of ready) {
      const { snapshots, missing } = host.snapshots(monotonic, all, (name) => canonicalIp(name));
      for (const what of missing) this.#sayOnce(`${host.name}: ${what}`);
      if (!others.has(host.name)) this.#waiting.push(...snapshots);
      else if (snapshots.length > 0)
        this.#sayOnce(
          `${host.name} has a collector of its own: what others have measured of it is kept as series, and not counted twice`,
        );
    }
    await this.#writeWaiting();
  }

  /** Live ones one by one. What cannot be written waits. */
  async #writeWaiting(): Promise<void> {
    const { clock, write, log } = this.#parts;
    const lost = this.#waiting.splice(0, this.#waiting.length - mostWaiting);
    if (lost.length > 0)
      log.warn(`${lost.length} snapshots that were made of the series of others are not stored: the store is away`);
    while (this.#waiting.length > 0) {
      const since = clock.now() - liveMs;
      const isLive = (snapshot: Snapshot) => snapshot.time >= since;
      const live = this.#waiting.slice(0, mostAtOnce).findIndex(isLive);
      const next = this.#waiting.slice(0, live === 0 ? 1 : live > 0 ? live : mostAtOnce);
      await write(next);
      this.#waiting.splice(0, next.length);
      this.counts.snapshots += next.length;
    }
  }

  /** Hosts that report by themselves now. */
  async #reportedByOthers(): Promise<ReadonlySet<string>> {
    const now = this.#parts.clock.now();
    const headers = await this.#parts.hosts();
    return new Set(
      headers
        .filter((header) => header.metrics['collector.mapped'] !== 1 && !isStale(header, now))
        .map(({ host }) => host),
    );
  }

  #mappedSeries({ series, kind }: MetricSample): readonly MappedSeries[] {
    const key = seriesKey(series);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const { found, unnamed } = this.#matcher.match(series, kind);
    this.#series.set(key, found);
    for (const mapping of unnamed) {
      this.counts.unplaced++;
      this.#sayOnce(
        `mapping ${mapping.name}: some series of ${series.metric} name no ${namesOf(mapping)}, and are told of no host; the first is ${key}`,
        `${mapping.name} ${series.metric}`,
      );
    }
    return found;
  }

  #host(name: string): MappedHost | undefined {
    const known = this.#hosts.get(name);
    if (known !== undefined || this.#hosts.size >= mostHosts) return known;
    const host = new MappedHost(name);
    this.#hosts.set(name, host);
    return host;
  }

  #sayOnce(text: string, topic = text): void {
    if (this.#said.has(topic) || this.#said.size >= mostSaid) return;
    this.#said.add(topic);
    this.#parts.log.warn(text);
  }
}

function namesOf({ host, process }: Mapping): string {
  return [...host, ...(process ?? [])].join(', ');
}
