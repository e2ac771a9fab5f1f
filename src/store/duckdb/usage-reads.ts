import { readFile, rm } from 'node:fs/promises';
import { mostNames, refuseTooMany } from '../../core/answer-bounds.ts';
import { binByTime } from '../../core/bin-by-time.ts';
import type { MeanQuery, PageQuery, Reading, Resolution, TimeWindow } from '../../core/store.ts';
import type { RowsWanted, SnapshotKey, UsageRow } from '../../core/usage-row.ts';
import type { UsageTable } from '../../core/usage-table.ts';
import { headersSql, hostsSql, toHeader } from './header-sql.ts';
import type { IdLookup } from './id-lookup.ts';
import { meanSql, toMean } from './mean-sql.ts';
import type { PartFiles } from './part-files.ts';
import { resolutionOf } from './pieces.ts';
import type { Cost, Row } from './readers.ts';
import { TableBuilder } from './table-builder.ts';
import { countSql, detailedSql, type IdFilter, parquetSql, rowsSql, toUsage, windowOfKeys } from './usage-sql.ts';

/** A page is looked for in stretches of time that hold at most so many times its rows. */
const mostSurplus = 4;
/** Rows of one name are looked for in so many of all. */
const firstStretchRows = 200_000;
/** Those of some hosts in as many as have them, if all hosts send alike. */
const mostStretchRows = 2_000_000;

/** Snapshots and the rows of their processes. */
export class UsageReads {
  readonly #lookup: IdLookup;

  constructor(lookup: IdLookup) {
    this.#lookup = lookup;
  }

  async latest(at: number, reading: Reading = {}) {
    const rows = await this.#lookup.readers.query(hostsSql(at), reading);
    const headers = rows.map((row) => toHeader(row, this.#lookup.hosts));
    const byHost = new Map(headers.map((header) => [header.host, header]));
    return [...byHost.values()].sort((a, b) => (a.host < b.host ? -1 : 1));
  }

  async headers(window: TimeWindow, reading: Reading = {}) {
    const rows = await this.#lookup.readers.query(headersSql(window), reading);
    return rows.map((row) => toHeader(row, this.#lookup.hosts));
  }

  async rows(snapshots: readonly SnapshotKey[], wanted: RowsWanted = {}, reading: Reading = {}): Promise<UsageRow[]> {
    const keys = snapshots.flatMap(({ host, time }) => {
      const id = this.#lookup.hosts.find(host);
      return id === undefined ? [] : [{ host: id, time }];
    });
    const rows: Row[] = [];
    // One after the other: all at once they would fill the lane.
    for (const bin of binByTime(keys)) {
      const window = windowOfKeys(bin, wanted.withinMs);
      const hosts = bin.map(({ host }) => host);
      const sql = () => rowsSql(this.#lookup.usage(window, hosts), bin, wanted);
      for (const row of await this.#lookup.readers.query(sql, reading)) rows.push(row);
    }
    const nameOf = await this.#lookup.namesIn(rows, reading);
    return rows.map((row) => toUsage(row, this.#lookup.hosts, nameOf));
  }

  async means(query: MeanQuery, reading: Reading = {}) {
    const cost = this.#lookup.cost(query, reading);
    const filter = await this.#lookup.ids(query, cost);
    if (!filter) return [];
    const sql = () => meanSql(this.#lookup.parts, query, filter, query.top ?? mostNames + 1);
    const rows = await this.#lookup.readers.query(sql, cost);
    refuseTooMany(rows.length);
    const nameOf = await this.#lookup.namesIn(rows, cost);
    return rows.map((row) => toMean(row, nameOf));
  }

  /** Written by DuckDB beside its own files, and read again: it writes Parquet into files alone. */
  async parquet(query: PageQuery, files: PartFiles, reading: Reading = {}): Promise<Uint8Array> {
    const cost = this.#lookup.cost(query, reading);
    const filter = (await this.#lookup.ids(query, cost)) ?? { hosts: [] };
    await files.make();
    const path = files.forAnswer();
    const sql = () => parquetSql(this.#usage(query, filter), query, filter, path);
    try {
      await this.#lookup.readers.query(sql, cost);
      return new Uint8Array(await readFile(path));
    } finally {
      await rm(path, { force: true });
    }
  }

  async resolution(window: TimeWindow, stepMs?: number): Promise<Resolution> {
    return resolutionOf(this.#lookup.parts, window, stepMs);
  }

  async page(query: PageQuery, reading: Reading = {}): Promise<UsageTable> {
    const { limit, skip } = query;
    const isNarrow = query.hosts !== undefined || query.ip !== undefined || query.process !== undefined;
    const all = this.#lookup.counts.rowsIn(query);
    const cost = { ...reading, rows: isNarrow ? all : Math.min(all, mostSurplus * (limit + skip) * 10) };
    const filter = await this.#lookup.ids(query, cost);
    let table = new TableBuilder(0);
    // What was counted may have expired before it is read.
    for (let to = Number.NEGATIVE_INFINITY; filter && table.rows < limit && to < query.to; ) {
      const page = await this.#pageEnd(query, filter, skip + limit, cost);
      to = page.to;
      const most = Math.min(limit, Math.max(0, page.rows - skip));
      table = new TableBuilder(most);
      const stretch = { from: query.from, to };
      const sql = () => detailedSql(this.#usage(stretch, filter), stretch, filter, most, skip);
      await this.#lookup.readers.chunks(sql, cost, (columns) => table.add(columns));
    }
    const nameOf = await this.#lookup.names.of(table.names(), cost);
    return table.build((id) => this.#lookup.hosts.text(id), nameOf);
  }

  #usage(window: TimeWindow, { hosts, partly }: IdFilter): string {
    return this.#lookup.usage(window, partly ? undefined : hosts);
  }

  /** Of how many of all hosts' rows so many of the filter's are expected. */
  #firstRows({ hosts }: IdFilter, rows: number): number {
    const share = hosts === undefined ? 1 : this.#lookup.hosts.ids().length / Math.max(1, hosts.length);
    return Math.max(rows, firstStretchRows, Math.min(rows * share, mostStretchRows));
  }

  /**
   * The end of a stretch from the window's beginning on that has so many rows, and not many more, and how many: of a
   * long window only so much has to be sorted.
   */
  async #pageEnd(
    { from, to }: TimeWindow,
    filter: IdFilter,
    rows: number,
    cost: Cost,
  ): Promise<{ to: number; rows: number }> {
    let [end, found] = [from, 0];
    let length = this.#lookup.counts.stretch({ from, to }, this.#firstRows(filter, rows));
    while (end < to) {
      const next = Math.min(to, end + length);
      const stretch = { from: end, to: next };
      const sql = () => countSql(this.#usage(stretch, filter), stretch, filter);
      const [row] = await this.#lookup.readers.query(sql, cost);
      const count = row?.rows as number;
      if (found + count > mostSurplus * rows && length > 1) length = Math.ceil(length / 4);
      else {
        found += count;
        end = next;
        if (found >= rows) return { to: end, rows: found };
        length *= count * 4 < rows ? 4 : 1;
      }
    }
    return { to, rows: found };
  }
}
