import { dayMs, dayOf } from '../core/clock.ts';
import type { MetricSample } from '../core/sample.ts';
import { seriesKey } from '../core/series.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { TimeWindow } from '../core/store.ts';
import { LruCache } from '../platform/lru-cache.ts';
import { admitNames, admitSeries, NameBudget } from './name-budget.ts';

/** Owners whose names are remembered. */
const mostOwners = 4000;

interface Parts {
  /** All names that an owner has. */
  namesOf: (owner: string) => Promise<string[]>;
  /** How many it has brought along in a window. */
  countIn: (owner: string, window: TimeWindow) => Promise<number>;
  perDay: (owner: string) => number;
  now: () => number;
  warn: (message: string) => void;
}

/** How many an owner has brought along today, so far. */
export interface NewNames {
  owner: string;
  names: number;
  at: number;
}

/** What names each owner has, and how many new ones today; each is kept for as long as its rows. */
export class KnownNames {
  readonly #budget: NameBudget<string>;
  readonly #parts: Parts;
  /** Read anew each day: what the engine has forgotten is new again. */
  readonly #names = new LruCache<string, { day: number; names: Promise<Set<string>> }>(mostOwners);
  /** How many new names of today owners have, where nothing stored tells of it yet. */
  readonly #counts = new Map<string, { names: number; at: number }>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#budget = new NameBudget(parts.perDay);
  }

  #of(owner: string): Promise<Set<string>> {
    const day = dayOf(this.#parts.now());
    const known = this.#names.get(owner);
    if (known?.day === day) return known.names;
    const names = this.#read(owner);
    this.#names.set(owner, { day, names });
    names.catch(() => this.#names.clear());
    return names;
  }

  /** Lets in the process names of a snapshot that its host has never had, as far as it may bring them along today. */
  async admitNames(snapshot: Snapshot): Promise<void> {
    const known = await this.#of(snapshot.host);
    if (admitNames(snapshot, known, this.#budget, this.#parts.now(), this.#parts.warn)) this.#spend(snapshot.host);
  }

  /** Lets in samples of series that their owners have, or may still bring along today. */
  async admitSamples(
    samples: readonly MetricSample[],
  ): Promise<{ admitted: MetricSample[]; beyondBudget: MetricSample[] }> {
    const known = new Map<string, Set<string>>();
    for (const { owner } of samples) if (!known.has(owner)) known.set(owner, await this.#of(owner));
    const [admitted, beyondBudget]: [MetricSample[], MetricSample[]] = [[], []];
    for (const sample of samples)
      (this.#admitSeries(sample, known.get(sample.owner) as Set<string>) ? admitted : beyondBudget).push(sample);
    return { admitted, beyondBudget };
  }

  #admitSeries({ series, owner }: MetricSample, known: Set<string>): boolean {
    const key = seriesKey(series);
    if (known.has(key)) return true;
    if (!admitSeries(owner, this.#budget, this.#parts.now(), this.#parts.warn)) return false;
    known.add(key);
    this.#spend(owner);
    return true;
  }

  /** New ones have been let in. */
  #spend(owner: string): void {
    const at = this.#parts.now();
    this.#counts.set(owner, { names: this.#spent(owner, at), at });
  }

  /** Counts that go along with what these owners write, and are told of once they are written. */
  countsOf(owners: Iterable<string>): { counts: NewNames[]; settle: () => void } {
    const counts = [...new Set(owners)].flatMap((owner) => {
      const count = this.#counts.get(owner);
      return count === undefined ? [] : [{ owner, count }];
    });
    const settle = () => {
      for (const { owner, count } of counts) if (this.#counts.get(owner) === count) this.#counts.delete(owner);
    };
    return { counts: counts.map(({ owner, count }) => ({ owner, ...count })), settle };
  }

  #spent(owner: string, at: number): number {
    return this.#budget.perDay(owner) - this.#budget.left(owner, at);
  }

  async #read(owner: string): Promise<Set<string>> {
    const { namesOf, countIn, now } = this.#parts;
    const at = now();
    const today = { from: dayOf(at) * dayMs - 1, to: at };
    const [names, spent] = await Promise.all([namesOf(owner), countIn(owner, today)]);
    // What has been spent is known of an owner that was forgotten for others.
    this.#budget.spend(owner, Math.max(0, spent - this.#spent(owner, at)), at);
    return new Set(names);
  }
}
