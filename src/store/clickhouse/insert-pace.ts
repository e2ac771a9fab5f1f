import { setTimeout as sleep } from 'node:timers/promises';

/** Each insert is a part that ClickHouse has to merge, and costs as much as hundreds of rows do. */
const everyMs = 1000;

/**
 * Lets inserts through as they come as long as they come one by one; where several wait already more of them gather, and
 * go together once a second.
 */
export class InsertPace {
  #lastAt = Number.NEGATIVE_INFINITY;

  /** @param waiting how many this insert is of */
  async turn(waiting: number): Promise<void> {
    const dueMs = this.#lastAt + everyMs - performance.now();
    if (waiting > 1 && dueMs > 0) await sleep(dueMs);
    this.#lastAt = performance.now();
  }
}
