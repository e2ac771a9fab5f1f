import { sketchError, sketched, valueOfBucket } from '../../core/bucket.ts';
import { exactValue, labelTest } from '../../core/label-test.ts';
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
  noRowsLeft,
  statisticsOfSamples,
  tooManyExact,
  tooManyGroups,
  tooManyNames,
} from '../statistics.ts';
import type { ClickHouseAbout, Row } from './connection.ts';
import { type HourPlan, rowsAlone } from './hour-plan.ts';
import { bucketSql } from './hour-sql.ts';
import type { Hours, Piece } from './hours.ts';
import type { Queries } from './queries.ts';
import { numberOf } from './rows.ts';
import { bucketColumns, type Figure, figureColumn, placeOf } from './schema.ts';
import { during, duringBins, isOneOf, whole } from './sql-text.ts';
import { handedOver } from './unique-rows.ts';

/** Which values are meant, and what they are taken together by. */
interface Wanted {
  column: UsageMetric | HostMetric;
  condition: string;
  plan: HourPlan;
  /** Columns of the table. */
  by: readonly string[];
  window: TimeWindow;
}

/** What the values of series come to in a window, by ClickHouse itself. */
export class StatisticsReads {
  readonly #queries: Queries;
  readonly #hours: Hours;
  readonly #select: (query: SelectQuery, reading: Reading) => Promise<Selected[]>;

  constructor(queries: Queries, hours: Hours, select: (query: SelectQuery, reading: Reading) => Promise<Selected[]>) {
    this.#queries = queries;
    this.#hours = hours;
    this.#select = select;
  }

  async statistics(query: StatisticsQuery, reading: Reading = {}): Promise<StatisticsAnswer> {
    const family = familyOf(query.selector.metric);
    // Labels of other sources are not columns.
    if (family.family === 'metric') return statisticsOfSamples(this.#select, query, reading);
    const { column } = family;
    const window = { from: query.from, to: query.to };
    const plan = await this.#planOf(query, column, reading);
    const condition = await this.#conditionOf(query, column, plan, reading);
    if (condition === null) return { statistics: [], percentileError: 0 };
    const wanted = { column, condition, plan, by: groupsOf(query.by, column), window };
    const sql = momentsSql(wanted, await this.#pieces(wanted, plan, reading), this.#queries.about);
    const moments = await this.#queries.all(sql, reading, query);
    if (moments.length > mostGroups) throw tooManyGroups();
    const count = moments.reduce((sum, row) => sum + Number(row.count), 0);
    if (count === 0) return { statistics: [], percentileError: 0 };
    const isExact = count <= mostExactValues && !plan.areAlone;
    if (query.isExact && !isExact) throw plan.areAlone ? noRowsLeft() : tooManyExact(count);
    const percentiles = await this.#percentiles(wanted, isExact, reading);
    return {
      statistics: moments.map((row) => told(row, wanted, query.by, percentiles.get(keyOf(row, wanted)))),
      percentileError: isExact ? 0 : sketchError,
    };
  }

  async #planOf(
    { selector, from, to }: StatisticsQuery,
    column: UsageMetric | HostMetric,
    reading: Reading,
  ): Promise<HourPlan> {
    if (!isUsageMetric(column)) return rowsAlone({ from, to });
    const host = exactValue(selector.matchers, 'host');
    return this.#hours.plan({ from, to }, host === undefined ? undefined : [host], reading);
  }

  /** Of values that are known. */
  async #pieces({ column, condition, window }: Wanted, plan: HourPlan, reading: Reading): Promise<Piece[]> {
    const { table, column: name, labels } = placeOf(column);
    const ofRows = `${condition} AND ${name} IS NOT NULL`;
    if (!isUsageMetric(column))
      return [{ relation: `${table} FINAL WHERE ${duringBins(window)} AND ${ofRows}`, isRolled: false }];
    const ofHours = `${condition} AND ${figureColumn(column, 'known')} > 0`;
    return this.#hours.pieces(plan, [...labels, name], ofHours, reading, ofRows);
  }

