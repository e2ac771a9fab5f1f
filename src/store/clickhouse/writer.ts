import { dayOf } from '../../core/clock.ts';
import type { DurableLog } from '../../core/log.ts';
import type { MetricSample } from '../../core/sample.ts';
import type { Snapshot } from '../../core/snapshot.ts';
import type { Appended, Records, TimeWindow } from '../../core/store.ts';
import { groupBy } from '../../platform/group-by.ts';
import { GroupCommit } from '../group-commit.ts';
import { KnownNames, type NewNames } from '../known-names.ts';
import { seriesPerDay } from '../name-budget.ts';
import type { Preparation } from '../preparation.ts';
import type { ClickHouseConnection } from './connection.ts';
import { InsertPace } from './insert-pace.ts';
import { rowBinary, type Value } from './row-binary.ts';
import { forecastRow, newestRows, processRows, sampleRow, snapshotRow, tallyRow } from './rows.ts';
import {
  forecastTable,
  newestTable,
  newNamesTable,
  processTable,
  sampleTable,
  snapshotTable,
  type Table,
  tallyTable,
} from './schema.ts';
import { during, literal } from './sql-text.ts';

/** A row as values and then as bytes, in memory. */
const rowBytes = 300;
/** Bytes in one insert, and bytes waiting, at most: each insert is a part that ClickHouse has to merge. */
const limits = { group: 100_000 * rowBytes, queue: 128 * 1024 ** 2 };
/** In one insert, of samples. */
const samplesAtOnce = 50_000;

export interface WriterOptions {
  newNamesPerDay: number;
  newSeriesPerDay: number;
  insertEveryMs: number;
  now: () => number;
  warn: (message: string) => void;
  connection: ClickHouseConnection;
  preparation: Preparation;
}

/** Writes all there is to write. */
export class Writer {
  readonly #options: WriterOptions;
  readonly #commit: DurableLog<Snapshot>;
  readonly #pace: InsertPace;
  /** Process names by host, and series of other sources by whom they are of. */
  readonly #names: KnownNames;
  readonly #series: KnownNames;

  constructor(options: WriterOptions) {
    const { newNamesPerDay, now, warn } = options;
    this.#options = options;
    this.#names = new KnownNames({
      namesOf: (host) => this.#texts(`SELECT DISTINCT name AS text FROM process WHERE host = ${literal(host)}`),
      countIn: (host, window) => this.#newNames('process', host, window),
      perDay: () => newNamesPerDay,
      now,
      warn,
    });
    this.#series = new KnownNames({
      namesOf: (owner) => this.#texts(`SELECT DISTINCT series AS text FROM sample WHERE owner = ${literal(owner)}`),
      countIn: (owner, window) => this.#newNames('series', owner, window),
      perDay: seriesPerDay(options),
      now,
      warn,
    });
    const bytesOf = (snapshot: Snapshot) => (snapshot.processes.name.length + 1) * rowBytes;
    this.#pace = new InsertPace(options.insertEveryMs);
    const turn = () => this.#pace.turn();
    this.#commit = new GroupCommit((group) => this.#write(group), bytesOf, { ...limits, turn });
  }

  async append({ snapshots = [], samples = [], forecasts = [], accuracy }: Records): Promise<Appended> {
    await this.#options.preparation.once();
    if (snapshots.length > 0) this.#pace.arrived();
    for (const snapshot of snapshots) await this.#names.admitNames(snapshot);
    await this.#commit.addAll(snapshots);
    const beyondBudget = await this.#appendSamples(samples);
    await this.#insert(forecastTable, forecasts.map(forecastRow));
    await this.#insert(tallyTable, (accuracy?.tallies ?? []).map(tallyRow));
    return { refused: [], beyondBudget };
  }

  /** Resolves once what waits is written. */
  async close(): Promise<void> {
    await this.#commit.exclusive(async () => undefined);
  }

  /** The header comes after its rows: where it is, they are. That it is the newest is said of what is there. */
  async #write(group: readonly Snapshot[]): Promise<void> {
    await this.#options.preparation.once();
    const { counts, settle } = this.#names.countsOf(group.map(({ host }) => host));
    await this.#insert(newNamesTable, counts.map(newNamesRow('process')));
    await this.#insert(processTable, group.flatMap(processRows));
    await this.#insert(snapshotTable, group.map(snapshotRow));
    await this.#insert(newestTable, newestRows(group));
    settle();
  }

  async #appendSamples(samples: readonly MetricSample[]): Promise<MetricSample[]> {
    const { admitted, beyondBudget } = await this.#series.admitSamples(samples);
    const { counts, settle } = this.#series.countsOf(admitted.map(({ owner }) => owner));
    await this.#insert(newNamesTable, counts.map(newNamesRow('series')));
    for (let from = 0; from < admitted.length; from += samplesAtOnce)
      await this.#insert(sampleTable, admitted.slice(from, from + samplesAtOnce).map(sampleRow));
    settle();
    return beyondBudget;
  }

  async #insert(table: Table, rows: readonly Value[][]): Promise<void> {
    const columns = table.columns.filter(({ made }) => made === undefined);
    const names = columns.map(({ name }) => name);
    for (const some of withinDays(table, rows))
      await this.#options.connection.insert(table.name, names, rowBinary(columns, some));
  }

  async #texts(sql: string): Promise<string[]> {
    return (await this.#options.connection.query(sql)).map(({ text }) => String(text));
  }

  async #newNames(kind: 'process' | 'series', owner: string, window: TimeWindow): Promise<number> {
    const sql = `SELECT max(names) AS names FROM new_names
      WHERE kind = '${kind}' AND owner = ${literal(owner)} AND ${during(window)}`;
    return Number((await this.#options.connection.query(sql))[0]?.names ?? 0);
  }
}

function newNamesRow(kind: 'process' | 'series'): (count: NewNames) => Value[] {
  return ({ owner, names, at }) => [kind, owner, at, names];
}

/** In one insert there are rows of at most so many parts. */
const mostDays = 100;

function* withinDays({ columns, time }: Table, rows: readonly Value[][]): Iterable<readonly Value[][]> {
  const place = columns.findIndex(({ name }) => name === time);
  const days = groupBy(rows, (row) => (place < 0 ? 0 : dayOf(Number(row[place]))));
  const groups = [...days.values()];
  if (groups.length > 0 && groups.length <= mostDays) yield rows;
  else for (let at = 0; at < groups.length; at += mostDays) yield groups.slice(at, at + mostDays).flat();
}
