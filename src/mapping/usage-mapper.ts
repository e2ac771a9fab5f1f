import { isStale } from '../core/alarm.ts';
import type { Clock } from '../core/clock.ts';
import { MonitorError, messageOf } from '../core/error.ts';
import type { MetricSample } from '../core/sample.ts';
import { seriesKey } from '../core/series.ts';
import type { Snapshot, SnapshotHeader } from '../core/snapshot.ts';
import { ConditionReporter } from '../platform/condition-reporter.ts';
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
/** A host of which nobody has told for so long is not remembered. */
const forgottenMs = 3_600_000;
/** What was taken longer ago is a part of the past, and comes as one of many. */
const liveMs = 300_000;
const mostAtOnce = 50;
/** Beyond so many that wait to be written no more are made. */
const mostWaiting = 2000;
/** Reasons that have been said. */
const mostSaid = 1000;

/** Makes snapshots of hosts and their processes out of what others have measured. */
export class UsageMapper {
  readonly #mappings: readonly Mapping[];
  readonly #parts: UsageMapperParts;
  readonly #matcher: SeriesMatcher;
  readonly #series = new LruCache<string, readonly MappedSeries[]>(mostSeries);
  readonly #hosts = new Map<string, MappedHost>();
  readonly #said = new Set<string>();
  readonly #absence: ConditionReporter;
  #stop: () => void = () => undefined;
  #working: Promise<void> = Promise.resolve();
  #waiting: Snapshot[] = [];
  /** Snapshots that were made, and series that name no host or process. */
  readonly counts = { snapshots: 0, unplaced: 0 };

  constructor(mappings: readonly Mapping[], parts: UsageMapperParts) {
    this.#mappings = mappings;
    this.#parts = parts;
    this.#matcher = new SeriesMatcher(mappings);
    this.#absence = new ConditionReporter(() => parts.clock.monotonic());
  }

  start(): void {
    if (this.#mappings.length === 0) return;
    const { log } = this.#parts;
    const failed = (error: unknown) =>
      this.#absence.begin(() => log.warn(`what others have measured waits to be told of hosts: ${messageOf(error)}`));
    this.#stop = every(everyMs, () => this.work(false), failed);
  }

  /** What has come whole is written. */
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
          if (told !== null) this.#host(mapped.host, sample.owner)?.add(mapped, told, now);
        }
  }

  /** Writes the snapshots that are complete. @throws what the store throws; they wait then */
  work(all: boolean): Promise<void> {
    this.#working = this.#working.catch(() => undefined).then(() => this.#work(all));
    return this.#working;
  }

  async #work(all: boolean): Promise<void> {
    const monotonic = this.#parts.clock.monotonic();
    for (const [name, host] of this.#hosts) if (monotonic - host.touchedAt > forgottenMs) this.#hosts.delete(name);
    const ready = [...this.#hosts.values()].filter((host) => host.isReady(monotonic, all));
    const others = ready.length > 0 ? await this.#reportedByOthers() : null;
    for (const host of ready) {
      if (this.#waiting.length >= mostWaiting) await this.#writeWaiting();
      const { snapshots, notes } = host.snapshots(monotonic, all, this.#mappings, canonicalIp);
      for (const note of notes) this.#sayOnce(`${host.name}: ${note}`, note);
      const collected = others?.(host.name) ?? Number.NEGATIVE_INFINITY;
      const kept = snapshots.filter(({ time }) => time > collected);
      this.#waiting.push(...kept);
      if (kept.length < snapshots.length)
        this.#sayOnce(
          `${host.name} has a collector of its own: what others have measured of it is kept as series, and not counted twice`,
        );
    }
    await this.#writeWaiting();
    this.#absence.end(() => this.#parts.log.info('what others have measured is told of hosts again'));
  }

  /** Live ones one by one, some at a time. What cannot be written waits. */
  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const since = this.#parts.clock.now() - liveMs;
      const part = this.#waiting.slice(0, mostAtOnce);
      const past = part.filter(({ time }) => time < since);
      const live = part.filter(({ time }) => time >= since);
      const writes = [...(past.length > 0 ? [past] : []), ...live.map((each) => [each])];
      const results = await Promise.allSettled(writes.map((each) => this.#write(each)));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      this.#waiting.splice(0, part.length);
      this.counts.snapshots += part.length;
    }
  }

  /** What is refused for good holds up nobody. */
  async #write(snapshots: readonly Snapshot[]): Promise<void> {
    try {
      await this.#parts.write(snapshots);
    } catch (error) {
      const isFinal = error instanceof MonitorError && !['unavailable', 'timeout', 'internal'].includes(error.code);
      if (!isFinal) throw error;
      if (snapshots.length > 1) for (const each of snapshots) await this.#write([each]);
      else
        this.#sayOnce(
          `${snapshots[0]?.host}: what others have measured of it is refused: ${error.message}`,
          error.code,
        );
    }
  }

  /**
   * Up to when a host has been reported by itself: for ever, where it still is, by its name or its address.
   */
  async #reportedByOthers(): Promise<(host: string) => number> {
    const now = this.#parts.clock.now();
    const until = new Map<string, number>();
    for (const header of await this.#parts.hosts()) {
      if (header.metrics['collector.mapped'] === 1) continue;
      const at = isStale(header, now) ? header.time : Number.POSITIVE_INFINITY;
      until.set(header.host, at);
      if (header.ip !== null && at === Number.POSITIVE_INFINITY) until.set(header.ip, at);
    }
    return (host) => until.get(canonicalIp(host) ?? host) ?? until.get(host) ?? Number.NEGATIVE_INFINITY;
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

  /** Undefined: there are too many, or it is another's. */
  #host(name: string, owner: string): MappedHost | undefined {
    const known = this.#hosts.get(name);
    if (known?.owner === owner) return known;
    if (known !== undefined) {
      this.#sayOnce(
        `${name}: ${known.owner} tells of it, and what ${owner.trim()} tells of it is not counted`,
        `${name} ${owner}`,
      );
      return undefined;
    }
    if (this.#hosts.size >= mostHosts) {
      this.#sayOnce(
        `others tell of more than ${mostHosts} hosts: ${name} and further ones are kept as series alone`,
        'too many',
      );
      return undefined;
    }
    const host = new MappedHost(name, owner);
    this.#hosts.set(name, host);
    return host;
  }

  #sayOnce(text: string, topic: string = text): void {
    if (this.#said.has(topic) || this.#said.size >= mostSaid) return;
    this.#said.add(topic);
    this.#parts.log.warn(text);
  }
}

function namesOf({ host, process }: Mapping): string {
  return [...host, ...(process ?? [])].join(', ');
}
