import { MonitorError } from '../core/error.ts';
import type { DurableLog } from '../core/log.ts';
import type { Company } from './company.ts';

export interface GroupLimits {
  /** Waits until a group may be written: what arrives meanwhile is of it. Absent: at once. */
  turn?: () => Promise<void>;
  /** A group is closed before its weight goes over this. */
  group: number;
  /** Beyond this weight waiting, `add` is refused at once. */
  queue: number;
}

interface Waiting<T> {
  item: T;
  weight: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * Adaptive group commit: one group is written at a time, and all that arrived meanwhile forms the next.
 * Under load one durable write serves many callers; where it pays, those that come one by one wait a little for each
 * other. Live snapshots go before a backlog. When a group fails for another reason than an outage, its members are
 * written one by one, so that one bad item cannot fail its neighbours.
 */
export class GroupCommit<T> implements DurableLog<T> {
  readonly #write: (items: T[]) => Promise<void>;
  readonly #weigh: (item: T) => number;
  readonly #limits: GroupLimits;
  readonly #company: Company | null;
  /** What is alone is live and goes before what came as one of many. */
  #alone: Waiting<T>[] = [];
  #waiting: Waiting<T>[] = [];
  #waitingWeight = 0;
  /** The end of all that has been started: groups and exclusive work follow each other on it. */
  #tail: Promise<unknown> = Promise.resolve();
  #scheduled = false;
  #isWriting = false;

  /** @param company absent: nobody waits for others */
  constructor(
    write: (items: T[]) => Promise<void>,
    weigh: (item: T) => number,
    limits: GroupLimits,
    company: Company | null = null,
  ) {
    this.#company = company;
    this.#write = write;
    this.#weigh = weigh;
    this.#limits = limits;
  }

  /**
   * Resolves once the item's group has been written.
   * @param isAlone sent by itself, and not as a part of a backlog
   * @throws MonitorError `unavailable` when the queue is full; otherwise what `write` threw for this item.
   */
  add(item: T, isAlone = true): Promise<void> {
    const weight = this.#weigh(item);
    if (this.#waitingWeight > 0 && this.#waitingWeight + weight > this.#limits.queue) {
      const message = 'the store cannot keep up and its queue is full; send again later';
      return Promise.reject(new MonitorError('unavailable', message, { retryAfterSeconds: 5 }));
    }
    this.#waitingWeight += weight;
    if (isAlone) this.#company?.arrived();
    return new Promise((resolve, reject) => {
      (isAlone ? this.#alone : this.#waiting).push({ item, weight, resolve, reject });
      this.#schedule(!this.#isWriting);
    });
  }

  /** Resolves once all are written; when some are not, it waits for the others and throws the first reason. */
  async addAll(items: readonly T[]): Promise<void> {
    const results = await Promise.allSettled(items.map((item) => this.add(item, items.length === 1)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** Runs between two groups, when nothing is being written. */
  exclusive<R>(work: () => Promise<R>): Promise<R> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }

  #schedule(isIdle = false): void {
    if (this.#scheduled || this.#alone.length + this.#waiting.length === 0) return;
    this.#scheduled = true;
    const company = isIdle ? this.#company : null;
    void this.exclusive(async () => {
      // Who came while another group was written has waited long enough.
      await this.#limits.turn?.();
      await company?.gather(() => this.#alone.length + this.#waiting.length);
      this.#scheduled = false;
      const group = this.#takeGroup();
      this.#isWriting = true;
      await this.#settle(group);
      this.#isWriting = false;
      this.#schedule();
    });
  }

  #takeGroup(): Waiting<T>[] {
    const group: Waiting<T>[] = [];
    let weight = 0;
    for (const queue of [this.#alone, this.#waiting]) {
      const end = queue.findIndex((entry, index) => {
        weight += entry.weight;
        return group.length + index > 0 && weight > this.#limits.group;
      });
      group.push(...queue.splice(0, end < 0 ? queue.length : end));
      if (end >= 0) break;
    }
    for (const entry of group) this.#waitingWeight -= entry.weight;
    return group;
  }

  async #settle(group: readonly Waiting<T>[]): Promise<void> {
    try {
      await this.#write(group.map((entry) => entry.item));
      for (const entry of group) entry.resolve();
    } catch (error) {
      if (isOutage(error) || group.length === 1) for (const entry of group) entry.reject(error);
      else await this.#settleEach(group);
    }
  }
  /** One by one, until there is an outage: the others would only wait for the same. */
  async #settleEach(group: readonly Waiting<T>[]): Promise<void> {
    let outage: unknown = null;
    for (const entry of group) {
      try {
        if (outage !== null) throw outage;
        await this.#write([entry.item]);
        entry.resolve();
      } catch (error) {
        if (isOutage(error)) outage = error;
        entry.reject(error);
      }
    }
  }
}

function isOutage(error: unknown): boolean {
  return error instanceof MonitorError && (error.code === 'unavailable' || error.code === 'timeout');
}
