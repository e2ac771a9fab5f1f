import { sourceName, type UnwatchedHost } from '../core/alarm.ts';
import type { Clock } from '../core/clock.ts';
import type { MetricSample } from '../core/sample.ts';
import type { Log } from '../platform/log.ts';
import { toSeconds } from './backfill-progress.ts';
import type { NotKept } from './not-kept.ts';
import {
  type FetchedStorage,
  PrometheusSource,
  type PrometheusSourceOptions,
  type SourceStatus,
} from './prometheus-source.ts';

export interface SourcesParts {
  /** Resolves once these are durable, but for those that are not kept. */
  write: (samples: readonly MetricSample[]) => Promise<NotKept>;
  clock: Clock;
  log: Log;
  oldestKept: () => number;
}

/** A source, and where it outlasts a restart what of it is stored. */
export interface ConfiguredSource {
  options: PrometheusSourceOptions;
  kept: FetchedStorage;
}

/** All others that are asked for what they have. */
export class Sources {
  readonly #all: readonly PrometheusSource[];
  readonly #clock: Clock;

  constructor(configured: readonly ConfiguredSource[], parts: SourcesParts) {
    this.#clock = parts.clock;
    this.#all = configured.map(({ options, kept }) => new PrometheusSource(options, { ...parts, kept }));
  }

  start(): void {
    for (const source of this.#all) source.start();
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((source) => source.close()));
  }

  list(): SourceStatus[] {
    return this.#all.map((source) => source.status());
  }

  /** Whether alarms and silences of that name are about one of them. */
  has(name: string): boolean {
    return this.#all.some((source) => sourceName(source.name) === name);
  }

  /** Those that have said nothing for three of their intervals, and when the next one will have. */
  silent(): { silent: UnwatchedHost[]; nextAt: number | null } {
    const [now, wall] = [this.#clock.monotonic(), this.#clock.now()];
    const silent = this.#all.filter((source) => source.silentFrom <= now);
    const due = this.#all.filter((source) => source.silentFrom > now).map((source) => source.silentFrom - now + wall);
    return { silent: silent.map((source) => this.#told(source)), nextAt: due.length === 0 ? null : Math.min(...due) };
  }

  /** What somebody should look at, each a sentence. Why is not for everybody: `/v1/sources` says it. */
  warnings(): string[] {
    return this.list()
      .filter(({ failure }) => failure !== null)
      .map(({ name, answeredAt }) => {
        const ms = answeredAt === null ? null : this.#clock.now() - answeredAt;
        const lasted = ms === null ? '' : ` for ${toSeconds(ms)}`;
        return `source ${name} gives nothing new${lasted}; 'amberwatch source ls' says why`;
      });
  }

  #told(source: PrometheusSource): UnwatchedHost {
    const { url, failure } = source.status();
    const why = failure ?? 'its answer takes too long';
    return { host: sourceName(source.name), lastSeen: source.lastHeard, why: `${url} gives nothing new: ${why}` };
  }
}
