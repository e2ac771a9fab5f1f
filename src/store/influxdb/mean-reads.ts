import { type MeanColumnId, meanColumnIds, snakeCase } from '../../core/metric.ts';
import type { MeanQuery, MeanRow, Reading, TimeWindow } from '../../core/store.ts';
import { takingTurns } from '../../platform/turns.ts';
import type { Row } from './connection.ts';
import { innerBins, type MeanPlan, meanPlanOf } from './mean-plan.ts';
import { MeanSums } from './mean-sums.ts';
import { decodeName } from './name-codec.ts';
import { numberOf } from './points.ts';
import type { Queries } from './queries.ts';
import { placeOf } from './rollup-plan.ts';
import { sumsOf } from './rollup-points.ts';
import { Marks, type Rollups } from './rollups.ts';
import { meanStatements, type PointFilter, sumsStatements } from './statements.ts';

/** Rows of a shorter window are read as soon as what there is of it. */
const shortMs = 30 * 60_000;
/** A plan is made anew where what it has is written anew meanwhile. */
const mostTries = 3;

/** Means of process names: of a long window of whole hosts from roll-ups, as far as there are some; else of rows. */
export class MeanReads {
  readonly #queries: Queries;
  readonly #rollups: Rollups;

  constructor(queries: Queries, rollups: Rollups) {
    this.#queries = queries;
    this.#rollups = rollups;
  }

  /** Unordered. */
  async means(query: MeanQuery, filter: PointFilter, reading: Reading): Promise<MeanRow[]> {
    const isOfWholeHosts = filter.process === undefined && (filter.partly ?? []).length === 0;
    for (let tries = 0; isOfWholeHosts && query.to - query.from >= shortMs && tries < mostTries; tries++) {
      const plan = await this.#plan(query, filter, reading);
      if (plan === null) break;
      const found = await this.#rolled(plan, filter, reading);
      if (found !== null) return found.rows();
    }
    return this.#raw(query, filter, reading);
  }

  async #raw(window: TimeWindow, filter: PointFilter, reading: Reading): Promise<MeanRow[]> {
    // Beside each other: of several in one request InfluxDB does one after the other.
    const asked = meanStatements(window, filter).map((statement) => this.#queries.all([statement], reading, window));
    const [[means = []] = [], [hosts = []] = []] = await Promise.all(asked);
    const hostCounts = new Map(hosts.map((row) => [row.process, Number(row.hosts)]));
    return means.map((row) => toMean(row, hostCounts.get(row.process as string) ?? 0));
  }

  async #plan(window: TimeWindow, { hosts }: PointFilter, reading: Reading): Promise<MeanPlan | null> {
    const inner = innerBins(window);
    const [counts, marks] = await Promise.all([
      this.#rollups.counts(inner, hosts, reading),
      this.#rollups.marks(inner, hosts, reading),
    ]);
    return meanPlanOf(window, counts, new Marks([...marks.all()].filter(({ hasSums }) => hasSums)));
  }

  /** Null: a roll-up of the plan has been replaced since. */
  async #rolled({ rolled, raw }: MeanPlan, filter: PointFilter, reading: Reading): Promise<Found | null> {
    const found = new Found();
    const turn = takingTurns(reading.signal);
    for (const { length, window, planned } of rolled) {
      let left = planned.size;
      for (const { key, parts } of await this.#rollups.rollups(['sums'], length, window, filter.hosts, reading)) {
        if (Number(parts[0]?.snapshots) !== planned.get(placeOf(key))) continue;
        left--;
        for (const row of parts) {
          for (const [process, sums] of sumsOf(row)) {
            found.add(process, sums);
            found.on(process, key.host);
          }
          await turn();
        }
      }
      if (left > 0) return null;
    }
    await Promise.all(raw.map((window) => this.#addRows(found, window, filter, reading)));
    return found;
  }

  async #addRows(found: Found, window: TimeWindow, filter: PointFilter, reading: Reading): Promise<void> {
    const asked = sumsStatements(window, filter).map((statement) => this.#queries.all([statement], reading, window));
    const [[sums = []] = [], [hosts = []] = []] = await Promise.all(asked);
    for (const row of sums) found.add(decodeName(String(row.process)), toSums(row));
    for (const { process, host } of hosts) found.on(decodeName(String(process)), decodeName(String(host)));
  }
}

/** What has been found of each name so far, and on which hosts. */
class Found {
  readonly #sums = new Map<string, MeanSums>();
  readonly #hosts = new Map<string, Set<string>>();

  add(process: string, sums: MeanSums): void {
    const known = this.#sums.get(process) ?? new MeanSums();
    known.merge(sums);
    this.#sums.set(process, known);
  }

  on(process: string, host: string): void {
    this.#hosts.set(process, (this.#hosts.get(process) ?? new Set()).add(host));
  }

  rows(): MeanRow[] {
    return [...this.#sums].map(([name, sums]) => {
      const hosts = this.#hosts.get(name)?.size ?? 0;
      return { name, hosts, snapshots: sums.snapshots, ...sums.means() } as MeanRow;
    });
  }
}

/** Made once: there are many rows. */
const fields = meanColumnIds.map((id): [MeanColumnId, string] => [id, snakeCase(id)]);

function toMean(row: Row, hosts: number): MeanRow {
  const mean: Record<string, unknown> = {
    name: decodeName(String(row.process)),
    hosts,
    snapshots: Number(row.snapshots),
  };
  for (const [id, field] of fields) mean[id] = numberOf(row[`mean_${field}`]);
  return mean as MeanRow;
}

function toSums(row: Row): MeanSums {
  const sums = new MeanSums();
  sums.snapshots = Number(row.n_count);
  for (const [column, [, field]] of fields.entries()) {
    const value = numberOf(row[`of_${field}`]);
    // Of the highest of some it matters only that there are some.
    if (value !== null) sums.add(column, Number(row[`n_${field}`] ?? 1), value);
  }
  return sums;
}
