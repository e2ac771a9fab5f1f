import { staleIntervals } from '../core/alarm.ts';
import { type Clock, dayOf } from '../core/clock.ts';
import { MonitorError } from '../core/error.ts';
import { type ClockSkew, maxAheadMs, maxSkewSeconds, placedAt, seenAt, skewOf } from '../core/host-clock.ts';
import type { Snapshot, SnapshotHeader } from '../core/snapshot.ts';
import { type Reads, readLimit, type Store } from '../core/store.ts';
import { singleFlight } from '../platform/single-flight.ts';
import type { ForgottenHosts } from './forgotten-hosts.ts';
import type { ServerClock } from './server-clock.ts';

/** Of a difference below this the network, or a date that has no fractions of a second, may be the cause. */
const noticeableMs = 2_000;
/** After an outage the last collector tries again within so long. */
const returnMs = 75_000;
/** Snapshots from more than `maxAheadMs` ahead that a host may send in a day: one every ten seconds are fewer. */
const mostAheadPerDay = 10_000;
const retryAheadSeconds = 600;
/** Nobody waits for the store for longer; others wait as long as they may. */
const longestReadMs = 60_000;
/** Hosts remembered; beyond it those not heard of for longest are forgotten. */
const maxHeard = 20_000;

/** By how much a host's clock is ahead, and since when by more than is right. */
interface Skew {
  ms: number;
  since: number;
}

/** What the last live PUT of a host has told beside the snapshot itself. */
interface LastContact {
  /** Of that snapshot, by the host's own clock. */
  time: number;
  /** Monotonic: when that was taken. Jumps of either clock do not move it. */
  takenAt: number;
  ip: string | null;
  intervalMs: number;
  skew: Skew;
  isUnusable: boolean;
  /** Of the last one that is stored and says something of now. */
  newest: { header: SnapshotHeader; takenAt: number } | null;
}

export interface KnownHostsOptions {
  store: Store;
  clock: Clock;
  serverClock: ServerClock;
  /** The newest headers of before the start. */
  before: readonly SnapshotHeader[];
  /** Of this machine: a collector with it reads this server's clock. */
  bootId: string | null;
  forgotten: ForgottenHosts;
}

/**
 * Who reports, and whose clock is off. Stored headers say what was; of hosts heard since the start it is
 * also known when, by a clock that never jumps.
 */
export class KnownHosts {
  readonly #clock: Clock;
  readonly #serverClock: ServerClock;
  readonly #bootId: string | null;
  readonly #forgotten: ForgottenHosts;
  readonly #startedAt: number;
  readonly #before: ReadonlyMap<string, SnapshotHeader>;
  readonly #heard = new Map<string, LastContact>();
  /** Snapshots of today that were marked as from the future, by host. */
  #ahead = { day: 0, counts: new Map<string, number>() };
  readonly #stored: () => Promise<SnapshotHeader[]>;

