import { MonitorError } from '../../core/error.ts';
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
import { statisticsOfSamples } from '../statistics.ts';
import type { IdLookup } from './id-lookup.ts';
import { hourMs } from './layouts.ts';
import { type Piece, piecesOf } from './pieces.ts';
import type { Cost, Row } from './readers.ts';
import { placeOfSketch, sketchError } from './rollup-sql.ts';
import type { StoredColumn } from './series-sql.ts';
import {
  type BucketPiece,
  exactSql,
  type GroupColumn,
  momentsSql,
  type StatisticsFilter,
  sketchedSql,
  valuePieces,
} from './statistics-sql.ts';

/** Of more rows percentiles are told by buckets: to sort them takes memory. */
const mostExactRows = 4_000_000;

const leastSketched = 0.999;

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
    const wanted = { column, filter, by: groupsOf(query.by, column), window: this.#windowOf(query) };
    const isExact = this.#isExact(wanted, cost, query.isExact === true);
    const moments = await this.#moments(wanted, cost);
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

  /** Of what there are no rows of any more, whole hours: buckets are of hours. */
  #windowOf({ from, to }: TimeWindow): TimeWindow {
    if (this.#hasRows({ from, to })) return { from, to };
    return { from: Math.floor((from + 1) / hourMs) * hourMs - 1, to };
  }

  /** Whether the rows of all of it are kept. */
  #hasRows({ from }: TimeWindow): boolean {
    const { parts } = this.#lookup;
    const { usage } = parts.oldest();
    const before = { from, to: usage - 1 };
    return (
      parts.of('minute', before).length + parts.of('hour', before).filter(({ until }) => until <= usage).length === 0
    );
  }

  /** @throws MonitorError `invalid` where it has to be and cannot */
  #isExact({ column, filter, window }: Wanted, { rows = 0 }: Cost, hasToBe: boolean): boolean {
    if (!isUsageMetric(column)) return true;
    const isThere = this.#hasRows(window);
    const some = (rows * filter.hosts.length) / Math.max(1, this.#lookup.hosts.ids().length);
    if (isThere && some <= mostExactRows) return true;
    if (!hasToBe) return false;
    throw new MonitorError(
      'invalid',
      isThere
        ? `exact percentiles are told of at most ${mostExactRows} rows, and the window has about ${Math.round(some)}; choose a shorter window or fewer hosts, or leave out exact=`
        : 'exact percentiles are told of rows, and the window begins before the oldest that are kept; choose a shorter window, or leave out exact=',
    );
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
    const names = await this.#namesFitting(ofProcess, cost);
    return names.length === 0 ? null : { hosts, names };
  }

  async #namesFitting(matchers: Selector['matchers'], cost: Cost): Promise<number[]> {
    const only = exactValue(matchers, 'process');
    if (only !== undefined && matchers.length === 1) {
      const id = await this.#lookup.names.find(only, cost);
      return id === undefined ? [] : [id];
    }
    const ids = (await this.#lookup.readers.query('SELECT id FROM name', cost)).map(({ id }) => id as number);
    const nameOf = await this.#lookup.names.of(ids, cost);
    const byName = new Map(ids.map((id) => [nameOf(id), id]));
    // An expression may take a while for many.
    const series = [...byName.keys()].map((process) => ({ metric: '', labels: { process } }));
    const found = await fitting(filterTest({ matchers }), series, cost.signal);
    return [...found.values()].map(({ labels }) => byName.get(labels.process as string) as number);
  }

  async #moments({ column, filter, by, window }: Wanted, cost: Cost) {
    const sql = () => momentsSql(column, this.#valuePieces(column, window, filter), filter, by);
    const all = new Map<string, { row: Row; moments: Moments }>();
    for (const row of await this.#lookup.readers.query(sql, cost)) {
      const key = keyOf(row, by);
      const moments = momentsOf(row);
      const known = all.get(key)?.moments;
      all.set(key, { row, moments: known === undefined ? moments : addMoments(known, moments) });
    }
    return all;
  }

  #valuePieces(column: StoredColumn, window: TimeWindow, { hosts }: StatisticsFilter) {
    if (!isUsageMetric(column)) return [{ relation: 'snapshot', window, isRolled: false }];
    return valuePieces(piecesOf(this.#lookup.parts, window, { hosts }));
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
  #bucketPieces(window: TimeWindow, { hosts }: StatisticsFilter): BucketPiece[] {
    const { parts } = this.#lookup;
    const pieceOf = ({ relation, window, family }: Piece): BucketPiece[] => {
      if (family === 'hour') return [{ relation: parts.relation('bucket', window, { hosts }), window, isKept: true }];
      const rows = family === 'usage' ? relation : parts.closed('usage', window, { hosts });
      return rows === null ? [] : [{ relation: rows, window, isKept: false }];
    };
    return piecesOf(parts, window, { hosts }).flatMap(pieceOf);
  }

  #labelsOf(row: Row, labels: readonly string[], nameOf: (id: number) => string): Record<string, string> {
    const texts: Record<string, () => string> = {
      host: () => this.#lookup.hosts.text(row.host as number),
      process: () => nameOf(row.name as number),
    };
    return Object.fromEntries(labels.map((label) => [label, texts[label]?.() ?? '']));
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

/** Null where some of the values are in no bucket: their hour has been forgotten. A few more may have come meanwhile. */
function percentilesOf(row: Row | undefined, count: number): Statistics['percentiles'] {
  if (row === undefined || (typeof row.count === 'number' && row.count < leastSketched * count)) return null;
  return Object.fromEntries(percentileNames.map((name) => [name, row[name]])) as Statistics['percentiles'];
}
