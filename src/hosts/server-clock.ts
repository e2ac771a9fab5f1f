import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { agreementMs } from '../core/host-clock.ts';

/** What was stored last is at most so old at a start, or nobody knows whether it was a pause or a wrong clock. */
const longestPauseMs = 3_600_000;
/** Collectors have to agree for so long after a jump: a time service often needs minutes to mend one. */
const settleMs = 10 * 60_000;
/** What a collector's clock said this long ago says nothing any more. */
const evidenceMs = 15 * 60_000;
/** Collectors whose clocks are remembered. */
const maxReports = 20_000;
/** Unless the wall clock has moved by so much nothing is looked at. */
const lookEveryMs = 1000;

/** Why this server's clock is not believed. Times are epoch milliseconds, by that clock. */
export interface ClockDoubt {
  /**
   * `pause`: the server was off for a while, nobody contradicts, and the collectors have yet to confirm the time;
   * `jump`: it has jumped; `disagreement`: it differs from most collectors'.
   */
  kind: 'pause' | 'jump' | 'disagreement';
  since: number;
  /** By how much it seems to be ahead; negative: behind. */
  aheadMs: number;
  reason: string;
}

/** Where a doubt outlasts a restart: what is stored in it would else vouch for the clock it was stored by. */
export interface ClockDoubtStorage {
  doubt: ClockDoubt | null;
  keep(doubt: ClockDoubt | null): void;
}

interface ClockReport {
  /** Its clock minus ours. */
  offsetMs: number;
  /** Monotonic. */
  at: number;
  /** On this machine: it reads the same clock. */
  isLocal: boolean;
}

/**
 * Whether this server's own clock can be believed, by what the monotonic clock, the stored times and the
 * collectors' clocks say. Nothing is ever expired by a clock in doubt.
 */
export class ServerClock {
  readonly #clock: Clock;
  readonly #kept: ClockDoubtStorage;
  /** Of a host the newest, those heard of longest ago first. */
  readonly #reports = new Map<string, ClockReport>();
  readonly #counts = { local: { all: 0, agreeing: 0 }, remote: { all: 0, agreeing: 0 } };
  /** Monotonic: since when most collectors have agreed without a break. */
  #agreedSince: number | null = null;
  /** Wall time when last looked at, and what it then was ahead of the time since boot. */
  #lookedAt: number;
  #offset: number;
  #jump: ClockDoubt | null = null;
  /** Since when most collectors have disagreed. */
  #disagreedSince: number | null = null;
  /** A person has said that the clock is right, though collectors disagree. */
  #isConfirmed = false;

  /** @param newestStored when the newest stored snapshot was taken; null: there is none */
  constructor(
    clock: Clock,
    newestStored: number | null,
    kept: ClockDoubtStorage = { doubt: null, keep: () => undefined },
  ) {
    this.#clock = clock;
    this.#kept = kept;
    this.#lookedAt = clock.now();
    this.#offset = clock.now() - this.#sinceBoot();
    this.#jump = kept.doubt;
    const gap = newestStored === null ? 0 : clock.now() - newestStored;
    // A little ahead is how collectors' clocks are.
    if (gap > longestPauseMs || gap < -agreementMs) this.#jumped(gap, 'since the newest stored snapshot', 'pause');
  }

