import type { Point } from '@influxdata/influxdb-client';
import type { DurableLog } from '../../core/log.ts';
import type { MetricSample } from '../../core/sample.ts';
import type { Snapshot } from '../../core/snapshot.ts';
import type { Appended, Records } from '../../core/store.ts';
import { GroupCommit } from '../group-commit.ts';
import { KnownNames } from '../known-names.ts';
import { seriesPerDay } from '../name-budget.ts';
import type { Preparation } from '../preparation.ts';
import { type InfluxConnection, PastRetention } from './connection.ts';
import { decodeName } from './name-codec.ts';
import {
  newNamesPoint,
  newSeriesPoint,
  numberOf,
  toForecastPoint,
  toPoints,
  toSamplePoint,
  toTallyPoint,
} from './points.ts';
import { namesStatement, newNamesStatement, newSeriesStatement, seriesStatement } from './statements.ts';

/** A point as an object and then as a line, in memory. */
const pointBytes = 250;
/** Bytes in one request, some 5,000 points (what InfluxDB takes fastest), and bytes waiting, at most. */
const limits = { group: 5_000 * pointBytes, queue: 64 * 1024 ** 2 };

/** In one request, of samples. */
const samplesAtOnce = 5000;

export interface WriterOptions {
  retentionMs: number;
  newNamesPerDay: number;
  newSeriesPerDay: number;
  now: () => number;
  warn: (message: string) => void;
  connection: InfluxConnection;
  preparation: Preparation;
}

/** Writes all there is to write, each whole. */
export class Writer {
  readonly #options: WriterOptions;
  readonly #commit: DurableLog<Snapshot>;
  /** Those that InfluxDB has refused for their age. */
  readonly #refused = new WeakSet<Snapshot>();
  /** Process names by host, and series of other sources by whom they are of. */
  readonly #names: KnownNames;
  readonly #series: KnownNames;

  constructor(options: WriterOptions) {
    const { connection, newNamesPerDay, now, warn } = options;
    this.#options = options;
    const ask = async (statement: string) => (await connection.query([statement]))[0] ?? [];
    const names = async (statement: string) => (await ask(statement)).map((row) => decodeName(String(row.value)));
    const count = async (statement: string) => numberOf((await ask(statement))[0]?.names) ?? 0;
    this.#names = new KnownNames({
      namesOf: (host) => names(namesStatement(host)),
      countIn: (host, window) => count(newNamesStatement(host, window)),
      perDay: () => newNamesPerDay,
      now,
      warn,
    });
    this.#series = new KnownNames({
      namesOf: (owner) => names(seriesStatement(owner)),
      countIn: (owner, window) => count(newSeriesStatement(owner, window)),
      perDay: seriesPerDay(options),
      now,
      warn,
    });
    const bytesOf = (snapshot: Snapshot) => (snapshot.processes.name.length + 1) * pointBytes;
    this.#commit = new GroupCommit((group) => this.#write(group), bytesOf, limits);
  }

  async append({ snapshots = [], samples = [], forecasts = [], accuracy }: Records): Promise<Appended> {
    await this.#options.preparation.once();
    for (const snapshot of snapshots) await this.#names.admitNames(snapshot);
    await this.#commit.addAll(snapshots);
    const refused: (Snapshot | MetricSample)[] = snapshots.filter((snapshot) => this.#refused.has(snapshot));
    const taken = await this.#appendSamples(samples);
    if (forecasts.length > 0)
      await this.#options.connection.write(forecasts.map(toForecastPoint)).catch(ignorePastRetention);
    // Points of the same series and hour are overwritten.
    const tallies = accuracy?.tallies ?? [];
    if (tallies.length > 0) await this.#options.connection.write(tallies.map(toTallyPoint)).catch(ignorePastRetention);
    return { refused: [...refused, ...taken.refused], beyondBudget: taken.beyondBudget };
  }

  async #appendSamples(samples: readonly MetricSample[]): Promise<Appended> {
    const { admitted, beyondBudget } = await this.#series.admitSamples(samples);
    if (admitted.length === 0) return { refused: [], beyondBudget };
    const { counts, settle } = this.#series.countsOf(admitted.map(({ owner }) => owner));
    const points = counts.map(({ owner, names, at }) => newSeriesPoint(owner, names, at));
    const refused: MetricSample[] = [];
    for (let from = 0; from < admitted.length; from += samplesAtOnce)
      refused.push(...(await this.#writeSamples(admitted.slice(from, from + samplesAtOnce), from === 0 ? points : [])));
    settle();
    return { refused, beyondBudget };
  }

  /** @returns those that are too old */
  async #writeSamples(samples: readonly MetricSample[], counts: readonly Point[]): Promise<MetricSample[]> {
    try {
      await this.#options.connection.write([...samples.map(toSamplePoint), ...counts]);
      return [];
    } catch (error) {
      if (!(error instanceof PastRetention)) throw error;
      const byTime = samples.toSorted((a, b) => a.time - b.time);
      const oldest = this.#options.now() - this.#options.retentionMs;
      return byTime.slice(0, error.points ?? byTime.findLastIndex(({ time }) => time < oldest) + 1);
    }
  }

  /** Where it cannot be told which of a group are too old, the group is written once more, each alone. */
  async #write(group: readonly Snapshot[]): Promise<void> {
    await this.#options.preparation.once();
    const { counts, settle } = this.#names.countsOf(group.map(({ host }) => host));
    const newNames = counts.map(({ owner, names, at }) => newNamesPoint(owner, names, at));
    try {
      await this.#options.connection.write([...group.flatMap(toPoints), ...newNames]);
    } catch (error) {
      const refused = error instanceof PastRetention ? refusedOf(group, error.points) : null;
      if (refused === null) throw error;
      for (const snapshot of refused) this.#refused.add(snapshot);
    }
    settle();
  }

  /** Resolves once what waits is written. */
  async close(): Promise<void> {
    await this.#commit.exclusive(async () => undefined);
  }
}

/** The oldest that make up so many points: a retention cuts by time. Null: they do not. */
function refusedOf(group: readonly Snapshot[], points: number | null): Snapshot[] | null {
  if (group.length === 1) return [...group];
  const byTime = group.toSorted((a, b) => a.time - b.time);
  let [count, sum] = [0, 0];
  for (; count < byTime.length && sum < (points ?? 0); count++) sum += (byTime[count]?.processes.name.length ?? 0) + 1;
  const isCut = count > 0 && sum === points && byTime[count]?.time !== byTime[count - 1]?.time;
  return isCut ? byTime.slice(0, count) : null;
}

function ignorePastRetention(error: unknown): void {
  if (!(error instanceof PastRetention)) throw error;
}
