import { bucketRatio, sketchError, sketched, valueOfBucket, zeroBucket } from '../../core/bucket.ts';
import { labelTest } from '../../core/label-test.ts';
import { type HostMetric, isUsageMetric, type UsageMetric } from '../../core/metric.ts';
import { familyOf } from '../../core/series.ts';
import {
  labelsOf,
  percentileNames,
  percentileShares,
  type Statistics,
  type StatisticsAnswer,
  type StatisticsQuery,
} from '../../core/statistics.ts';
import type { Reading, Selected, SelectQuery, TimeWindow } from '../../core/store.ts';
import { filterTest, fitting } from '../series-filter.ts';
import {
  mostExactValues,
  mostGroups,
  mostNamesMeant,
  statisticsOfSamples,
  tooManyExact,
  tooManyGroups,
  tooManyNames,
} from '../statistics.ts';
import type { ClickHouseAbout, Row } from './connection.ts';
import type { Queries } from './queries.ts';
import { numberOf } from './rows.ts';
import { packedSince, placeOf } from './schema.ts';
import { during, isOneOf, whole } from './sql-text.ts';
import { UniqueRows } from './unique-rows.ts';

/** The rows that are meant, and what they are taken together by. */
interface Wanted {
  column: UsageMetric | HostMetric;
  rows: string;
  /** Columns of the table. */
  by: readonly string[];
  window: TimeWindow;
}

/** What the values of series come to in a window, by ClickHouse itself. */
export class StatisticsReads {
  readonly #queries: Queries;
  readonly #unique: UniqueRows;
  readonly #select: (query: SelectQuery, reading: Reading) => Promise<Selected[]>;

  constructor(queries: Queries, select: (query: SelectQuery, reading: Reading) => Promise<Selected[]>) {
    this.#queries = queries;
    this.#unique = new UniqueRows(queries);
    this.#select = select;
  }

  async statistics(query: StatisticsQuery, reading: Reading = {}): Promise<StatisticsAnswer> {
    const family = familyOf(query.selector.metric);
    // Labels of other sources are not columns.
    if (family.family === 'metric') return statisticsOfSamples(this.#select, query, reading);
    const { column } = family;
    const condition = await this.#conditionOf(query, column, reading);
    if (condition === null) return { statistics: [], percentileError: 0 };
    const rows = await this.#rowsOf(column, query, condition, reading);
    const wanted = { column, rows, by: groupsOf(query.by, column), window: query };
    const moments = await this.#queries.all(momentsSql(wanted, this.#queries.about), reading, query);
    if (moments.length > mostGroups) throw tooManyGroups();
    const count = moments.reduce((sum, row) => sum + Number(row.count), 0);
    if (count === 0) return { statistics: [], percentileError: 0 };
    const isExact = count <= mostExactValues;
    if (query.isExact && !isExact) throw tooManyExact(count);
    const percentiles = await this.#percentiles(wanted, isExact, reading);
    return {
      statistics: moments.map((row) => told(row, wanted, query.by, percentiles.get(keyOf(row, wanted)))),
      percentileError: isExact ? 0 : sketchError,
    };
  }

  async #rowsOf(column: UsageMetric | HostMetric, window: TimeWindow, condition: string, reading: Reading) {
    const { table, column: name, labels } = placeOf(column);
    const known = `${condition} AND ${name} IS NOT NULL`;
    if (isUsageMetric(column)) return this.#unique.relation([...labels, name], window, known, reading);
    return `${table} FINAL WHERE ${during(window)} AND ${known}`;
  }

  /** Null: nothing that is stored is meant. */
  async #conditionOf(
    { selector, ...window }: StatisticsQuery,
    column: UsageMetric | HostMetric,
    reading: Reading,
  ): Promise<string | null> {
    const { table, labels } = placeOf(column);
    const conditions: string[] = [];
    const names: readonly string[] = labels.map((label) => (label === 'name' ? 'process' : label));
    const others = selector.matchers.filter(({ label }) => !names.includes(label));
    if (!labelTest({ matchers: others })({})) return null;
    for (const [index, label] of names.entries()) {
      const matchers = selector.matchers.filter((matcher) => matcher.label === label);
      if (matchers.length === 0) continue;
      const name = labels[index] as string;
      const sql = `SELECT DISTINCT ${name} AS text FROM ${table} WHERE ${[during(window), ...conditions].join(' AND ')}`;
      const texts = (await this.#queries.all(sql, reading, window)).map(({ text }) => String(text));
      const condition = await this.#oneOf(name, texts, { label, matchers }, reading);
      if (condition === null) return null;
      conditions.push(condition);
    }
    return conditions.length === 0 ? '1' : conditions.join(' AND ');
  }

  /** Written as those that are meant, or as all others, whichever are fewer; null: none is. */
  async #oneOf(
    column: string,
    texts: readonly string[],
    { label, matchers }: { label: string; matchers: StatisticsQuery['selector']['matchers'] },
    reading: Reading,
  ): Promise<string | null> {
    const series = texts.map((text) => ({ metric: '', labels: { [label]: text } }));
    const found = await fitting(filterTest({ matchers }), series, reading.signal);
    const meant = new Set([...found.values()].map(({ labels }) => labels[label] ?? ''));
    if (meant.size === 0) return null;
    const others = texts.filter((text) => !meant.has(text));
    if (Math.min(meant.size, others.length) > mostNamesMeant) throw tooManyNames(meant.size, texts.length);
    return others.length < meant.size ? `NOT (${isOneOf(column, others)})` : isOneOf(column, [...meant]);
  }

  /** By group; empty where nothing tells them. */
  async #percentiles(wanted: Wanted, isExact: boolean, reading: Reading): Promise<Map<string, Row>> {
    const { column, window } = wanted;
    if (!isExact && !(isUsageMetric(column) && sketched.includes(column))) return new Map();
    const sql = isExact ? exactSql(wanted) : sketchedSql(wanted);
    const rows = await this.#queries.all(sql, reading, window);
    const value = (of: Row[string] | undefined) => (isExact ? Number(of) : valueOfBucket(Number(of)));
    return new Map(
      rows.map((row) => [
        keyOf(row, wanted),
        { ...row, ...Object.fromEntries(percentileNames.map((name) => [name, value(row[name])])) },
      ]),
    );
  }
}

