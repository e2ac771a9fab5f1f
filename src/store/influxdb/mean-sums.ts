import { type MeanColumnId, meanColumnIds, processColumn } from '../../core/metric.ts';

const isPeak = meanColumnIds.map((id) => processColumn(id).overTime === 'peak');

/**
 * What means of a process name are made of: of how many snapshots, and of each column how many values there are and
 * what they add up to, or the highest. They add up themselves.
 */
export class MeanSums {
  snapshots = 0;
  readonly #counts = meanColumnIds.map(() => 0);
  readonly #values = meanColumnIds.map(() => 0);

  /** @param value the sum of so many, or the highest of them; not below 0 */
  add(column: number, count: number, value: number): void {
    this.#counts[column] = (this.#counts[column] ?? 0) + count;
    const before = this.#values[column] ?? 0;
    this.#values[column] = isPeak[column] ? Math.max(before, value) : before + value;
  }

  merge(other: MeanSums): void {
    this.snapshots += other.snapshots;
    for (const column of meanColumnIds.keys())
      this.add(column, other.#counts[column] as number, other.#values[column] as number);
  }

  means(): Record<MeanColumnId, number | null> {
    const entries = meanColumnIds.map((id, column) => {
      const [count, value] = [this.#counts[column] as number, this.#values[column] as number];
      return [id, count === 0 ? null : isPeak[column] ? value : value / count];
    });
    return Object.fromEntries(entries);
  }

  /** `[snapshots,value,...]`; of a column that not each snapshot has a value of, `[count,value]`. */
  toText(): string {
    const columns = this.#values.map((value, column) => {
      const count = this.#counts[column];
      // What is stored has three decimals: so have sums, but for what adding loses.
      const rounded = Math.round(value * 1000) / 1000;
      return count === this.snapshots ? rounded : [count, rounded];
    });
    return JSON.stringify([this.snapshots, ...columns]);
  }

  /** @param numbers what `toText` has said, parsed */
  static of([snapshots, ...columns]: readonly (number | readonly number[])[]): MeanSums {
    const sums = new MeanSums();
    sums.snapshots = Number(snapshots);
    for (const [column, said] of columns.entries()) {
      const [count, value] = typeof said === 'number' ? [sums.snapshots, said] : said;
      sums.add(column, count ?? 0, value ?? 0);
    }
    return sums;
  }
}
