import { placedAt } from '../../core/host-clock.ts';
import type { SnapshotHeader } from '../../core/snapshot.ts';
import type { Reading, TimeWindow } from '../../core/store.ts';
import type { Queries } from './queries.ts';
import { toHeader } from './rows.ts';
import { binMs } from './schema.ts';
import { during, duringBins, whole } from './sql-text.ts';

/** By their own clocks; in them all is looked at. */
const youngMs = 1_200_000;

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

  /**
   * Of a fleet all that is kept is too much to look at each second: of hosts that are there the last minutes tell, of
   * those that are silent, or by another clock, what was said of them as they wrote. An older server over the same
   * database says nothing.
   */
  async latest(at: number, reading: Reading = {}): Promise<SnapshotHeader[]> {
    const placed = during({ from: at - this.#retentionMs, to: at }, 'placed');
    const ofRows = `FROM snapshot WHERE ${placed} AND is_from_future = 0`;
    if (await this.#isPast(at, reading)) return byHost(await this.#newest(`${ofRows} GROUP BY host`, reading));
    const young = { from: at - youngMs, to: at };
    const others = `FROM newest_snapshot WHERE ${placed} GROUP BY host HAVING NOT (${during(young, 'newest')})`;
    // The others first: one that is heard of in between is in both.
    const silent = await this.#newest(others, reading);
    return byHost([...silent, ...(await this.#newest(`${ofRows} AND ${duringBins(young)} GROUP BY host`, reading))]);
  }

  /** Of some host there is a newer one. */
  async #isPast(at: number, reading: Reading): Promise<boolean> {
    const sql = `SELECT count() AS count FROM newest_snapshot WHERE placed > ${whole(at)}`;
    return Number((await this.#queries.all(sql, reading))[0]?.count) > 0;
  }

  /** @param found `FROM ... GROUP BY host`, of what has `host`, `time` and `placed` */
  async #newest(found: string, reading: Reading): Promise<SnapshotHeader[]> {
    const rows = await this.#queries.all(
      `SELECT * FROM snapshot FINAL WHERE (bin, host, time) IN (
        SELECT intDiv(newest, ${binMs}), host, newest FROM (SELECT host, argMax(time, placed) AS newest ${found}))`,
      reading,
    );
    return rows.map(toHeader);
  }
}

/** Of each host the one that is placed last. */
function byHost(headers: readonly SnapshotHeader[]): SnapshotHeader[] {
  const found = new Map<string, SnapshotHeader>();
  for (const header of headers) {
    const other = found.get(header.host);
    if (other === undefined || placedAt(other) < placedAt(header)) found.set(header.host, header);
  }
  return [...found.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
}