  constructor({ store, clock, serverClock, before, bootId, forgotten }: KnownHostsOptions) {
    this.#forgotten = forgotten;
    this.#clock = clock;
    this.#serverClock = serverClock;
    this.#bootId = bootId;
    this.#startedAt = clock.now();
    this.#before = new Map(before.map((header) => [header.host, header]));
    // A clock that is a little ahead: its newest snapshot is from now, whatever it says.
    this.#stored = singleFlight(() =>
      store.latest(clock.now() + maxAheadMs, { lane: 'present', signal: readLimit(longestReadMs) }),
    );
  }

  /**
   * Measures the clock of whoever sent this, and marks its snapshots with what was found.
   * @param sentAt wall time of the sender as it sent, or null where it does not tell
   */
  hear(snapshots: readonly Snapshot[], sentAt: number | null): void {
    const now = this.#clock.now();
    // A sender can be believed about the present only: its clock may have been another when the rest was taken.
    const live = snapshots.length === 1 ? snapshots[0] : undefined;
    if (live !== undefined && sentAt !== null)
      this.#serverClock.hear(live.host, sentAt - now, live.bootId !== null && live.bootId === this.#bootId);
    const hasJumped = this.#serverClock.hasJumped();
    for (const snapshot of snapshots) if (snapshot.time - now > maxAheadMs && !hasJumped) snapshot.isFromFuture = true;
    if (live !== undefined) this.#remember(live, sentAt, hasJumped);
    for (const snapshot of snapshots) {
      const skew = snapshot === live ? this.#liveSkew(live, sentAt) : this.#pastSkew(snapshot);
      if (skew === null) continue;
      snapshot.metrics['collector.clockSkewSeconds'] = Math.round(skew.ms / 1000);
      if (isFar(skew)) snapshot.metrics['collector.clockSkewSinceMs'] = skew.since;
    }
  }

  /**
   * What is marked as from the future is kept, and so bounded.
   * @throws MonitorError `too_early`
   */
  refuseTooManyAhead(snapshots: readonly Snapshot[]): void {
    const day = dayOf(this.#clock.now());
    if (this.#ahead.day !== day) this.#ahead = { day, counts: new Map() };
    const { counts } = this.#ahead;
    for (const { host, isFromFuture } of snapshots) {
      if (!isFromFuture) continue;
      const count = (counts.get(host) ?? 0) + 1;
      if (count > mostAheadPerDay)
        throw new MonitorError(
          'too_early',
          `the clock of ${host} is ahead of this server's, and ${mostAheadPerDay} of its snapshots have been taken today all the same; keep this one, and send it again later`,
          { retryAfterSeconds: retryAheadSeconds },
        );
      counts.set(host, count);
    }
  }

  /** A live one is stored now: it is the newest of its host that can be told of. */
  markStored({ processes: _, ...header }: Snapshot): void {
    const heard = this.#heard.get(header.host);
    if (heard?.time !== header.time || heard.isUnusable) return;
    heard.newest = { header, takenAt: heard.takenAt };
  }

  /** A snapshot that is too old to be kept: its host is there, but of its past nothing is known. */
  markExpired(snapshot: Snapshot): void {
    const heard = this.#heard.get(snapshot.host);
    if (heard?.time === snapshot.time) heard.isUnusable = true;
  }

  /** The newest usable header of every host now, with when it was taken. */
  async now(): Promise<SnapshotHeader[]> {
    const now = this.#clock.now();
    const headers = new Map((await this.#stored()).map((header) => [header.host, header]));
    // By a clock that went back the store has none of them yet.
    const isLost = this.#serverClock.hasJumped();
    for (const [host, { newest }] of this.#heard)
      if (newest && !headers.has(host) && (isLost || !this.#isSilent(newest.takenAt, newest.header)))
        headers.set(host, newest.header);
    const all = [...headers.values()];
    this.#forgotten.unforgetReturned(all);
    // By what they have sent: when they were seen is a guess for a while after a start.
    const known = this.#forgotten.without(all, now);
    const newest = Math.max(...known.map(seenAt));
    return known.map((header) => this.#asHeard(header, now, newest));
  }

  /** The same as it was at an instant. */
  async at(at: number, reads: Reads<[]>): Promise<SnapshotHeader[]> {
    return this.#forgotten.without(await reads.latest(at), at);
  }

  isForgotten(host: string, at: number): boolean {
    return this.#forgotten.isForgotten(host, at);
  }

  /** Since when each; some may have come back since. */
  listForgotten(): { host: string; at: number }[] {
    return this.#forgotten.list();
  }

  /** One that is gone for good: nothing of it counts any more, until it is heard of again. */
  async forget(host: string): Promise<number> {
    const at = await this.#forgotten.forget(host);
    this.#heard.delete(host);
    return at;
  }

  /** Whose clock is off now. */
  skewsNow(headers: readonly SnapshotHeader[]): ClockSkew[] {
    const unheard = headers.filter((header) => !this.#heard.has(header.host) || this.#isHeardElsewhere(header));
    const known = new Set(headers.map(({ host }) => host));
    const elsewhere = new Set(unheard.map(({ host }) => host));
    const heard = [...this.#heard]
      .filter(([host]) => !elsewhere.has(host))
      .map(([host, each]) => ({
        host,
        ip: each.ip,
        skewSeconds: Math.round(each.skew.ms / 1000),
        since: each.skew.since,
        isUnusable: each.isUnusable,
        isSilent: this.#isSilent(each.takenAt, each),
      }));
    return [...heard.filter(({ host, isSilent }) => known.has(host) || !isSilent), ...skewsOf(unheard)].filter(isOff);
  }

  #remember(snapshot: Snapshot, sentAt: number | null, hasJumped: boolean): void {
    const { host, ip, time, intervalMs } = snapshot;
    const now = this.#clock.now();
    const before = this.#heard.get(host);
    const takenAt = this.#clock.monotonic() - Math.max(0, (sentAt ?? now) - time);
    const isUnusable = snapshot.isFromFuture === true;
    if (before && !isUnusable && !before.isUnusable && time < before.time && takenAt < before.takenAt) return;
    const known = this.#knownSkew(host);
    const ms = noticed(sentAt === null ? Math.max(0, time - now) : sentAt - now);
    // Against a clock that has jumped nothing is measured: it is as it was.
    const skew = hasJumped
      ? (known ?? { ms: 0, since: now })
      : { ms, since: known && isFar(known) ? known.since : now };
    this.#heard.delete(host);
    this.#heard.set(host, { time, takenAt, ip, intervalMs, skew, isUnusable, newest: before?.newest ?? null });
    if (this.#heard.size > maxHeard) this.#heard.delete(this.#heard.keys().next().value as string);
  }

  #knownSkew(host: string): Skew | undefined {
    const heard = this.#heard.get(host);
    if (heard !== undefined) return heard.skew;
    const [before] = skewsOf([this.#before.get(host)].filter((header) => header !== undefined));
    return before && { ms: before.skewSeconds * 1000, since: before.since };
  }

  /** Null: nobody knows, and nothing speaks against it. */
  #liveSkew({ host }: Snapshot, sentAt: number | null): Skew | null {
    const skew = this.#heard.get(host)?.skew ?? null;
    return sentAt === null && skew?.ms === 0 ? null : skew;
  }

  /** Of one of many, taken before: what is known of the host now, if that was so already. None is from the future. */
  #pastSkew({ host, time, intervalMs }: Snapshot): Skew | null {
    const now = this.#clock.now();
    const known = this.#knownSkew(host);
    if (time - (known?.ms ?? 0) > now + noticeableMs) return { ms: time - now, since: now };
    if (known === undefined) return null;
    return known.ms === 0 || time - known.ms >= known.since - intervalMs ? known : null;
  }

  #asHeard(header: SnapshotHeader, now: number, newestSeen: number): SnapshotHeader {
    const newest = this.#heard.get(header.host)?.newest;
    if (!newest) return { ...header, seenAt: this.#seenBefore(header, newestSeen) };
    // It sends to another server by now, or a backlog has brought later ones.
    const placed = placedAt(header);
    if (placed > placedAt(newest.header) && placed <= now + noticeableMs)
      return { ...header, seenAt: Math.min(placed, now) };
    return { ...newest.header, seenAt: now - (this.#clock.monotonic() - newest.takenAt) };
  }

  /** Here it has long been silent, and yet there is later of it: its clock is as another server has measured it. */
  #isHeardElsewhere(header: SnapshotHeader): boolean {
    const heard = this.#heard.get(header.host);
    if (heard === undefined || !this.#isSilent(heard.takenAt, heard)) return false;
    return heard.newest === null ? false : placedAt(header) > placedAt(heard.newest.header);
  }

  #isSilent(takenAt: number, { intervalMs }: { intervalMs: number }): boolean {
    return this.#clock.monotonic() - takenAt > staleIntervals * intervalMs;
  }

  /** What was there at the start was seen before it; who was there when the server ended needs a moment to notice that it is back. */
  #seenBefore(header: SnapshotHeader, newestSeen: number): number {
    const isFromBefore = header.time <= (this.#before.get(header.host)?.time ?? Number.NEGATIVE_INFINITY);
    const seen = isFromBefore ? Math.min(seenAt(header), this.#startedAt) : seenAt(header);
    const wasThere = isFromBefore && newestSeen - seen <= staleIntervals * header.intervalMs;
    return wasThere ? Math.max(seen, this.#startedAt + returnMs - staleIntervals * header.intervalMs) : seen;
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

function noticed(ms: number): number {
  return Math.abs(ms) < noticeableMs ? 0 : ms;
}

function isFar({ ms }: Skew): boolean {
  return Math.abs(ms) > maxSkewSeconds * 1000;
}

function isOff({ skewSeconds, isUnusable }: ClockSkew): boolean {
  return isUnusable || Math.abs(skewSeconds) > maxSkewSeconds;
}
