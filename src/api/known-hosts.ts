import { staleIntervals } from '../core/alarm.ts';
import type { Clock } from '../core/clock.ts';
import { type ClockSkew, maxAheadMs, maxSkewSeconds, placedAt, seenAt, skewOf } from '../core/host-clock.ts';
import type { Snapshot, SnapshotHeader } from '../core/snapshot.ts';
import type { Store } from '../core/store.ts';
import { hasJumped, type ServerClock } from './server-clock.ts';

/** Of a difference below this the network, or a date that has no fractions of a second, may be the cause. */
const noticeableMs = 2_000;
/** After an outage the last collector tries again within so long. */
const returnMs = 75_000;
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
  readonly #startedAt: number;
  readonly #serverClock: ServerClock;
  readonly #heard = new Map<string, Heard>();
  /** Whose clock was off before the start, and since when. */
  readonly #offBefore: ReadonlyMap<string, number>;

  /** @param before the newest headers of before the start */
  constructor(store: Store, clock: Clock, serverClock: ServerClock, before: readonly SnapshotHeader[]) {
    this.#store = store;
    this.#serverClock = serverClock;
    this.#offBefore = new Map(skewsOf(before).map(({ host, since }) => [host, since]));
    this.#clock = clock;
    this.#startedAt = clock.now();
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
      if (snapshots.length === 1 && offset !== null) this.#serverClock.hear(snapshot.host, offset);
      // A sender can be believed about the present only: its clock may have been another when this was taken.
      const isLive = snapshots.length === 1;
      const skewMs = isLive && offset !== null ? offset : Math.max(0, ahead);
      const noticed = Math.abs(skewMs) < noticeableMs ? 0 : skewMs;
      if (isLive) this.#remember(snapshot, noticed, sentAt ?? now, now, ahead > maxAheadMs);
      if (ahead > maxAheadMs) snapshot.isFromFuture = true;
      // Against a clock that has jumped nothing is measured for good.
      if (hasJumped(this.#serverClock.doubt()) || (noticed === 0 && offset === null)) continue;
      snapshot.metrics['collector.clockSkewSeconds'] = Math.round(noticed / 1000);
      const since = isLive && isFar(noticed) ? this.#heard.get(snapshot.host)?.skewSince : undefined;
      if (since !== undefined) snapshot.metrics['collector.clockSkewSinceMs'] = since;
    }
  }

  #remember(snapshot: Snapshot, skewMs: number, sentAt: number, now: number, isUnusable: boolean): void {
    const { host, ip, time, intervalMs } = snapshot;
    const before = this.#heard.get(host);
    const takenAt = this.#clock.monotonic() - Math.max(0, sentAt - time);
    if (before && !isUnusable && !before.isUnusable && time < before.time && takenAt < before.takenAt) return;
    const known =
      before === undefined ? this.#offBefore.get(host) : isFar(before.skewMs) ? before.skewSince : undefined;
    this.#heard.delete(host);
    this.#heard.set(host, {
      time,
      takenAt,
      ip,
      intervalMs,
      skewMs,
      skewSince: known ?? now,
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
    const newest = Math.max(...headers.map(seenAt));
    return Promise.all(headers.map((header) => this.#asHeard(header, now, newest)));
  }

  async #asHeard(header: SnapshotHeader, now: number, newest: number): Promise<SnapshotHeader> {
    const heard = this.#heard.get(header.host);
    if (heard === undefined) return { ...header, seenAt: this.#seenBeforeStart(header, newest) };
    const seen = now - (this.#clock.monotonic() - heard.takenAt);
    if (heard.time === header.time) return { ...header, seenAt: seen };
    if (heard.isUnusable || heard.time > header.time || seen <= seenAt(header)) return header;
    // Its clock was set back: what it sends now is older, by its own word, than what it sent before.
    const latest = (await this.#store.hosts(heard.time)).find(({ host }) => host === header.host);
    return latest?.time === heard.time ? { ...latest, seenAt: seen } : header;
  }

  /** Who was there when the server ended needs a moment to notice that it is back. */
  #seenBeforeStart(header: SnapshotHeader, newest: number): number {
    const seen = seenAt(header);
    const wasThere = header.time < this.#startedAt && newest - seen <= staleIntervals * header.intervalMs;
    return wasThere ? Math.max(seen, this.#startedAt + returnMs - staleIntervals * header.intervalMs) : seen;
  }

  /** Whose clock is off now. */
  skewsNow(headers: readonly SnapshotHeader[]): ClockSkew[] {
    const unheard = headers.filter((header) => !this.#heard.has(header.host));
    const known = new Set(headers.map(({ host }) => host));
    const isSilent = (each: Heard) => this.#clock.monotonic() - each.takenAt > staleIntervals * each.intervalMs;
    const heard = [...this.#heard].filter(([host, each]) => known.has(host) || !isSilent(each));
    return [
      ...heard.map(([host, each]) => ({
        host,
        ip: each.ip,
        skewSeconds: Math.round(each.skewMs / 1000),
        since: each.skewSince,
        isUnusable: each.isUnusable,
        isSilent: isSilent(each),
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
      since: header.metrics['collector.clockSkewSinceMs'] ?? placedAt(header),
      isUnusable: false,
      isSilent: false,
    }))
    .filter(isOff);
}

function isFar(skewMs: number): boolean {
  return Math.abs(skewMs) > maxSkewSeconds * 1000;
}

function isOff({ skewSeconds, isUnusable }: ClockSkew): boolean {
  return isUnusable || Math.abs(skewSeconds) > maxSkewSeconds;
}
