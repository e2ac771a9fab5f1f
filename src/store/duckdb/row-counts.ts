import type { TimeWindow } from '../../core/store.ts';

const hourMs = 3_600_000;

/** About how many process rows each hour has: what tells, before it is asked, what a question will cost. */
export class RowCounts {
  readonly #rows = new Map<number, number>();
  #snapshots = 0;
  #all = 0;

  add(time: number, rows: number, snapshots = 1): void {
    const hour = Math.floor(time / hourMs);
    this.#rows.set(hour, (this.#rows.get(hour) ?? 0) + rows);
    this.#all += rows;
    this.#snapshots += snapshots;
  }

  rowsIn({ from, to }: TimeWindow): number {
    let sum = 0;
    for (const [hour, rows] of this.#rows) {
      const begin = Math.max(from, hour * hourMs);
      const end = Math.min(to, (hour + 1) * hourMs);
      if (end > begin) sum += (rows * (end - begin)) / hourMs;
    }
    return sum;
  }

  /** As many snapshots as have so many rows. */
  snapshotsIn(rows: number): number {
    return this.#all === 0 ? 0 : (rows * this.#snapshots) / this.#all;
  }

  /** A length of time that has so many rows, from the window's beginning on. */
  stretch({ from, to }: TimeWindow, rows: number): number {
    const all = this.rowsIn({ from, to });
    let oldest = Number.POSITIVE_INFINITY;
    for (const hour of this.#rows.keys()) oldest = Math.min(oldest, hour * hourMs);
    // Before the oldest row there is nothing: a window may begin long before it.
    const length = to - Math.max(from, Math.min(oldest, to));
    const before = Math.max(0, to - from - length);
    return Math.max(1, Math.ceil(before + (all > rows ? (length * rows) / all : length)));
  }

  /** Ends of stretches before that time, oldest first, that have at most about so many rows each. */
  stretchesBefore(before: number, most: number): number[] {
    const ends: number[] = [];
    for (const hour of [...this.#rows.keys()].sort((a, b) => a - b)) {
      const parts = Math.ceil((this.#rows.get(hour) as number) / most);
      for (let part = 1; part <= parts; part++) ends.push(Math.floor((hour + part / parts) * hourMs));
    }
    return ends.filter((end) => end < before);
  }

  forget(before: number): void {
    for (const [hour, rows] of this.#rows) {
      if ((hour + 1) * hourMs > before) continue;
      this.#rows.delete(hour);
      this.#snapshots -= this.snapshotsIn(rows);
      this.#all -= rows;
    }
  }
}
