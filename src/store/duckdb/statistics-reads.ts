import { sketchError } from '../../core/bucket.ts';
import { exactValue, labelTest } from '../../core/label-test.ts';
import { isUsageMetric } from '../../core/metric.ts';
import type { Selector } from '../../core/selector.ts';
import { familyOf } from '../../core/series.ts';
import {
  addMoments,
  deviationOf,
  type Moments,
  percentileNames,
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
import type { IdLookup } from './id-lookup.ts';
import { hourMs } from './layouts.ts';
import { isRolled, type Piece, piecesOf } from './pieces.ts';
import type { Cost, Row } from './readers.ts';
import { placeOfSketch } from './rollup-sql.ts';
import type { StoredColumn } from './series-sql.ts';
import {
  exactSql,
  type GroupColumn,
  momentsSql,
  type StatisticsFilter,
  sketchedSql,
  type ValuePiece,
} from './statistics-sql.ts';
import { where } from './usage-sql.ts';

/** Percentiles of whole hours stand for a window that has at most so many values more, or less: some come meanwhile. */
const sketchedShares = { least: 0.999, most: 1.2 };

type Select = (query: SelectQuery, reading: Reading) => Promise<Selected[]>;

interface Wanted {
  column: StoredColumn;
  filter: StatisticsFilter;
  by: readonly GroupColumn[];
  window: TimeWindow;
}

/** What the values of series come to in a window. */
export class StatisticsReads {
  readonly #lookup: IdLookup;
  readonly #select: Select;

  constructor(lookup: IdLookup, select: Select) {
    this.#lookup = lookup;
    this.#select = select;
  }

  async statistics(query: StatisticsQuery, reading: Reading = {}): Promise<StatisticsAnswer> {
    const family = familyOf(query.selector.metric);
    // Labels of other sources are not columns.
    if (family.family === 'metric') return statisticsOfSamples(this.#select, query, reading);
    const { column } = family;
    const cost = this.#lookup.costOf(column, this.#lookup.cost(query, reading));
    const filter = await this.#filterOf(query.selector, column, cost);
    if (filter === null) return { statistics: [], percentileError: 0 };
    const { from, to } = query;
    const wanted = { column, filter, by: groupsOf(query.by, column), window: { from, to } };
    const moments = await this.#moments(wanted, cost);
    if (moments.size === 0) return { statistics: [], percentileError: 0 };
    const isExact = await this.#isExact(wanted, moments.values(), query.isExact === true, cost);
    const percentiles = await this.#percentiles(wanted, isExact, cost);
    const nameOf = await this.#lookup.namesIn(
      [...moments.values()].map(({ row }) => row),
      cost,
    );
    const statistics = [...moments].map(([key, { row, moments }]): Statistics => {
      const { squares: _, ...told } = moments;
      return {
        labels: this.#labelsOf(row, query.by ?? ownLabels(column), nameOf),
        ...told,
        deviation: deviationOf(moments),
        percentiles: percentilesOf(percentiles.get(key), moments.count),
      };
    });
    return { statistics, percentileError: isExact ? 0 : sketchError };
  }

  /** Whether the rows of all of it are kept: of what is older only roll-ups know. */
  async #hasRows({ from }: TimeWindow, cost: Cost): Promise<boolean> {
    const { parts, readers } = this.#lookup;
    const { usage } = parts.oldest();
    if (parts.all().length === 0 || from + 1 >= usage) return true;
    const before = { from: from - hourMs, to: usage - 1 };
    const sql = () => `SELECT 1 FROM ${parts.relation('hour', before)} WHERE ${where(before, {})} LIMIT 1`;
    return (await readers.query(sql, cost)).length === 0;
  }

  /** @throws MonitorError `invalid` where it has to be and cannot */
  async #isExact(
    { column, window }: Wanted,
    groups: Iterable<{ moments: Moments }>,
    hasToBe: boolean,
    cost: Cost,
  ): Promise<boolean> {
    let rows = 0;
    for (const { moments } of groups) rows += moments.count;
    const isThere = !isUsageMetric(column) || (await this.#hasRows(window, cost));
    if (isThere && rows <= mostExactValues) return true;
    if (!hasToBe) return false;
    if (isThere) throw tooManyExact(rows);
    throw noRowsLeft();
  }

  /** Null: nothing that is stored is meant. */
  async #filterOf({ matchers }: Selector, column: StoredColumn, cost: Cost): Promise<StatisticsFilter | null> {
    const [ofHost, ofProcess] = [
      matchers.filter(({ label }) => label === 'host'),
      matchers.filter(({ label }) => label === 'process'),
    ];
    const fits = labelTest({ matchers: matchers.filter(({ label }) => label !== 'host' && label !== 'process') });
    const fitsHost = labelTest({ matchers: ofHost });
    const hosts = this.#lookup.hosts.ids().filter((id) => fitsHost({ host: this.#lookup.hosts.text(id) }));
    if (hosts.length === 0 || !fits({})) return null;
    if (!isUsageMetric(column)) return labelTest({ matchers: ofProcess })({}) ? { hosts } : null;
    if (ofProcess.length === 0) return { hosts };
    const only = exactValue(matchers, 'process');
    if (only === undefined || ofProcess.length > 1) return this.#filterOfNames(hosts, ofProcess, cost);
    const id = await this.#lookup.names.find(only, cost);
    return id === undefined ? null : { hosts, names: [id] };
  }

  /** Written as those that are meant, or as all others, whichever are fewer. */
  async #filterOfNames(
    hosts: readonly number[],
    matchers: Selector['matchers'],
    cost: Cost,
  ): Promise<StatisticsFilter | null> {
    const ids = (await this.#lookup.readers.query('SELECT id FROM name', cost)).map(({ id }) => id as number);
    const nameOf = await this.#lookup.names.of(ids, cost);
    const byName = new Map(ids.map((id) => [nameOf(id), id]));
    // An expression may take a while for many.
    const series = [...byName.keys()].map((process) => ({ metric: '', labels: { process } }));
    const found = await fitting(filterTest({ matchers }), series, cost.signal);
    const names = new Set([...found.values()].map(({ labels }) => byName.get(labels.process as string) as number));
    const others = ids.filter((id) => !names.has(id));
    if (Math.min(names.size, others.length) > mostNamesMeant) throw tooManyNames(names.size, ids.length);
    if (names.size === 0) return null;
    return others.length < names.size ? { hosts, exceptNames: others } : { hosts, names: [...names] };
  }

  async #moments({ column, filter, by, window }: Wanted, cost: Cost) {
    const sql = () => {
      const pieces = this.#valuePieces(column, window, filter);
      return `${momentsSql(column, pieces, filter, by)} LIMIT ${mostGroups * pieces.length + 1}`;
    };
    const all = new Map<string, { row: Row; moments: Moments }>();
    for (const row of await this.#lookup.readers.query(sql, cost)) {
      const key = keyOf(row, by);
      const moments = momentsOf(row);
      const known = all.get(key)?.moments;
      all.set(key, { row, moments: known === undefined ? moments : addMoments(known, moments) });
    }
    if (all.size > mostGroups) throw tooManyGroups();
    return all;
  }

  #valuePieces(column: StoredColumn, window: TimeWindow, { hosts }: StatisticsFilter): ValuePiece[] {
    if (!isUsageMetric(column)) return [{ relation: 'snapshot', window, isRolled: false }];
    return piecesOf(this.#lookup.parts, window, { hosts }).map((piece) => ({ ...piece, isRolled: isRolled(piece) }));
  }

  /** By group; a group without is not there. */
  async #percentiles({ column, filter, by, window }: Wanted, isExact: boolean, cost: Cost): Promise<Map<string, Row>> {
    if (!isExact && (!isUsageMetric(column) || placeOfSketch(column) < 0)) return new Map();
    const sql = () => {
      if (isUsageMetric(column) && !isExact) return sketchedSql(column, this.#bucketPieces(window, filter), filter, by);
      const relation = isUsageMetric(column) ? this.#lookup.usage(window, filter.hosts) : 'snapshot';
      return exactSql(column, relation, window, filter, by);
    };
    const rows = await this.#lookup.readers.query(sql, cost);
    return new Map(rows.map((row) => [keyOf(row, by), row]));
  }

  /** Hours that are closed have buckets; of all else the rows are put into them. */
  #bucketPieces(window: TimeWindow, { hosts }: StatisticsFilter): ValuePiece[] {
    const { parts } = this.#lookup;
    const pieceOf = ({ relation, window, family }: Piece): ValuePiece[] => {
      if (family === 'hour') return [{ relation: parts.relation('bucket', window, { hosts }), window, isRolled: true }];
      const rows = family === 'usage' ? relation : parts.closed('usage', window, { hosts });
      return rows === null ? [] : [{ relation: rows, window, isRolled: false }];
    };
    return piecesOf(parts, this.#wholeHours(window), { hosts }).flatMap(pieceOf);
  }

  /** Where there are no rows of an edge any more, the hour that it lies in: buckets are of hours. */
  #wholeHours({ from, to }: TimeWindow): TimeWindow {
    const { usage } = this.#lookup.parts.oldest();
    return {
      from: from + 1 < usage ? Math.floor((from + 1) / hourMs) * hourMs - 1 : from,
      to: to + 1 < usage ? Math.ceil((to + 1) / hourMs) * hourMs - 1 : to,
    };
  }

  #labelsOf(row: Row, labels: readonly string[], nameOf: (id: number) => string): Record<string, string> {
    const textOf = (label: string) => {
      if (label === 'host') return this.#lookup.hosts.text(row.host as number);
      return label === 'process' && row.name !== undefined ? nameOf(row.name as number) : '';
    };
    return Object.fromEntries(labels.map((label) => [label, textOf(label)]));
  }
}

function ownLabels(column: StoredColumn): string[] {
  return isUsageMetric(column) ? ['host', 'process'] : ['host'];
}

function groupsOf(by: readonly string[] | undefined, column: StoredColumn): GroupColumn[] {
  const labels = (by ?? ownLabels(column)).filter((label) => ownLabels(column).includes(label));
  return [...new Set(labels)].map((label) => (label === 'process' ? 'name' : 'host'));
}

function keyOf(row: Row, by: readonly GroupColumn[]): string {
  return by.map((column) => row[column]).join(' ');
}

function momentsOf({ count, min, max, mean, squares }: Row): Moments {
  return { count, min, max, mean, squares } as Moments;
}

/** Null where they are not those of the window: of some of it neither rows nor buckets are kept. */
function percentilesOf(row: Row | undefined, count: number): Statistics['percentiles'] {
  const told = Number(row?.count ?? 0);
  if (row === undefined || told < sketchedShares.least * count || told > sketchedShares.most * count) return null;
  return Object.fromEntries(percentileNames.map((name) => [name, row[name]])) as Statistics['percentiles'];
}
