import { staleIntervals } from '../core/alarm.ts';
import type { Clock } from '../core/clock.ts';
import { type ClockSkew, maxAheadMs, maxSkewSeconds, skewOf } from '../core/host-clock.ts';
import type { Snapshot, SnapshotHeader } from '../core/snapshot.ts';
import type { Store } from '../core/store.ts';

/** Of a difference below this the network, or a date that has no fractions of a second, may be the cause. */
const noticeableMs = 2_000;
/** Hosts remembered; beyond it those not heard of for longest are forgotten. */
const maxHeard = 20_000;

/** What the last PUT of a host has told beside the snapshot itself. */
interface Heard {
  /** Of its newest snapshot, by its own clock. */
  time: number;
  /** Monotonic: when that was taken. Jumps of either clock do not move it. */
  takenAt: number;
  ip: string | null;
  intervalMs: number;
  skewMs: number;
  skewSince: number;
  isUnusable: boolean;
}

/**
 * Who reports, and whose clock is off. Stored headers say what was; of hosts heard since the start it is
 * also known when, by a clock that never jumps.
 */
export class KnownHosts {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #heard = new Map<string, Heard>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /**
   * Measures the clock of whoever sent this, and marks its snapshots with what was found.
   * @param sentAt wall time of the sender as it sent, or null where it does not tell
   */
  hear(snapshots: readonly Snapshot[], sentAt: number | null): void {
    const now = this.#clock.now();
    const offset = sentAt === null ? null : sentAt - now;
    for (const snapshot of snapshots) {
      const ahead = snapshot.time - now;
      // A sender can be believed about the present only: its clock may have been another when this was taken.
      const isLive = snapshots.length === 1;
      const skewMs = isLive && offset !== null ? offset : Math.max(0, ahead);
      const noticed = Math.abs(skewMs) < noticeableMs ? 0 : skewMs;
      if (noticed !== 0 || offset !== null) snapshot.metrics['collector.clockSkewSeconds'] = Math.round(noticed / 1000);
      if (ahead > maxAheadMs) snapshot.isFromFuture = true;
      if (isLive) this.#remember(snapshot, noticed, sentAt ?? now, now);
    }
  }

  #remember(snapshot: Snapshot, skewMs: number, sentAt: number, now: number): void {
    const { host, ip, time, intervalMs } = snapshot;
    const before = this.#heard.get(host);
    const takenAt = this.#clock.monotonic() - Math.max(0, sentAt - time);
    const isUnusable = snapshot.isFromFuture === true;
    if (before && !isUnusable && !before.isUnusable && time < before.time && takenAt < before.takenAt) return;
    const wasOff = before !== undefined && Math.abs(before.skewMs) > maxSkewSeconds * 1000;
    this.#heard.delete(host);
    this.#heard.set(host, {
      time,
      takenAt,
      ip,
      intervalMs,
      skewMs,
      skewSince: wasOff ? before.skewSince : now,
      isUnusable,
    });
    if (this.#heard.size > maxHeard) this.#heard.delete(this.#heard.keys().next().value as string);
  }

  /** A snapshot that is too old to be kept: its host is there, but of its past nothing is known. */
  expired(snapshot: Snapshot): void {
    const heard = this.#heard.get(snapshot.host);
    if (heard?.time === snapshot.time) heard.isUnusable = true;
  }

  /** The newest usable header of every host now, with when it was taken. */
  async now(): Promise<SnapshotHeader[]> {
    const now = this.#clock.now();
    // A clock that is a little ahead: its newest snapshot is from now, whatever it says.
    const headers = await this.#store.hosts(now + maxAheadMs);
    return headers.map((header) => {
      const heard = this.#heard.get(header.host);
      const isSame = heard !== undefined && (heard.time === header.time || heard.isUnusable);
      return isSame ? { ...header, seenAt: now - (this.#clock.monotonic() - heard.takenAt) } : header;
    });
  }

  /** Whose clock is off now. */
  skewsNow(headers: readonly SnapshotHeader[]): ClockSkew[] {
    const unheard = headers.filter((header) => !this.#heard.has(header.host));
    const heard = [...this.#heard].filter(([, each]) => this.#clock.monotonic() - each.takenAt <= silence(each));
    return [
      ...heard.map(([host, { ip, skewMs, skewSince, isUnusable }]) => ({
        host,
        ip,
        skewSeconds: Math.round(skewMs / 1000),
        since: skewSince,
        isUnusable,
      })),
      ...skewsOf(unheard),
    ].filter(isOff);
  }
}

/** Whose clock was off when these were stored. */
export function skewsOf(headers: readonly SnapshotHeader[]): ClockSkew[] {
  return headers
    .map((header) => ({
      host: header.host,
      ip: header.ip,
      skewSeconds: skewOf(header),
      since: header.time,
      isUnusable: false,
    }))
    .filter(isOff);
}

function isOff({ skewSeconds, isUnusable }: ClockSkew): boolean {
  return isUnusable || Math.abs(skewSeconds) > maxSkewSeconds;
}

function silence({ intervalMs }: Heard): number {
  return staleIntervals * intervalMs;
}
