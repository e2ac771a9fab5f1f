import type { Reading, TimeWindow } from '../../core/store.ts';
import { type HourPlan, hasWholeHour, hourMs, hourPlanOf, rowsAlone } from './hour-plan.ts';
import { statesSql } from './hour-sql.ts';
import type { Queries } from './queries.ts';
import { during, isOneOf } from './sql-text.ts';
import { UniqueRows } from './unique-rows.ts';

export interface HoursOptions {
  /** Of rows. */
  retentionMs: number;
  /** Epoch milliseconds. */
  now: () => number;
}

/** A part of a question: to be asked FROM, and whether it is roll-ups. */
export interface Piece {
  relation: string;
  isRolled: boolean;
}

/** Finds out what of a window is told by roll-ups. */
export class Hours {
  readonly #queries: Queries;
  readonly #options: HoursOptions;
  readonly #unique: UniqueRows;

  constructor(queries: Queries, options: HoursOptions) {
    this.#queries = queries;
    this.#options = options;
    this.#unique = new UniqueRows(queries);
  }

  /** Whether it begins where there may be nothing but roll-ups. */
  isPast({ from }: TimeWindow): boolean {
    return from < this.#options.now() - this.#options.retentionMs;
  }

  /** @param hosts absent: all */
  async plan(window: TimeWindow, hosts: readonly string[] | undefined, reading: Reading): Promise<HourPlan> {
    if (!hasWholeHour(window) && !this.isPast(window)) return rowsAlone(window);
    const condition = hosts === undefined ? '1' : isOneOf('host', hosts);
    const states = await this.#queries.all(statesSql(touched(window), condition), reading, window);
    const hours = states.map((row) => ({
      hour: Number(row.hour),
      snapshots: Number(row.snapshots),
      isStale: Number(row.is_stale) > 0,
      written: Number(row.written),
      there: Number(row.there),
    }));
    return hourPlanOf(window, hours);
  }

  /**
   * What a plan comes to.
   * @param columns at least these, of rows
   * @param condition that both have to meet; `ofRows`: another one of rows
   */
  async pieces(
    { rolled, areTwice, rows }: HourPlan,
    columns: readonly string[],
    condition: string,
    reading: Reading,
    ofRows = condition,
  ): Promise<Piece[]> {
    const pieces: Piece[] = [];
    for (const window of rows)
      pieces.push({ relation: await this.#unique.relation(columns, window, ofRows, reading), isRolled: false });
    if (rolled.length === 0) return pieces;
    const hours = rolled.map((window) => `(${during(window)})`).join(' OR ');
    const relation = `process_hour ${areTwice ? 'FINAL ' : ''}WHERE (${hours}) AND ${condition}`;
    return [...pieces, { relation, isRolled: true }];
  }
}

/** The hours that it touches. */
export function touched({ from, to }: TimeWindow): TimeWindow {
  const [first, last] = [Math.floor(from) + 1, Math.floor(to)];
  return { from: Math.floor(first / hourMs) * hourMs - 1, to: Math.floor(last / hourMs) * hourMs + hourMs - 1 };
}