function groupsOf(by: readonly string[] | undefined, column: UsageMetric | HostMetric): string[] {
  const { labels } = placeOf(column);
  if (by === undefined) return [...labels];
  return labels.filter((label) => by.includes(label === 'name' ? 'process' : label));
}

function listed({ by }: Wanted): { columns: string; clause: string } {
  return {
    columns: by.map((column) => `${column}, `).join(''),
    clause: by.length === 0 ? '' : `GROUP BY ${by.join(', ')}`,
  };
}

/**
 * `varPop` of 18.16 loses values that are large and close together, and what its `varPopStable` has found on one shard
 * it cannot tell another: there the values themselves are handed over.
 */
function momentsSql(wanted: Wanted, { version, cluster }: ClickHouseAbout): string {
  const { columns, clause } = listed(wanted);
  const { column } = placeOf(wanted.column);
  const isHandedOver = version < packedSince && (cluster?.shards ?? 1) > 1;
  const rows = isHandedOver ? `(SELECT ${columns}${column} FROM ${wanted.rows})` : wanted.rows;
  return `SELECT ${columns}count() AS count, min(${column}) AS min, max(${column}) AS max, avg(${column}) AS mean,
    varPopStable(assumeNotNull(${column})) AS variance FROM ${rows} ${clause} LIMIT ${whole(mostGroups + 1)}`;
}

/** By linear interpolation between the two nearest ranks, as `percentileOf` has it. */
function exactSql(wanted: Wanted): string {
  const { columns, clause } = listed(wanted);
  const told = percentileNames.map((name) => {
    const place = `${percentileShares[name]} * (length(sorted) - 1)`;
    const [below, above] = [`sorted[toUInt64(floor(${place})) + 1]`, `sorted[toUInt64(ceil(${place})) + 1]`];
    return `${below} + (${above} - ${below}) * (${place} - floor(${place})) AS ${name}`;
  });
  return `SELECT ${columns}${told.join(', ')} FROM (SELECT ${columns}arraySort(groupArray(${placeOf(wanted.column).column})) AS sorted
    FROM ${wanted.rows} ${clause})`;
}

/** The buckets that they lie in. */
function sketchedSql(wanted: Wanted): string {
  const { columns, clause } = listed(wanted);
  const value = `assumeNotNull(${placeOf(wanted.column).column})`;
  const bucket = `if(${value} = 0, ${zeroBucket}, toInt32(ceil(log(${value}) / ${Math.log(bucketRatio)})))`;
  const told = percentileNames.map(
    (name) =>
      `buckets[arrayFirstIndex(upto -> upto > ${percentileShares[name]} * (total - 1), arrayCumSum(counts))] AS ${name}`,
  );
  // 18.16 does not see that a function needs the total: it has to be told as well.
  return `SELECT ${columns}total, ${told.join(', ')} FROM (
    SELECT ${columns}sum(own) AS total, arraySort(groupArray(bucket)) AS buckets,
      arraySort((count, of) -> of, groupArray(own), groupArray(bucket)) AS counts
    FROM (SELECT ${columns}${bucket} AS bucket, count() AS own FROM ${wanted.rows} GROUP BY ${columns}bucket) ${clause})`;
}

function keyOf(row: Row, { by }: Wanted): string {
  return JSON.stringify(by.map((column) => row[column]));
}

function told(
  row: Row,
  { column }: Wanted,
  by: readonly string[] | undefined,
  percentiles: Row | undefined,
): Statistics {
  const { scale } = placeOf(column);
  const of = (value: Row[string] | undefined) => (numberOf(value) ?? 0) / scale;
  const own = {
    ...(row.host !== undefined && { host: String(row.host) }),
    ...(row.name !== undefined && { process: String(row.name) }),
  };
  return {
    labels: labelsOf(own, by),
    count: Number(row.count),
    min: of(row.min),
    max: of(row.max),
    mean: of(row.mean),
    deviation: Math.sqrt(Math.max(0, Number(row.variance))) / scale,
    percentiles:
      percentiles === undefined
        ? null
        : (Object.fromEntries(
            percentileNames.map((name) => [name, of(percentiles[name])]),
          ) as Statistics['percentiles']),
  };
}
