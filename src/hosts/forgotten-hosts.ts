import type { Clock } from '../core/clock.ts';
import { MonitorError } from '../core/error.ts';
import { placedAt } from '../core/host-clock.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';

/** Where it outlasts a restart: when each host was forgotten, epoch milliseconds. */
export interface ForgottenHostsStorage {
  hosts: Readonly<Record<string, number>>;
  /** Resolves once it is on disk. */
  keep(hosts: Readonly<Record<string, number>>): Promise<void>;
  /** As others have changed it meanwhile; absent: nobody else does. */
  read?(): Promise<Readonly<Record<string, number>>>;
}

/** Hosts that are gone for good, as somebody has said. What is stored of them stays until it expires. */
export class ForgottenHosts {
  readonly #kept: ForgottenHostsStorage | undefined;
  readonly #clock: Clock;
  readonly #retentionMs: number;
  #hosts: ReadonlyMap<string, number>;
  /** One change follows the other. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(kept: ForgottenHostsStorage | undefined, clock: Clock, retentionMs: number) {
    this.#kept = kept;
    this.#clock = clock;
    this.#retentionMs = retentionMs;
    this.#hosts = new Map(Object.entries(kept?.hosts ?? {}));
  }

  list(): { host: string; at: number }[] {
    return [...this.#hosts].map(([host, at]) => ({ host, at }));
  }

  /** Whether it had been forgotten by then, and has not been heard of again since. */
  isForgotten(host: string, at: number): boolean {
    return at >= (this.#hosts.get(host) ?? Number.POSITIVE_INFINITY);
  }

  /** Those that were not forgotten by then, or have sent something since. */
  without(headers: readonly SnapshotHeader[], at: number): SnapshotHeader[] {
    return headers.filter((header) => !this.isForgotten(header.host, at) || this.#isBack(header));
  }

  /** One that is heard of again is as any other: what was said of it is over. */
  unforgetReturned(headers: readonly SnapshotHeader[]): void {
    const back = headers.filter((header) => this.#hosts.has(header.host) && this.#isBack(header));
    if (back.length === 0) return;
    void this.#change((hosts) => {
      for (const { host } of back) hosts.delete(host);
    }).catch(() => undefined);
  }

  /** @throws MonitorError `unavailable` when it cannot be kept; then nothing is forgotten */
  async forget(host: string): Promise<number> {
    const now = this.#clock.now();
    await this.#change((hosts) => hosts.set(host, now)).catch((error: unknown) => {
      throw new MonitorError(
        'unavailable',
        `the server cannot save that ${host} is forgotten, so it is not; its log says why`,
        {
          cause: error,
        },
      );
    });
    return now;
  }

  #isBack(header: SnapshotHeader): boolean {
    return placedAt(header) > (this.#hosts.get(header.host) ?? Number.POSITIVE_INFINITY);
  }

  /** What other servers have been told. */
  refresh(): Promise<void> {
    const done = this.#tail.then(() => this.#read());
    this.#tail = done.catch(() => undefined);
    return done;
  }

  async #read(): Promise<void> {
    if (this.#kept?.read) this.#hosts = new Map(Object.entries(await this.#kept.read()));
  }

  #change(make: (hosts: Map<string, number>) => unknown): Promise<void> {
    const change = async () => {
      await this.#read();
      const oldest = this.#clock.now() - this.#retentionMs;
      const hosts = new Map([...this.#hosts].filter(([, at]) => at > oldest));
      make(hosts);
      await this.#kept?.keep(Object.fromEntries(hosts));
      this.#hosts = hosts;
    };
    const done = this.#tail.then(change);
    this.#tail = done.catch(() => undefined);
    return done;
  }
}
