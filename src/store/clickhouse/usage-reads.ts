import { refuseTooMany } from '../../core/answer-bounds.ts';
import { binByTime } from '../../core/bin-by-time.ts';
import { meanColumnIds, processColumn, processColumnIds, snakeCase, type UsageMetric } from '../../core/metric.ts';
import type { MeanQuery, MeanRow, PageQuery, Reading, TimeWindow, UsageFilter } from '../../core/store.ts';
import { type Above, type RowsWanted, type SnapshotKey, type UsageRow, wantedOf } from '../../core/usage-row.ts';
import { toTable, type UsageTable } from '../../core/usage-table.ts';
import type { Row } from './connection.ts';
import { namesPerQuery, type Queries } from './queries.ts';
import { numberOf, toUsage } from './rows.ts';
import { scaleOf } from './schema.ts';
import { during, isOneOf, literal, number, whole } from './sql-text.ts';
import { UniqueRows } from './unique-rows.ts';

const columns = ['host', 'name', 'time', ...processColumnIds.map(snakeCase)].join(', ');

/** The rows of processes. */
export class UsageReads {
  readonly #queries: Queries;
  readonly #unique: UniqueRows;

  constructor(queries: Queries) {
    this.#queries = queries;
    this.#unique = new UniqueRows(queries);
  }

  async rows(snapshots: readonly SnapshotKey[], wanted: RowsWanted = {}, reading: Reading = {}): Promise<UsageRow[]> {
    if (wanted.above && Object.keys(wanted.above).length === 0) return [];
    const rows: UsageRow[] = [];
    for (const bin of binByTime(snapshots))
      for (let from = 0; from < bin.length; from += namesPerQuery) {
        const sql = rowsSql(bin.slice(from, from + namesPerQuery), wanted);
        for (const row of await this.#queries.all(sql, reading)) rows.push(toUsage(row));
      }
    // Those that are not above now have been: no others were asked for.
    return wantedOf(rows, wanted, () => true);
  }

  async means(query: MeanQuery, reading: Reading = {}): Promise<MeanRow[]> {
    const asked = ['host', 'name', ...meanColumnIds.map(snakeCase)];
    const relation = await this.#unique.relation(asked, query, fitting(query), reading);
    const sql = `SELECT name, ${meanColumnIds.map(meanSql).join(', ')}, count() AS snapshots, uniqExact(host) AS hosts
      FROM ${relation} GROUP BY name`;
    const rows = (await this.#queries.all(sql, reading, query)).map(toMean);
    if (query.top === undefined) refuseTooMany(rows.length);
    return rows.sort((a, b) => (b.cpu ?? -1) - (a.cpu ?? -1)).slice(0, query.top);
  }

  /** It has nothing but rows. */
  async resolution() {
    return 'raw' as const;
  }

  async page(query: PageQuery, reading: Reading = {}): Promise<UsageTable> {
    const limit = Number.isFinite(query.limit) ? `LIMIT ${whole(query.skip)}, ${whole(query.limit)}` : '';
    const sql = `SELECT ${columns} FROM process FINAL WHERE ${where(query, query)} ORDER BY time, host, name ${limit}`;
    return toTable((await this.#queries.all(sql, reading, query)).map(toUsage));
  }
}

function where(window: TimeWindow, filter: UsageFilter): string {
  return `${during(window)} AND ${fitting(filter)}`;
}

function fitting({ hosts, process, ip }: UsageFilter): string {
  const conditions = [
    hosts === undefined ? '' : isOneOf('host', hosts),
    process === undefined ? '' : `name = ${literal(process)}`,
    ip === undefined ? '' : `ip = ${literal(ip)}`,
  ];
  return conditions.filter(Boolean).join(' AND ') || '1';
}

function rowsSql(keys: readonly SnapshotKey[], { above, withinMs = 0 }: RowsWanted): string {
  const times = keys.map(({ time }) => time);
  const window = { from: Math.min(...times) - 1 - withinMs, to: Math.max(...times) };
  const hosts = isOneOf('host', [...new Set(keys.map(({ host }) => host))]);
  const snapshots = `(host, time) IN (${keys.map(({ host, time }) => `(${literal(host)}, ${whole(time)})`).join(', ')})`;
  const rows = `SELECT ${columns} FROM process FINAL WHERE ${during(window)} AND ${hosts} AND ${snapshots}`;
  if (above === undefined) return rows;
  const over = aboveSql(above);
  if (withinMs === 0) return `${rows} AND (${over})`;
  return `${rows} AND (host, name) IN (SELECT host, name FROM process WHERE ${during(window)} AND ${hosts} AND (${over}))`;
}

function aboveSql(above: Above): string {
  const levels = Object.entries(above) as [UsageMetric, number][];
  return levels.map(([id, level]) => `${snakeCase(id)} > ${number(level * scaleOf(id))}`).join(' OR ');
}

function meanSql(id: UsageMetric): string {
  const aggregate = processColumn(id).overTime === 'peak' ? 'max' : 'avg';
  return `${aggregate}(${snakeCase(id)}) / ${scaleOf(id)} AS mean_${snakeCase(id)}`;
}

function toMean(row: Row): MeanRow {
  const means = meanColumnIds.map((id) => [id, numberOf(row[`mean_${snakeCase(id)}`])]);
  const counts = { snapshots: Number(row.snapshots), hosts: Number(row.hosts) };
  return { name: row.name, ...Object.fromEntries(means), ...counts } as MeanRow;
}
