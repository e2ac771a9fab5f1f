import type { Clock } from '../core/clock.ts';
import { MonitorError } from '../core/error.ts';
import { seenAt } from '../core/host-clock.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';

/** Where it outlasts a restart: when each host was forgotten, epoch milliseconds. */
export interface KeptForgotten {
  hosts: Readonly<Record<string, number>>;
  /** Resolves once it is on disk. */
  keep(hosts: Readonly<Record<string, number>>): Promise<void>;
}

/** Hosts that are gone for good, as somebody has said. What is stored of them stays until it expires. */
export class ForgottenHosts {
  readonly #kept: KeptForgotten | undefined;
  readonly #clock: Clock;
  readonly #retentionMs: number;
  #hosts: ReadonlyMap<string, number>;

  constructor(kept: KeptForgotten | undefined, clock: Clock, retentionMs: number) {
    this.#kept = kept;
    this.#clock = clock;
    this.#retentionMs = retentionMs;
    this.#hosts = new Map(Object.entries(kept?.hosts ?? {}));
  }

  /** Also those that have come back since. */
  list(): { host: string; at: number }[] {
    return [...this.#hosts].map(([host, at]) => ({ host, at }));
  }

  /** Without those that had been forgotten by then and had not been heard of again. */
  without(headers: readonly SnapshotHeader[], at: number): SnapshotHeader[] {
    if (this.#hosts.size === 0) return [...headers];
    return headers.filter((header) => {
      const forgotten = this.#hosts.get(header.host) ?? Number.POSITIVE_INFINITY;
      return at < forgotten || seenAt(header) > forgotten;
    });
  }

  /** @throws MonitorError `unavailable` when it cannot be kept; then nothing is forgotten */
  async forget(host: string): Promise<number> {
    const now = this.#clock.now();
    const hosts = new Map([...this.#hosts, [host, now] as const].filter(([, at]) => at > now - this.#retentionMs));
    await this.#kept?.keep(Object.fromEntries(hosts)).catch((error: unknown) => {
      throw new MonitorError('unavailable', `cannot keep that ${host} is forgotten; the server log says why`, {
        cause: error,
      });
    });
    this.#hosts = hosts;
    return now;
  }
}
