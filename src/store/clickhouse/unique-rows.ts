import type { Reading, TimeWindow } from '../../core/store.ts';
import type { ClickHouseAbout } from './connection.ts';
import type { Queries } from './queries.ts';
import { packedSince } from './schema.ts';
import { duringBins } from './sql-text.ts';

/** In a shorter window it costs little to leave out what is there twice. */
const leastMs = 1_800_000;
/** What is this old has arrived, or comes as a backlog. */
const settledMs = 60_000;

/**
 * Rows of processes, each once. FINAL leaves out what is there twice, in one thread of older versions: 65 million rows
 * take it nine seconds. Where as many rows are there as the snapshots of the window say that they have, none is there
 * twice, and none without its snapshot.
 */
export class UniqueRows {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /**
   * To be asked FROM: these columns, at least, of the rows that fit.
   * @param ofHosts a condition of hosts alone: of others it does not matter what is there twice
   */
  async relation(
    columns: readonly string[],
    window: TimeWindow,
    condition: string,
    reading: Reading,
    ofHosts = '1',
  ): Promise<string> {
    const settled = { from: window.from, to: window.to - settledMs };
    // Over shards each adds up its own: rows that are put together first would be handed over.
    const isDivided = (this.#queries.about.cluster?.shards ?? 1) > 1;
    const isLong = window.to - window.from >= leastMs;
    if (isDivided || !isLong || !(await this.#areUnique(settled, ofHosts, reading)))
      return onceFinally(window, condition);
    const young = { from: settled.to, to: window.to };
    const all = `SELECT ${columns.join(', ')} FROM process`;
    return `(${all} WHERE ${duringBins(settled)} AND ${condition} UNION ALL ${all} FINAL WHERE ${duringBins(young)} AND ${condition})`;
  }

  async #areUnique(window: TimeWindow, ofHosts: string, reading: Reading): Promise<boolean> {
    const told = `SELECT sum(process_rows) AS count FROM snapshot FINAL WHERE ${duringBins(window)} AND ${ofHosts}`;
    const found = `SELECT count() AS count FROM process WHERE ${duringBins(window)} AND ${ofHosts}`;
    const [wanted, there] = [
      await this.#queries.all(told, reading, window),
      await this.#queries.all(found, reading, window),
    ];
    return Number(wanted[0]?.count ?? 0) === Number(there[0]?.count ?? 0);
  }
}

/** The same, whatever it takes. */
export function onceFinally(window: TimeWindow, condition: string): string {
  return `process FINAL WHERE ${duringBins(window)} AND ${condition}`;
}

/** What `varPopStable` of 18.16 has found on one shard it cannot tell another: there the values themselves are handed over. */
export function handedOver(rows: string, columns: readonly string[], { version, cluster }: ClickHouseAbout): string {
  return version < packedSince && (cluster?.shards ?? 1) > 1 ? `(SELECT ${columns.join(', ')} FROM ${rows})` : rows;
}
