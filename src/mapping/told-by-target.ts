import { staleIntervals } from '../core/alarm.ts';
import { Instant } from './instant.ts';
import type { MappedSeries, Told } from './mapped-series.ts';
import type { Mapping } from './mapping.ts';

/** A scrape comes in several parts, within some seconds: Prometheus sends each after five at most. */
const settledMs = 10_000;
/** After so long without another part one that has all that there was before is complete. */
const completeMs = 1500;
/** How often it is scraped is known from the second time on. */
const firstIntervalMs = 60_000;
/** What is scraped more often comes late all the same: it is not silent. */
const [leastIntervalMs, mostIntervalMs] = [10_000, 3_600_000];
const rememberedGaps = 20;
const rememberedInstants = 1000;
/** Instants that wait for the rest of their samples. */
const mostOpen = 5000;

/** A series that is there, with what it said last. */
interface Present {
  instant: number;
  told: Told['values'];
}

/** What one target of a Prometheus tells of a host by one mapping, instant by instant. */
export class ToldByTarget {
  readonly mapping: Mapping;
  readonly target: string;
  readonly #open = new Map<number, Instant>();
  /** Instants that are done: what comes of them afterwards is too late. */
  #done = new Set<number>();
  readonly #present = new Map<MappedSeries, Present>();
  #newest = 0;
  /** Of the last instant that said something. */
  #size = 0;
  /** Between two instants, and between two that came. */
  #gaps: number[] = [];
  #arrivals: number[] = [];
  #arrivedAt: number | null = null;
  /** Monotonic. */
  touchedAt = 0;

  constructor(mapping: Mapping, target: string) {
    this.mapping = mapping;
    this.target = target;
  }

  add(series: MappedSeries, { time, values, isEnded }: Told, now: number): void {
    const { stepMs } = this.mapping;
    const at = stepMs === null ? time : Math.floor(time / stepMs) * stepMs;
    this.touchedAt = now;
    this.#follow(series, at, values, isEnded);
    if (this.#done.has(at) || (this.#open.size >= mostOpen && !this.#open.has(at))) return;
    const instant = this.#open.get(at) ?? new Instant(at);
    this.#open.set(at, instant);
    if (isEnded) instant.touchedAt = now;
    else instant.set(series, values, now);
  }

  /**
   * Instants that nothing more is expected of, oldest first. A series that is late has what it said last: only a stale
   * marker, or three intervals without a word, say that it is gone.
   * @param all whatever may still come, but for what is not complete
   */
  settle(now: number, all: boolean): Instant[] {
    const settled = [...this.#open.values()].filter((instant) => this.#isReady(instant, now, all));
    settled.sort((a, b) => a.time - b.time);
    for (const instant of settled) this.#settle(instant, now);
    return settled;
  }

  hasReady(now: number, all: boolean): boolean {
    for (const instant of this.#open.values()) if (this.#isReady(instant, now, all)) return true;
    return false;
  }

  /** How often it tells: an outage is no interval. */
  get intervalMs(): number {
    const usual = Math.max(secondLargest(this.#gaps), secondLargest(this.#arrivals));
    return Math.min(mostIntervalMs, Math.max(leastIntervalMs, this.mapping.stepMs ?? 0, usual || firstIntervalMs));
  }

  #follow(series: MappedSeries, at: number, told: Told['values'], isEnded: boolean): void {
    const before = this.#present.get(series);
    if (before !== undefined && at < before.instant) return;
    if (isEnded) this.#present.delete(series);
    else this.#present.set(series, { instant: at, told: withKnown(told, before?.told) });
  }

  #isReady(instant: Instant, now: number, all: boolean): boolean {
    const quietMs = now - instant.touchedAt;
    const isComplete = () => this.#newest > 0 && instant.values.size >= Math.max(this.#present.size, this.#size);
    if (all) return isComplete();
    return quietMs >= settledMs || (quietMs >= completeMs && isComplete());
  }

  #settle(instant: Instant, now: number): void {
    const { time } = instant;
    this.#open.delete(time);
    this.#done.add(time);
    if (this.#done.size > rememberedInstants) this.#done = new Set([...this.#done].slice(-rememberedInstants / 2));
    if (time <= this.#newest) return;
    this.#carryOver(instant);
    if (instant.values.size > 0) this.#size = instant.values.size;
    if (this.#newest > 0) this.#gaps = [...this.#gaps, time - this.#newest].slice(-rememberedGaps);
    if (this.#arrivedAt !== null) this.#arrivals = [...this.#arrivals, now - this.#arrivedAt].slice(-rememberedGaps);
    this.#arrivedAt = now;
    this.#newest = time;
  }

  #carryOver(instant: Instant): void {
    const reach = staleIntervals * this.intervalMs;
    for (const [series, { instant: at, told }] of this.#present) {
      if (at < instant.time - reach) this.#present.delete(series);
      else if (!instant.values.has(series) && instant.values.size > 0) instant.values.set(series, told);
    }
  }
}

/** A rate that is not known yet is the one before. */
function withKnown(told: Told['values'], before: Told['values'] | undefined): Told['values'] {
  return told.some(({ value }) => value === null) && before !== undefined ? before : told;
}

/** 0: there are no two. */
function secondLargest(values: readonly number[]): number {
  return values.toSorted((a, b) => b - a)[Math.min(1, values.length - 1)] ?? 0;
}
