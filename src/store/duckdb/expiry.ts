import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { Dictionary } from './dictionary.ts';
import type { NameTexts } from './name-texts.ts';
import type { Readers } from './readers.ts';
import type { RecentTimes } from './recent-times.ts';
import type { RowCounts } from './row-counts.ts';
import type { SeriesWriter } from './series-writer.ts';
import type { SnapshotWriter } from './snapshot-writer.ts';
import { UnusedNames } from './unused-names.ts';

/** So much of other sources' samples is deleted at a time. */
const samplesExpiredMs = 6 * 3_600_000;
const seriesDeletedAtOnce = 20_000;
/** Process rows deleted at a time. */
const mostExpired = 2_000_000;

export interface ExpiryOptions {
  instance: DuckDBInstance;
  retentionMs: number;
  /** Deletions. Whoever uses it has the turn in the chain of commits. */
  maintenance: DuckDBConnection;
  /** Takes that turn. */
  exclusive: <T>(work: () => Promise<T>) => Promise<T>;
  readers: Readers;
  hosts: Dictionary;
  names: NameTexts;
  series: NameTexts;
  recent: RecentTimes;
  counts: RowCounts;
  writer: SnapshotWriter;
  seriesWriter: SeriesWriter;
}

/** Forgets what is older than the retention, a little at a time so that no writer waits for long. */
export class Expiry {
  readonly #options: ExpiryOptions;
  readonly #unused: UnusedNames;

  constructor(options: ExpiryOptions) {
    this.#options = options;
    this.#unused = new UnusedNames(options);
  }

  end(): void {
    this.#unused.end();
  }

  /** A stretch at a time: a week's rows in one deletion would take more memory than there is, and keep writers waiting. */
  async expire(now: number): Promise<void> {
    const oldest = Math.floor(now - this.#options.retentionMs);
    for (const end of this.#options.counts.stretchesBefore(oldest, mostExpired))
      await this.#options.exclusive(async () => {
        await this.#options.maintenance.run(`DELETE FROM usage WHERE time < ${end}`);
      });
    await this.#expireSamples(oldest);
    await this.#options.exclusive(() => this.#expireRest(oldest));
    this.#options.counts.forget(oldest);
    await this.#forgetSeries();
  }

  async #expireSamples(oldest: number): Promise<void> {
    const first = async () => {
      const sql = `SELECT min(time)::DOUBLE AS time FROM sample WHERE time < ${oldest}`;
      const [row] = await this.#options.readers.query(sql, { lane: 'background' });
      return (row?.time ?? null) as number | null;
    };
    for (let time = await first(); time !== null; time = await first()) {
      const sql = `DELETE FROM sample WHERE time < ${Math.min(oldest, time + samplesExpiredMs)}`;
      await this.#options.exclusive(async () => void (await this.#options.maintenance.run(sql)));
    }
  }

  /** Found beside the writing, and deleted as far as they are not used again meanwhile. */
  async #forgetSeries(): Promise<void> {
    const { seriesWriter, series, readers } = this.#options;
    seriesWriter.watch();
    try {
      const used = ['sample', 'forecast', 'tally'].map((table) => `SELECT series FROM ${table}`).join(' UNION ');
      const rows = await readers.query(`SELECT id FROM series WHERE id NOT IN (${used})`, { lane: 'background' });
      if (rows.length === 0) return;
      for (let from = 0; from < rows.length; from += seriesDeletedAtOnce) {
        const ids = rows.slice(from, from + seriesDeletedAtOnce).map(({ id }) => id as number);
        await this.#options.exclusive(() => seriesWriter.forget(ids));
        series.clear();
      }
    } finally {
      seriesWriter.unwatch();
    }
  }

  async #expireRest(oldest: number): Promise<void> {
    const { maintenance } = this.#options;
    await maintenance.run(`DELETE FROM usage WHERE time < ${oldest}`);
    // What was marked as from the future is kept from when it came.
    const late = `FROM snapshot WHERE received < ${oldest}`;
    const [[count = 0] = []] = (await maintenance.runAndReadAll(`SELECT count(*)::INTEGER ${late}`)).getRows();
    if ((count as number) > 0)
      await maintenance.run(`DELETE FROM usage WHERE (host, time) IN (SELECT (host, time) ${late})`);
    await maintenance.run(`DELETE FROM snapshot WHERE time < ${oldest} OR received < ${oldest}`);
    for (const table of ['forecast', 'tally']) await maintenance.run(`DELETE FROM ${table} WHERE time < ${oldest}`);
    await this.#forgetHosts();
  }

  async #forgetHosts(): Promise<void> {
    const { hosts, recent, maintenance } = this.#options;
    const rows = (await maintenance.runAndReadAll('SELECT DISTINCT host FROM snapshot')).getRows();
    const used = new Set(rows.map(([id]) => id));
    // Of one whose first snapshot could not be stored the next one brings the name along.
    for (const [id] of hosts.fresh()) used.add(id);
    const unused = hosts.ids().filter((id) => !used.has(id));
    if (unused.length === 0) return;
    await maintenance.run(`DELETE FROM host WHERE id IN (${unused.join(', ')})`);
    for (const id of unused) {
      hosts.remove(id);
      recent.forget(id);
    }
  }

  findUnusedNames(): Promise<number> {
    return this.#unused.find();
  }

  /** A few at a time, and none that has been used again. */
  async forgetNames(): Promise<void> {
    try {
      for (let left = true; left; ) left = await this.#options.exclusive(() => this.#unused.deleteSome());
    } finally {
      this.#unused.end();
    }
  }
}
