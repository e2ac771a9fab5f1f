import type { Point } from '@influxdata/influxdb-client';
import { dayMs, dayOf } from '../../core/clock.ts';
import type { TimeWindow } from '../../core/store.ts';
import { LruCache } from '../../platform/lru-cache.ts';
import { NameBudget } from '../name-budget.ts';
import type { Row } from './connection.ts';
import { decodeName } from './name-codec.ts';
import { numberOf } from './points.ts';

/** Owners whose names are remembered. */
const mostOwners = 4000;

interface Parts {
  query: (statements: readonly string[]) => Promise<Row[][]>;
  /** All names that an owner has. */
  namesStatement: (owner: string) => string;
  /** `names`: how many it has brought along in a window. */
  countStatement: (owner: string, window: TimeWindow) => string;
  /** Keeps how many that are, so far today. */
  countPoint: (owner: string, names: number, time: number) => Point;
  perDay: (owner: string) => number;
  now: () => number;
}

/** What names each owner has, and how many new ones today; each is a series of InfluxDB for ever. */
export class KnownNames {
  readonly budget: NameBudget<string>;
  readonly #parts: Parts;
  /** Read anew each day: what InfluxDB has forgotten is new again. */
  readonly #names = new LruCache<string, { day: number; names: Promise<Set<string>> }>(mostOwners);
  /** How many new names of today owners have, where no point tells of it yet. */
  readonly #counts = new Map<string, { names: number; at: number }>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.budget = new NameBudget(parts.perDay);
  }

  of(owner: string): Promise<Set<string>> {
    const day = dayOf(this.#parts.now());
    const known = this.#names.get(owner);
    if (known?.day === day) return known.names;
    const names = this.#read(owner);
    this.#names.set(owner, { day, names });
    names.catch(() => this.#names.clear());
    return names;
  }

  /** New ones have been let in. */
  spent(owner: string): void {
    const at = this.#parts.now();
    this.#counts.set(owner, { names: this.#spent(owner, at), at });
  }

  /** Counts that go along with what these owners write, and are told of once they are written. */
  countsOf(owners: Iterable<string>): { points: Point[]; settle: () => void } {
    const counts = [...new Set(owners)].flatMap((owner) => {
      const count = this.#counts.get(owner);
      return count === undefined ? [] : [{ owner, count }];
    });
    const settle = () => {
      for (const { owner, count } of counts) if (this.#counts.get(owner) === count) this.#counts.delete(owner);
    };
    const points = counts.map(({ owner, count: { names, at } }) => this.#parts.countPoint(owner, names, at));
    return { points, settle };
  }

  #spent(owner: string, at: number): number {
    return this.budget.perDay(owner) - this.budget.left(owner, at);
  }

  async #read(owner: string): Promise<Set<string>> {
    const { query, namesStatement, countStatement, now } = this.#parts;
    const at = now();
    const today = { from: dayOf(at) * dayMs - 1, to: at };
    const [names = [], counts = []] = await query([namesStatement(owner), countStatement(owner, today)]);
    const spent = numberOf(counts[0]?.names) ?? 0;
    // What has been spent is known of an owner that was forgotten for others.
    this.budget.spend(owner, Math.max(0, spent - this.#spent(owner, at)), at);
    return new Set(names.map((row) => decodeName(String(row.value))));
  }
}
