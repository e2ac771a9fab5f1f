import type { DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import type { Dictionary } from './dictionary.ts';
import type { NameTexts } from './name-texts.ts';
import { type Family, families, type Part, type PartFiles } from './part-files.ts';
import { always, forgetPartsSql, type Parts, takeOutPartsSql } from './parts.ts';
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

const namesEveryMs = 6 * 3_600_000;

export interface ExpiryOptions {
  instance: DuckDBInstance;
  retentionMs: number;
  minuteRetentionMs: number;
  hourRetentionMs: number;
  /** Deletions. Whoever uses it has the turn in the chain of commits. */
  maintenance: DuckDBConnection;
  /** Takes that turn. */
  exclusive: <T>(work: () => Promise<T>) => Promise<T>;
  readers: Readers;
  parts: Parts;
  files: PartFiles;
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
  #namesAt = Number.NEGATIVE_INFINITY;

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
    await this.#expireParts(now);
    for (const end of this.#options.counts.stretchesBefore(oldest, mostExpired))
      await this.#options.exclusive(async () => {
        await this.#options.maintenance.run(`DELETE FROM usage WHERE time < ${end}`);
      });
    await this.#expireSamples(oldest);
    const history = await this.#hostsWithHistory(oldest);
    await this.#options.exclusive(() => this.#expireRest(oldest, history));
    this.#options.counts.forget(oldest);
    await this.#forgetSeries();
  }

  /** A file at a time, once nobody reads it any more; what is coarse is kept at least as long as what is fine. */
  async #expireParts(now: number): Promise<void> {
    const { parts, maintenance, exclusive, retentionMs, ...options } = this.#options;
    const minuteMs = Math.max(retentionMs, options.minuteRetentionMs);
    const hourMs = Math.max(minuteMs, options.hourRetentionMs);
    const keptMs: Record<Family, number> = { usage: retentionMs, minute: minuteMs, hour: hourMs, bucket: hourMs };
    const removed = parts.all().filter(({ family, until }) => until <= now - keptMs[family]);
    parts.expireBefore(Math.floor(now - retentionMs));
    await exclusive(async () => {
      for (const table of ['hour', 'bucket'])
        await maintenance.run(`DELETE FROM ${table} WHERE time < ${Math.floor(now - hourMs)}`);
    });
    await this.forget(removed);
  }

  /** Files are removed once nobody reads them any more. */
  async forget(removed: readonly Part[]): Promise<void> {
    const { parts, files, readers, maintenance, exclusive } = this.#options;
    if (removed.length === 0) return;
    await parts.undisturbing();
    await exclusive(() => parts.change(() => maintenance.run(takeOutPartsSql(removed)), { removed }));
    await readers.drained();
    await files.remove(removed);
    await exclusive(async () => void (await maintenance.run(forgetPartsSql(removed))));
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

  async #expireRest(oldest: number, history: ReadonlySet<number>): Promise<void> {
    const { maintenance } = this.#options;
    await maintenance.run(`DELETE FROM usage WHERE time < ${oldest}`);
    // What was marked as from the future is kept from when it came.
    const late = `FROM snapshot WHERE received < ${oldest}`;
    const [[count = 0] = []] = (await maintenance.runAndReadAll(`SELECT count(*)::INTEGER ${late}`)).getRows();
    if ((count as number) > 0)
      await maintenance.run(`DELETE FROM usage WHERE (host, time) IN (SELECT (host, time) ${late})`);
    await maintenance.run(`DELETE FROM snapshot WHERE time < ${oldest} OR received < ${oldest}`);
    for (const table of ['forecast', 'tally']) await maintenance.run(`DELETE FROM ${table} WHERE time < ${oldest}`);
    await this.#forgetHosts(history);
  }

  /** Of those without snapshots; by `history` nothing else is kept of them either. */
  async #forgetHosts(history: ReadonlySet<number>): Promise<void> {
    const { hosts, recent, maintenance, parts } = this.#options;
    if (!parts.isWhole()) return;
    const used = new Set(await this.#hostsWithSnapshots());
    // Of one whose first snapshot could not be stored the next one brings the name along.
    for (const [id] of hosts.fresh()) used.add(id);
    const unused = hosts.ids().filter((id) => !used.has(id) && !history.has(id));
    if (unused.length === 0) return;
    await maintenance.run(`DELETE FROM host WHERE id IN (${unused.join(', ')})`);
    for (const id of unused) {
      hosts.remove(id);
      recent.forget(id);
    }
  }

  async #hostsWithSnapshots(): Promise<number[]> {
    const rows = await this.#options.maintenance.runAndReadAll('SELECT DISTINCT host FROM snapshot');
    return rows.getRows().map(([id]) => id as number);
  }

  /** Hosts that will have only that: asked beside the writing. */
  async #hostsWithHistory(oldest: number): Promise<Set<number>> {
    const { parts, readers, hosts } = this.#options;
    const here = await readers.query(`SELECT DISTINCT host FROM snapshot WHERE time >= ${oldest}`, {
      lane: 'background',
    });
    const now = new Set(here.map(({ host }) => host));
    const candidates = hosts.ids().filter((id) => !now.has(id));
    if (candidates.length === 0) return new Set();
    const of = (family: Family) =>
      `SELECT host FROM ${parts.relation(family, always, { hosts: candidates })} WHERE host IN (${candidates.join(', ')})`;
    const sql = () => `SELECT DISTINCT host FROM (${families.map(of).join(' UNION ALL ')})`;
    const rows = await readers.query(sql, { lane: 'background' });
    return new Set(rows.map(({ host }) => host as number));
  }

  /** Names of what is closed are in many files: they are looked through a few times a day. */
  async findUnusedNames(): Promise<number> {
    const { parts } = this.#options;
    if (!parts.isWhole() || performance.now() - this.#namesAt < namesEveryMs) return 0;
    if (parts.all().length > 0) this.#namesAt = performance.now();
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
