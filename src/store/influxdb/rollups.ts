import { sketched } from '../../core/bucket.ts';
import { meanColumnIds, snakeCase, type UsageMetric } from '../../core/metric.ts';
import type { Reading, TimeWindow } from '../../core/store.ts';
import { ValueSummary } from '../../core/value-summary.ts';
import type { Row } from './connection.ts';
import { MeanSums } from './mean-sums.ts';
import { decodeName } from './name-codec.ts';
import { numberOf } from './points.ts';
import type { Queries } from './queries.ts';
import {
  markOf,
  type RollupKey,
  type RollupLength,
  type RollupMark,
  rollupLengths,
  type Summaries,
  wholeRollups,
} from './rollup-points.ts';
import {
  type RollupField,
  rollupMarksStatement,
  rollupsStatement,
  snapshotCountsStatement,
  valuesStatement,
} from './rollup-statements.ts';

export const [binMs, hourMs] = [rollupLengths['10m'], rollupLengths['1h']];
/** Values are read so long at once: the answer is taken apart between other work. */
const sliceMs = 120_000;

/** How many snapshots of each host there are in each ten minutes, by the instant after which these begin. */
export type SnapshotCounts = Map<string, Map<number, number>>;

/** What a host should have in an hour, or ten minutes of one: there are as many snapshots as were rolled up. */
export function countIn(counts: ReadonlyMap<number, number> | undefined, time: number, lengthMs: number): number {
  let sum = 0;
  for (let bin = time; bin < time + lengthMs; bin += binMs) sum += counts?.get(bin) ?? 0;
  return sum;
}

/** By host, length and time: of how many snapshots and series. */
export class Marks {
  readonly #marks: Map<string, RollupMark>;

  constructor(marks: readonly RollupMark[]) {
    this.#marks = new Map(marks.map((mark) => [`${mark.time} ${mark.length} ${mark.host}`, mark]));
  }

  of({ host, length, time }: RollupKey): RollupMark | undefined {
    return this.#marks.get(`${time} ${length} ${host}`);
  }

  all(): Iterable<RollupMark> {
    return this.#marks.values();
  }
}

/** What is stored as roll-ups, and what they are made of. */
export class Rollups {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** @param hosts absent: all */
  async counts(window: TimeWindow, hosts: readonly string[] | undefined, reading: Reading): Promise<SnapshotCounts> {
    const [rows = []] = await this.#queries.all([snapshotCountsStatement(window, hosts)], reading, window);
    const counts: SnapshotCounts = new Map();
    for (const row of rows) {
      const [host, bin] = [decodeName(String(row.host)), Number(row.time) - 1];
      const own = counts.get(host) ?? new Map<number, number>();
      counts.set(host, own.set(bin, (own.get(bin) ?? 0) + Number(row.snapshots)));
    }
    return counts;
  }

  async marks(window: TimeWindow, hosts: readonly string[] | undefined, reading: Reading): Promise<Marks> {
    const [rows = []] = await this.#queries.all([rollupMarksStatement(window, hosts)], reading, window);
    return new Marks(wholeRollups(rows).map(markOf));
  }

  /** Those that begin in the window, in parts: `summariesOf` and `sumsOf` take one apart. */
  async rollups(
    fields: readonly RollupField[],
    length: RollupLength,
    window: TimeWindow,
    hosts: readonly string[] | undefined,
    reading: Reading,
  ): Promise<{ key: RollupKey; parts: Row[] }[]> {
    const [rows = []] = await this.#queries.all([rollupsStatement(fields, length, window, hosts)], reading, window);
    return wholeRollups(rows);
  }

  /** What the values themselves come to. */
  async summarize(host: string, window: TimeWindow, reading: Reading): Promise<Summarized> {
    const columns = new Map(sketched.map((column): [UsageMetric, Summaries] => [column, new Map()]));
    const sums = new Map<string, MeanSums>();
    for (let from = window.from; from < window.to; from += sliceMs) {
      const slice = { from, to: Math.min(window.to, from + sliceMs) };
      const [rows = []] = await this.#queries.all([valuesStatement(host, slice)], reading, slice);
      for (const row of rows) {
        for (const [column, summaries] of columns) addTo(summaries, row, column);
        addToSums(sums, row);
      }
    }
    return { columns, sums };
  }
}

/** By process. */
export interface Summarized {
  columns: Map<UsageMetric, Summaries>;
  sums: Map<string, MeanSums>;
}

/** Made once: there are many rows. */
const meanFields = meanColumnIds.map(snakeCase);

function addToSums(all: Map<string, MeanSums>, row: Row): void {
  const process = decodeName(String(row.process));
  const sums = all.get(process) ?? new MeanSums();
  all.set(process, sums);
  sums.snapshots++;
  for (const [column, field] of meanFields.entries()) {
    const value = numberOf(row[field]);
    if (value !== null) sums.add(column, 1, value);
  }
}

function addTo(summaries: Summaries, row: Row, column: UsageMetric): void {
  const value = numberOf(row[snakeCase(column)]);
  if (value === null) return;
  const process = decodeName(String(row.process));
  const summary = summaries.get(process) ?? new ValueSummary();
  summaries.set(process, summary);
  summary.add(value);
}
