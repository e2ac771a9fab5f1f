import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { agreementMs } from '../core/host-clock.ts';

/** What was stored last is at most so old at a start, or nobody knows whether it was a pause or a wrong clock. */
const longestPauseMs = 3_600_000;
/** Collectors have to agree for so long after a jump: a time service often needs minutes to mend one. */
const settleMs = 10 * 60_000;
/** What a collector's clock said this long ago says nothing any more. */
const evidenceMs = 15 * 60_000;
/** The time since boot is asked for at most so often. */
const lookEveryMs = 1000;
/** Collectors whose clocks are remembered. */
const maxWitnesses = 20_000;

/** Why this server's clock is not believed. Times are epoch milliseconds, by that clock. */
export interface ClockDoubt {
  since: number;
  /** By how much it seems to be ahead; negative: behind. */
  aheadMs: number;
  /** It has jumped; otherwise it only differs from most collectors'. */
  hasJumped: boolean;
  /** Nobody contradicts it: the server was off for a while, and the collectors have yet to confirm the time. */
  isQuiet: boolean;
  reason: string;
}

interface Witness {
  /** Its clock minus ours. */
  offsetMs: number;
  /** Monotonic. */
  at: number;
}

/**
 * Whether this server's own clock can be believed, by what the monotonic clock, the stored times and the
 * collectors' clocks say. Nothing is ever expired by a clock in doubt.
 */
export class ServerClock {
  readonly #clock: Clock;
  /** Of a host the newest, those heard of longest ago first. */
  readonly #witnesses = new Map<string, Witness>();
  #agreeing = 0;
  /** Monotonic: since when most collectors have agreed without a break. */
  #agreedSince: number | null = null;
  /** Wall minus monotonic time when last looked at, and minus the time since boot about then. */
  #offset: number;
  #bootOffset: number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #jump: ClockDoubt | null = null;
  /** Since when most collectors have disagreed. */
  #disagreedSince: number | null = null;
  /** A person has said that the clock is right, though collectors disagree. */
  #isConfirmed = false;

  /** @param newestStored when the newest stored snapshot was taken; null: there is none */
  constructor(clock: Clock, newestStored: number | null) {
    this.#clock = clock;
    this.#offset = clock.now() - clock.monotonic();
    this.#bootOffset = clock.now() - this.#sinceBoot();
    const gap = newestStored === null ? 0 : clock.now() - newestStored;
    // A little ahead is how collectors' clocks are.
    if (gap > longestPauseMs || gap < -agreementMs) this.#jumped(gap, 'since the newest stored snapshot', gap > 0);
  }

  /** A collector has just said what time it is by its clock. */
  hear(host: string, offsetMs: number): void {
    const { now, monotonic } = this.#look();
    this.#forget(host);
    this.#witnesses.set(host, { offsetMs, at: monotonic });
    if (agrees(offsetMs)) this.#agreeing++;
    if (this.#witnesses.size > maxWitnesses) this.#forget(this.#witnesses.keys().next().value as string);
    this.#weigh(now, monotonic);
  }

  /** Null: it is believed. */
  doubt(): ClockDoubt | null {
    const { now, monotonic } = this.#look();
    for (const [host, { at }] of this.#witnesses) {
      if (monotonic - at <= evidenceMs) break;
      this.#forget(host);
    }
    this.#weigh(now, monotonic);
    if (this.#jump !== null) return this.#disagreedSince === null ? this.#jump : loud(this.#jump);
    if (this.#disagreedSince === null || this.#isConfirmed) return null;
    const { size } = this.#witnesses;
    return {
      since: this.#disagreedSince,
      aheadMs: -medianOf([...this.#witnesses.values()].map(({ offsetMs }) => offsetMs)),
      hasJumped: false,
      isQuiet: false,
      reason: `the clocks of ${size - this.#agreeing} of ${size} collectors differ from this server's by more than ${formatDuration(agreementMs)}`,
    };
  }

  /** A person says that it is right. */
  confirm(): void {
    this.#jump = null;
    this.#isConfirmed = true;
  }

  #look(): { now: number; monotonic: number } {
    const [now, monotonic] = [this.#clock.now(), this.#clock.monotonic()];
    const jumpedBy = now - monotonic - this.#offset;
    this.#offset = now - monotonic;
    if (Math.abs(jumpedBy) > agreementMs) this.#perhapsJumped(now);
    else if (monotonic - this.#lookedAt >= lookEveryMs) this.#bootOffset = now - this.#sinceBoot();
    else return { now, monotonic };
    this.#lookedAt = monotonic;
    return { now, monotonic };
  }

  /** A machine that was suspended wakes up with the right time. */
  #perhapsJumped(now: number): void {
    const jumpedBy = now - this.#sinceBoot() - this.#bootOffset;
    this.#bootOffset += jumpedBy;
    if (Math.abs(jumpedBy) > agreementMs) this.#jumped(jumpedBy, 'while the server ran', false);
  }

  #sinceBoot(): number {
    return this.#clock.sinceBoot?.() ?? this.#clock.monotonic();
  }

  /** What collectors said before was compared with another clock. */
  #jumped(byMs: number, when: string, isQuiet: boolean): void {
    const aheadMs = byMs + (this.#jump?.aheadMs ?? 0);
    this.#witnesses.clear();
    this.#agreeing = 0;
    this.#agreedSince = null;
    this.#disagreedSince = null;
    this.#isConfirmed = false;
    const direction = byMs < 0 ? 'back' : 'ahead';
    this.#jump = {
      since: this.#clock.now(),
      aheadMs,
      hasJumped: true,
      isQuiet,
      reason: isQuiet
        ? `nothing was stored for ${formatDuration(byMs)} before the start`
        : `this server's clock went ${formatDuration(Math.abs(byMs))} ${direction} ${when}`,
    };
  }

  #weigh(now: number, monotonic: number): void {
    const { size } = this.#witnesses;
    // This clock is one more voice: where as many agree as do not, it decides.
    const agreed = size > 0 && this.#agreeing * 2 >= size;
    this.#agreedSince = agreed ? (this.#agreedSince ?? monotonic) : null;
    this.#disagreedSince = size > 0 && !agreed ? (this.#disagreedSince ?? now) : null;
    if (agreed) this.#isConfirmed = false;
    if (this.#agreedSince !== null && monotonic - this.#agreedSince >= settleMs) this.#jump = null;
  }

  #forget(host: string): void {
    const known = this.#witnesses.get(host);
    if (known === undefined) return;
    this.#witnesses.delete(host);
    if (agrees(known.offsetMs)) this.#agreeing--;
  }
}

/** By what is known: a pause that nobody contradicts is a pause. */
export function hasJumped(doubt: ClockDoubt | null): boolean {
  return doubt?.hasJumped === true && !doubt.isQuiet;
}

/** Somebody contradicts it. */
function loud(jump: ClockDoubt): ClockDoubt {
  if (!jump.isQuiet) return jump;
  const reason = `this server's clock went ${formatDuration(jump.aheadMs)} ahead since the newest stored snapshot`;
  return { ...jump, isQuiet: false, reason };
}

function agrees(offsetMs: number): boolean {
  return Math.abs(offsetMs) <= agreementMs;
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