  /** A collector has just said what time it is by its clock. */
  hear(host: string, offsetMs: number, isLocal: boolean): void {
    this.#look();
    const monotonic = this.#clock.monotonic();
    this.#forget(host);
    this.#count({ offsetMs, at: monotonic, isLocal }, 1);
    this.#reports.set(host, { offsetMs, at: monotonic, isLocal });
    if (this.#reports.size > maxReports) this.#forget(this.#reports.keys().next().value as string);
    this.#tallyVotes();
    if (this.#agreedSince !== null && monotonic - this.#agreedSince >= settleMs) this.#setJump(null);
  }

  /** Null: it is believed. */
  doubt(): ClockDoubt | null {
    const kind = this.#kind();
    if (kind === null) return null;
    if (this.#jump !== null)
      return { ...this.#jump, kind, reason: kind === 'pause' ? pauseOf(this.#jump) : this.#jump.reason };
    const { all, agreeing } = this.#votes();
    return {
      kind,
      since: this.#disagreedSince as number,
      aheadMs: -medianOf([...this.#reports.values()].map(({ offsetMs }) => offsetMs)),
      reason: `the clocks of ${all - agreeing} of ${all} collectors differ from this server's by more than ${formatDuration(agreementMs)}`,
    };
  }

  /** A doubt that somebody has to hear of: in a pause nobody has contradicted yet. */
  warning(): ClockDoubt | null {
    const doubt = this.doubt();
    return doubt?.kind === 'pause' ? null : doubt;
  }

  /** Against a clock that has jumped nothing can be measured. */
  hasJumped(): boolean {
    return this.#kind() === 'jump';
  }

  /** A person says that it is right. */
  confirm(): void {
    this.#setJump(null);
    this.#isConfirmed = true;
  }

  #kind(): ClockDoubt['kind'] | null {
    this.#look();
    for (const [host, { at }] of this.#reports) {
      if (this.#clock.monotonic() - at <= evidenceMs) break;
      this.#forget(host);
    }
    this.#tallyVotes();
    const isContradicted = this.#disagreedSince !== null;
    if (this.#jump !== null) return isContradicted ? 'jump' : this.#jump.kind;
    return isContradicted && !this.#isConfirmed ? 'disagreement' : null;
  }

  /** A machine that was suspended wakes up with the right time: its time since boot tells. */
  #look(): void {
    const now = this.#clock.now();
    if (Math.abs(now - this.#lookedAt) < lookEveryMs) return;
    const jumpedBy = now - this.#sinceBoot() - this.#offset;
    this.#offset += jumpedBy;
    this.#lookedAt = now;
    if (Math.abs(jumpedBy) > agreementMs) this.#jumped(jumpedBy, 'while the server ran', 'jump');
  }

  #sinceBoot(): number {
    return this.#clock.sinceBoot?.() ?? this.#clock.monotonic();
  }

  /** What collectors said before was compared with another clock. */
  #jumped(byMs: number, when: string, kind: 'pause' | 'jump'): void {
    this.#reports.clear();
    for (const count of Object.values(this.#counts)) Object.assign(count, { all: 0, agreeing: 0 });
    this.#agreedSince = null;
    this.#disagreedSince = null;
    this.#isConfirmed = false;
    this.#setJump({
      // A clock that went back was not off.
      kind: byMs < 0 || this.#jump?.kind === 'jump' ? 'jump' : kind,
      since: this.#clock.now(),
      aheadMs: byMs + (this.#jump?.aheadMs ?? 0),
      reason: `this server's clock went ${formatDuration(Math.abs(byMs))} ${byMs < 0 ? 'back' : 'ahead'} ${when}`,
    });
  }

  #setJump(jump: ClockDoubt | null): void {
    if (jump === this.#jump) return;
    this.#jump = jump;
    this.#kept.keep(jump);
  }

  #tallyVotes(): void {
    const { all, agreeing } = this.#votes();
    // This clock is one more voice, as long as it has not jumped.
    const agreed = all > 0 && 2 * agreeing + (this.#jump === null ? 1 : 0) > all;
    this.#agreedSince = agreed ? (this.#agreedSince ?? this.#clock.monotonic()) : null;
    this.#disagreedSince = all > 0 && !agreed ? (this.#disagreedSince ?? this.#clock.now()) : null;
    if (agreed) this.#isConfirmed = false;
  }

  /** Collectors on this machine say what its clock says: they count where there are no others. */
  #votes(): { all: number; agreeing: number } {
    return this.#counts.remote.all > 0 ? this.#counts.remote : this.#counts.local;
  }

  #count({ offsetMs, isLocal }: ClockReport, by: 1 | -1): void {
    const count = this.#counts[isLocal ? 'local' : 'remote'];
    count.all += by;
    if (Math.abs(offsetMs) <= agreementMs) count.agreeing += by;
  }

  #forget(host: string): void {
    const known = this.#reports.get(host);
    if (known === undefined) return;
    this.#reports.delete(host);
    this.#count(known, -1);
  }
}

function pauseOf({ aheadMs }: ClockDoubt): string {
  return `nothing was stored for ${formatDuration(aheadMs)} before the start`;
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
