import type { SnapshotHeader } from '../../core/snapshot.ts';
import type { Reading, TimeWindow } from '../../core/store.ts';
import type { Queries } from './queries.ts';
import { toHeader } from './rows.ts';
import { binMs } from './schema.ts';
import { during, duringBins } from './sql-text.ts';

/** The newest snapshot of each host, wherever its clock has put it. */
export class HeaderReads {
  readonly #queries: Queries;
  readonly #retentionMs: number;

  constructor(queries: Queries, retentionMs: number) {
    this.#queries = queries;
    this.#retentionMs = retentionMs;
  }

  async headers(window: TimeWindow, reading: Reading = {}): Promise<SnapshotHeader[]> {
    const sql = `SELECT * FROM snapshot FINAL WHERE ${duringBins(window)}`;
    return (await this.#queries.all(sql, reading, window)).map(toHeader);
  }

  async latest(at: number, reading: Reading = {}): Promise<SnapshotHeader[]> {
    const placed = during({ from: at - this.#retentionMs, to: at }, 'placed');
    const newest = `FROM snapshot WHERE ${placed} AND is_from_future = 0 GROUP BY host`;
    const rows = await this.#queries.all(
      `SELECT * FROM snapshot FINAL WHERE bin IN (SELECT intDiv(argMax(time, placed), ${binMs}) ${newest})
        AND (host, time) IN (SELECT host, argMax(time, placed) ${newest})`,
      reading,
    );
    return rows.map(toHeader).sort((a, b) => (a.host < b.host ? -1 : 1));
  }
}
