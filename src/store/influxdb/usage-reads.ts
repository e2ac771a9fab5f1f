import { refuseTooMany } from '../../core/answer-bounds.ts';
import { binByTime } from '../../core/bin-by-time.ts';
import type { MeanQuery, PageQuery, Reading, TimeWindow, UsageFilter } from '../../core/store.ts';
import {
  byTimeHostName,
  nameKey,
  type RowsWanted,
  type SnapshotKey,
  snapshotKey,
  type UsageRow,
  wantedOf,
} from '../../core/usage-row.ts';
import { toTable, type UsageTable } from '../../core/usage-table.ts';
import type { Row } from './connection.ts';
import type { MeanReads } from './mean-reads.ts';
import { decodeName } from './name-codec.ts';
import { toUsage } from './points.ts';
import { type Queries, seriesPerQuery } from './queries.ts';
import {
  addressStatements,
  detailedStatement,
  namesRowsStatement,
  type PointFilter,
  rowsStatement,
} from './statements.ts';

/** The rows of processes. */
export class UsageReads {
  readonly #queries: Queries;
  readonly #means: MeanReads;

  constructor(queries: Queries, means: MeanReads) {
    this.#queries = queries;
    this.#means = means;
  }

  async rows(snapshots: readonly SnapshotKey[], wanted: RowsWanted = {}, reading: Reading = {}) {
    if (wanted.above && Object.keys(wanted.above).length === 0) return [];
    const keys = new Set(snapshots.map(snapshotKey));
    const rows: UsageRow[] = [];
    const wasAbove = new Set<string>();
    for (const bin of binByTime(snapshots)) {
      const found = (await this.#queries.one(rowsStatement(bin, wanted.above, wanted.withinMs), reading)).map(toUsage);
      const now = found.filter((row) => keys.has(snapshotKey(row)));
      const held = wanted.withinMs === undefined ? [] : await this.#rowsNow(found, now, bin, reading);
      for (const row of [...now, ...held]) rows.push(row);
      for (const row of held) wasAbove.add(nameKey(row));
    }
    return wantedOf(
      rows.filter((row) => keys.has(snapshotKey(row))),
      wanted,
      (row) => wasAbove.has(nameKey(row)),
    );
  }

  /** The rows of those that were found before these snapshots, and not in them. */
  async #rowsNow(
    found: readonly UsageRow[],
    now: readonly UsageRow[],
    snapshots: readonly SnapshotKey[],
    reading: Reading,
  ): Promise<UsageRow[]> {
    const known = new Set(now.map(nameKey));
    const hosts = new Set(snapshots.map(({ host }) => host));
    const before = found.filter((row) => hosts.has(row.host) && !known.has(nameKey(row)));
    const names = [...new Map(before.map((row) => [nameKey(row), { host: row.host, process: row.name }])).values()];
    const times = snapshots.map(({ time }) => time);
    const window = { from: Math.min(...times) - 1, to: Math.max(...times) };
    const rows: UsageRow[] = [];
    for (let from = 0; from < names.length; from += seriesPerQuery) {
      const statement = namesRowsStatement(names.slice(from, from + seriesPerQuery), window);
      for (const row of await this.#queries.one(statement, reading)) rows.push(toUsage(row));
    }
    return rows;
  }

  async means(query: MeanQuery, reading: Reading = {}) {
    const filter = await this.#filterOf(query, reading);
    if (filter === null) return [];
    const rows = await this.#means.means(query, filter, reading);
    if (query.top === undefined) refuseTooMany(rows.length);
    return rows.sort((a, b) => (b.cpu ?? -1) - (a.cpu ?? -1)).slice(0, query.top);
  }

  /** What it has rolled up tells of every row. */
  async resolution() {
    return 'raw' as const;
  }

  async page(query: PageQuery, reading: Reading = {}): Promise<UsageTable> {
    const filter = await this.#filterOf(query, reading);
    if (filter === null) return toTable([]);
    const end = query.skip + query.limit;
    const [raw = []] = await this.#queries.all([detailedStatement(query, filter, end)], reading, query);
    const rows = await this.#completeLastInstant(raw.map(toUsage), filter, end, reading);
    return toTable(rows.sort(byTimeHostName).slice(query.skip, end));
  }

  /** InfluxDB gives the rows of one instant in any order: for pages that join up, the one cut off is read whole. */
  async #completeLastInstant(
    rows: UsageRow[],
    filter: PointFilter,
    end: number,
    reading: Reading,
  ): Promise<UsageRow[]> {
    const last = rows.at(-1)?.time;
    if (last === undefined || rows.length < end) return rows;
    const whole = await this.#queries.one(detailedStatement({ from: last - 1, to: last }, filter, Infinity), reading);
    return [...rows.filter((row) => row.time < last), ...whole.map(toUsage)];
  }

  /**
   * Which points a query is about; null: none. Nearly always a host has one address in the whole window, and then
   * its name says all, also of points of before they carried the address.
   */
  async #filterOf(
    { ip, hosts, process, ...window }: UsageFilter & TimeWindow,
    reading: Reading,
  ): Promise<PointFilter | null> {
    const rest = process === undefined ? {} : { process };
    if (hosts?.length === 0) return null;
    await this.#queries.ready(reading.signal);
    if (ip === undefined) return { ...rest, ...(hosts && { hosts }) };
    const [having = [], all = []] = await this.#queries.all(addressStatements(window, ip, hosts), reading, window);
    const [carried, total] = [snapshotCounts(having), snapshotCounts(all)];
    const partly = new Set(
      [...carried].filter(([name, count]) => count < (total.get(name) ?? 0)).map(([name]) => name),
    );
    const names = [...carried.keys()];
    if (names.length === 0) return null;
    return {
      ...rest,
      ip,
      hosts: names.filter((name) => !partly.has(name)).map(decodeName),
      partly: names.filter((name) => partly.has(name)).map(decodeName),
    };
  }
}

/** Of each host; its series stand in more than one measurement. */
function snapshotCounts(rows: readonly Row[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { host, snapshots } of rows) counts.set(String(host), (counts.get(String(host)) ?? 0) + Number(snapshots));
  return counts;
}
