import { refuseTooMany } from '../../core/answer-bounds.ts';
import { binByTime } from '../../core/bin-by-time.ts';
import { meanColumnIds, processColumn, processColumnIds, snakeCase, type UsageMetric } from '../../core/metric.ts';
import type { MeanQuery, MeanRow, PageQuery, Reading, Resolution, TimeWindow, UsageFilter } from '../../core/store.ts';
import { type Above, type RowsWanted, type SnapshotKey, type UsageRow, wantedOf } from '../../core/usage-row.ts';
import { toTable, type UsageTable } from '../../core/usage-table.ts';
import type { Row } from './connection.ts';
import { hourMs, rowsAlone } from './hour-plan.ts';
import type { Hours, Piece } from './hours.ts';
import { namesPerQuery, type Queries } from './queries.ts';
import { numberOf, toUsage } from './rows.ts';
import { type Figure, figureColumn, scaleOf } from './schema.ts';
import { duringBins, isOneOf, literal, number, whole } from './sql-text.ts';

const columns = ['host', 'name', 'time', ...processColumnIds.map(snakeCase)].join(', ');

/** The rows of processes. */
export class UsageReads {
  readonly #queries: Queries;
  readonly #hours: Hours;

  constructor(queries: Queries, hours: Hours) {
    this.#queries = queries;
    this.#hours = hours;
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
    // A roll-up does not say which address its snapshots carried.
    const plan = query.ip === undefined ? await this.#hours.plan(query, query.hosts, reading) : rowsAlone(query);
    const asked = ['host', 'name', ...meanColumnIds.map(snakeCase)];
    const pieces = await this.#hours.pieces(plan, asked, fitting(query), reading);
    const rows = (await this.#queries.all(meansSql(pieces), reading, query)).map(toMean);
    if (query.top === undefined) refuseTooMany(rows.length);
    return rows.sort((a, b) => (b.cpu ?? -1) - (a.cpu ?? -1)).slice(0, query.top);
  }

  async resolution(window: TimeWindow, stepMs = hourMs, reading: Reading = {}): Promise<Resolution> {
    if (stepMs % hourMs !== 0) return 'raw';
    return (await this.#hours.plan(window, undefined, reading)).rolled.length > 0 ? '1h' : 'raw';
  }

  async page(query: PageQuery, reading: Reading = {}): Promise<UsageTable> {
    const limit = Number.isFinite(query.limit) ? `LIMIT ${whole(query.skip)}, ${whole(query.limit)}` : '';
    const sql = `SELECT ${columns} FROM process FINAL WHERE ${where(query, query)} ORDER BY time, host, name ${limit}`;
    return toTable((await this.#queries.all(sql, reading, query)).map(toUsage));
  }
}

function where(window: TimeWindow, filter: UsageFilter): string {
  return `${duringBins(window)} AND ${fitting(filter)}`;
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
  const rows = `SELECT ${columns} FROM process FINAL WHERE ${duringBins(window)} AND ${hosts} AND ${snapshots}`;
  if (above === undefined) return rows;
  const over = aboveSql(above);
  if (withinMs === 0) return `${rows} AND (${over})`;
  return `${rows} AND (host, name) IN (SELECT host, name FROM process WHERE ${duringBins(window)} AND ${hosts} AND (${over}))`;
}

function aboveSql(above: Above): string {
  const levels = Object.entries(above) as [UsageMetric, number][];
  return levels.map(([id, level]) => `${snakeCase(id)} > ${number(level * scaleOf(id))}`).join(' OR ');
}

/** Of each name; by host first: to count different hosts over all rows would cost as much again. */
function meansSql(pieces: readonly Piece[]): string {
  const folded = pieces.map(({ relation, isRolled }) => {
    const figures = meanFigures((id, figure) => (isRolled ? rolledFigure(id, figure) : rowFigure(id, figure)));
    const snapshots = isRolled ? 'sum(snapshots)' : 'toInt64(count())';
    return `SELECT name, host, ${snapshots} AS seen, ${figures} FROM ${relation} GROUP BY name, host`;
  });
  const means = meanColumnIds.map((id) => {
    const column = snakeCase(id);
    const mean = `if(sum(known_${column}) = 0, NULL, sum(sum_${column}) / sum(known_${column}))`;
    return `${isPeak(id) ? `max(most_${column})` : mean} / ${scaleOf(id)} AS mean_${column}`;
  });
  return `SELECT name, ${means.join(', ')}, sum(seen) AS snapshots, uniqExact(host) AS hosts
    FROM (${folded.join(' UNION ALL ')}) GROUP BY name`;
}

const isPeak = (id: UsageMetric) => processColumn(id).overTime === 'peak';

type MeanFigure = Extract<Figure, 'most' | 'sum' | 'known'>;

function meanFigures(sql: (id: UsageMetric, figure: MeanFigure) => string): string {
  const figures = (id: UsageMetric): readonly MeanFigure[] => (isPeak(id) ? ['most'] : ['sum', 'known']);
  return meanColumnIds
    .flatMap((id) => figures(id).map((figure) => `${sql(id, figure)} AS ${figure}_${snakeCase(id)}`))
    .join(', ');
}

function rolledFigure(id: UsageMetric, figure: MeanFigure): string {
  return `${figure === 'most' ? 'max' : 'sum'}(${figureColumn(id, figure)})`;
}

function rowFigure(id: UsageMetric, figure: MeanFigure): string {
  const column = snakeCase(id);
  if (figure === 'known') return `toInt64(count(${column}))`;
  return figure === 'most' ? `max(${column})` : `ifNull(sum(toFloat64(${column})), 0)`;
}

function toMean(row: Row): MeanRow {
  const means = meanColumnIds.map((id) => [id, numberOf(row[`mean_${snakeCase(id)}`])]);
  const counts = { snapshots: Number(row.snapshots), hosts: Number(row.hosts) };
  return { name: row.name, ...Object.fromEntries(means), ...counts } as MeanRow;
}