  /** Null: nothing that is stored is meant. */
  async #conditionOf(
    { selector, ...window }: StatisticsQuery,
    column: UsageMetric | HostMetric,
    plan: HourPlan,
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
      const namesSql = (from: string, condition: string) =>
        `SELECT ${name} AS text FROM ${from} WHERE ${[condition, ...conditions].join(' AND ')}`;
      const all = [
        ...plan.rows.map((each) => namesSql(table, duringBins(each))),
        ...plan.rolled.map((each) => namesSql('process_hour', during(each))),
      ].join(' UNION ALL ');
      const sql = `SELECT DISTINCT text FROM (${all})`;
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
    const { column, window, plan } = wanted;
    if (!isExact && !(isUsageMetric(column) && sketched.includes(column))) return new Map();
    const pieces = await this.#pieces(wanted, isExact ? rowsAlone(window) : plan, reading);
    const sql = isExact ? exactSql(wanted, pieces) : sketchedSql(wanted, pieces);
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

function listed({ by }: Pick<Wanted, 'by'>): { columns: string; clause: string } {
  return {
    columns: by.map((column) => `${column}, `).join(''),
    clause: by.length === 0 ? '' : `GROUP BY ${by.join(', ')}`,
  };
}

/** Of each group; of roll-ups by the spread within each and that of their means. A part without values says nothing. */
function momentsSql({ column, by }: Wanted, pieces: readonly Piece[], about: ClickHouseAbout): string {
  const { columns, clause } = listed({ by });
  const folded = pieces.map(({ relation, isRolled }) =>
    isRolled ? rolledMoments(column as UsageMetric, columns, relation) : rowMoments(column, by, relation, about),
  );
  return `SELECT ${columns}total AS count, min, max, mean,
      (spread + arraySum((n, middle) -> n * (middle - mean) * (middle - mean), counts, middles)) / total AS variance
    FROM (SELECT ${columns}sum(n) AS total, min(least) AS min, max(most) AS max, sum(n * middle) / sum(n) AS mean,
        sum(within) AS spread, groupArray(n) AS counts, groupArray(middle) AS middles
      FROM (${folded.join(' UNION ALL ')}) WHERE n > 0 ${clause} LIMIT ${whole(mostGroups + 1)})`;
}

/** `varPop` of 18.16 loses values that are large and close together. */
function rowMoments(
  metric: UsageMetric | HostMetric,
  by: readonly string[],
  relation: string,
  about: ClickHouseAbout,
): string {
  const { columns, clause } = listed({ by });
  const { column } = placeOf(metric);
  const value = `assumeNotNull(${column})`;
  return `SELECT ${columns}toFloat64(count()) AS n, toFloat64(min(${value})) AS least, toFloat64(max(${value})) AS most,
      avg(${value}) AS middle, varPopStable(${value}) * count() AS within
    FROM ${handedOver(relation, [...by, column], about)} ${clause}`;
}

function rolledMoments(metric: UsageMetric, columns: string, relation: string): string {
  const of = (figure: Figure) => `assumeNotNull(${figureColumn(metric, figure)})`;
  return `SELECT ${columns}toFloat64(${of('known')}) AS n, toFloat64(${of('least')}) AS least, toFloat64(${of('most')}) AS most,
      ${of('sum')} / ${of('known')} AS middle, ${of('spread')} AS within FROM ${relation}`;
}

/** By linear interpolation between the two nearest ranks, as `percentileOf` has it. */
function exactSql(wanted: Wanted, pieces: readonly Piece[]): string {
  const { columns, clause } = listed(wanted);
  const { column } = placeOf(wanted.column);
  const told = percentileNames.map((name) => {
    const place = `${percentileShares[name]} * (length(sorted) - 1)`;
    const [below, above] = [`sorted[toUInt64(floor(${place})) + 1]`, `sorted[toUInt64(ceil(${place})) + 1]`];
    return `${below} + (${above} - ${below}) * (${place} - floor(${place})) AS ${name}`;
  });
  const [rows] = pieces.map(({ relation }) => relation);
  return `SELECT ${columns}${told.join(', ')}
    FROM (SELECT ${columns}arraySort(groupArray(${column})) AS sorted FROM ${rows} ${clause})`;
}

/** The buckets that they lie in. */
function sketchedSql(wanted: Wanted, pieces: readonly Piece[]): string {
  const { columns, clause } = listed(wanted);
  const id = wanted.column as UsageMetric;
  const counted = pieces.map(({ relation, isRolled }) => {
    if (isRolled) {
      const { buckets, counts } = bucketColumns(id);
      return `SELECT ${columns}${buckets} AS buckets, ${counts} AS counts FROM ${relation}`;
    }
    const bucket = bucketSql(`assumeNotNull(${placeOf(id).column})`);
    return `SELECT ${columns}groupArray(bucket) AS buckets, groupArray(own) AS counts
      FROM (SELECT ${columns}${bucket} AS bucket, count() AS own FROM ${relation} GROUP BY ${columns}bucket) ${clause}`;
  });
  const told = percentileNames.map(
    (name) =>
      `tupleElement(all, 1)[arrayFirstIndex(upto -> upto > ${percentileShares[name]} * (total - 1), arrayCumSum(tupleElement(all, 2)))] AS ${name}`,
  );
  // 18.16 does not see that a function needs the total: it has to be told as well.
  return `SELECT ${columns}total, ${told.join(', ')} FROM (
    SELECT ${columns}sumMap(buckets, counts) AS all, sum(arraySum(counts)) AS total
    FROM (${counted.join(' UNION ALL ')}) ${clause})`;
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
