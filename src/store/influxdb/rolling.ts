import { setTimeout as sleep } from 'node:timers/promises';
import { sketched } from '../../core/bucket.ts';
import type { UsageMetric } from '../../core/metric.ts';
import type { TimeWindow } from '../../core/store.ts';
import { ValueSummary } from '../../core/value-summary.ts';
import { type InfluxConnection, PastRetention } from './connection.ts';
import { MeanSums } from './mean-sums.ts';
import { markOf, type Rollup, type Summaries, summariesOf, sumsOf, toRollupPoints } from './rollup-points.ts';
import { binMs, countIn, hourMs, type Marks, type Rollups, type SnapshotCounts } from './rollups.ts';

/** What comes later is rolled up anew. */
const graceMs = 30_000;
/** Looked through for what is due: of the last hours always, of all that is kept now and then. */
const spanMs = 6 * hourMs;
const runsPerWhole = 6;
/** A run ends after so long, and the next goes on. */
const mostRunMs = 300_000;

export interface RollingOptions {
  retentionMs: number;
  connection: InfluxConnection;
  rollups: Rollups;
}

/**
 * Makes roll-ups of what has no right ones: newest first, a host at a time, with as long a rest after each as it took. What is due is told
 * by what is stored alone, so that it goes on after a restart, beside another server and for what comes late.
 */
export class Rolling {
  readonly #options: RollingOptions;
  readonly #stopped = new AbortController();
  #runs = 0;
  #under: Promise<void> = Promise.resolve();

  constructor(options: RollingOptions) {
    this.#options = options;
  }

  /** @param now epoch milliseconds: what has not ended by then is left for later */
  roll(now: number): Promise<void> {
    const stopped = (error: unknown) => {
      if (!this.#stopped.signal.aborted) throw error;
    };
    const run = this.#under.catch(() => undefined).then(() => this.#run(now).catch(stopped));
    this.#under = run;
    return run;
  }

  async close(): Promise<void> {
    this.#stopped.abort();
    await this.#under.catch(() => undefined);
  }

  async #run(now: number): Promise<void> {
    const until = performance.now() + mostRunMs;
    const end = Math.floor((now - graceMs) / hourMs) * hourMs + hourMs;
    const isWhole = this.#runs++ % runsPerWhole === 0;
    // Of an hour that is partly forgotten nothing is written.
    const kept = Math.ceil((now - this.#options.retentionMs) / hourMs) * hourMs;
    const oldest = isWhole ? kept : Math.max(kept, end - spanMs);
    for (let to = end; to > oldest; to -= spanMs) {
      if (await this.#rollSpan({ from: Math.max(oldest, to - spanMs), to }, now - graceMs, until)) continue;
      // The next run goes on with what is left.
      this.#runs = 0;
      return;
    }
  }

  /** @returns false: there was no time for all of it */
  async #rollSpan(span: TimeWindow, now: number, until: number): Promise<boolean> {
    const { rollups } = this.#options;
    const reading = { lane: 'background', signal: this.#stopped.signal } as const;
    const [counts, marks] = [
      await rollups.counts(span, undefined, reading),
      await rollups.marks(span, undefined, reading),
    ];
    for (const due of dueIn(span, counts, marks, now)) {
      if (this.#stopped.signal.aborted || performance.now() > until) return false;
      const begin = performance.now();
      await this.#write(await this.#made(due));
      await sleep(performance.now() - begin, undefined, { signal: this.#stopped.signal });
    }
    return true;
  }

  async #made(due: Due): Promise<Rollup> {
    const { host, length, time } = due;
    const { rollups } = this.#options;
    const reading = { lane: 'background', signal: this.#stopped.signal } as const;
    if (length === '10m')
      return { ...due, ...(await rollups.summarize(host, { from: time, to: time + binMs }, reading)) };
    const columns = new Map(sketched.map((column): [UsageMetric, Summaries] => [column, new Map()]));
    const sums = new Map<string, MeanSums>();
    let haveSums = true;
    const window = { from: time, to: time + hourMs };
    for (const rollup of await rollups.rollups([...sketched, 'sums'], '10m', window, [host], reading)) {
      for (const row of rollup.parts)
        for (const [column, summaries] of columns)
          for (const [process, summary] of summariesOf(row, column)) mergeInto(summaries, process, summary);
      haveSums &&= markOf(rollup).hasSums;
      if (!haveSums) continue;
      for (const row of rollup.parts) for (const [process, own] of sumsOf(row)) mergeSumsInto(sums, process, own);
    }
    return { ...due, columns, sums: haveSums ? sums : null };
  }

  async #write(rollup: Rollup): Promise<void> {
    await this.#options.connection.write(toRollupPoints(rollup)).catch((error: unknown) => {
      if (!(error instanceof PastRetention)) throw error;
    });
  }
}

type Due = Omit<Rollup, 'columns' | 'sums'>;

/** Ten minutes before the hour that they are of, the newest first. */
function* dueIn(span: TimeWindow, counts: SnapshotCounts, marks: Marks, now: number): Generator<Due> {
  for (let hour = span.to - hourMs; hour >= span.from; hour -= hourMs) {
    for (let time = hour + hourMs - binMs; time >= hour; time -= binMs)
      for (const [host, own] of counts) {
        const snapshots = countIn(own, time, binMs);
        const isRight = marks.of({ host, length: '10m', time })?.snapshots === snapshots;
        if (snapshots > 0 && time + binMs <= now && !isRight) yield { host, length: '10m', time, snapshots };
      }
    for (const [host, own] of counts) {
      const snapshots = countIn(own, hour, hourMs);
      const isRight = marks.of({ host, length: '1h', time: hour })?.snapshots === snapshots;
      if (snapshots > 0 && hour + hourMs <= now && !isRight) yield { host, length: '1h', time: hour, snapshots };
    }
  }
}

function mergeInto(summaries: Summaries, process: string, summary: ValueSummary): void {
  const known = summaries.get(process) ?? new ValueSummary();
  summaries.set(process, known);
  known.merge(summary);
}

function mergeSumsInto(all: Map<string, MeanSums>, process: string, sums: MeanSums): void {
  const known = all.get(process) ?? new MeanSums();
  all.set(process, known);
  known.merge(sums);
}
