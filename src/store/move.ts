import { setTimeout as sleep } from 'node:timers/promises';
import { MonitorError } from '../core/error.ts';
import type { MetricSample } from '../core/sample.ts';
import { parseSelector } from '../core/selector.ts';
import { emptyColumns, pushUsage, type Snapshot, type SnapshotHeader } from '../core/snapshot.ts';
import type { Reading, Store, TimeWindow } from '../core/store.ts';
import type { UsageRow } from '../core/usage-row.ts';
import { groupBy } from '../platform/group-by.ts';

const hourMs = 3_600_000;
/** Headers and samples are read so much time at a time: of 5,000 hosts 30,000 headers. */
const stretchMs = 60_000;
const snapshotsAtOnce = 100;
const samplesAtOnce = 10_000;
/** What is stored as thousandths may be summed in another order. */
const tolerance = 1e-9;

/** What a move has done so far. */
export interface MoveProgress {
  /** End of the hour that is done, epoch milliseconds. */
  until: number;
  hours: { done: number; all: number };
  /** Process rows that were copied, and hours that were there already. */
  rows: number;
  samples: number;
  skipped: number;
}

export interface MoveOptions {
  /** From the beginning of an hour. */
  window: TimeWindow;
  /** After each piece it rests as long as the piece took, for the others who use the two stores. */
  isPaced: boolean;
  signal: AbortSignal;
}

/** What a host, or a series, has in an hour. */
interface Sum {
  count: number;
  sum: number;
}

/**
 * Copies what a store has into another, hour by hour, and compares what both have of it then: counts and sums of CPU
 * and memory, by host. Nothing is written down of how far it has come: an hour that is the same in both is passed over,
 * and so it goes on where it was ended, however that was.
 * @throws MonitorError `conflict` for an hour that is not the same afterwards, and as the stores do
 */
export async function* move(source: Store, target: Store, options: MoveOptions): AsyncGenerator<MoveProgress> {
  const { from, to } = options.window;
  const progress = {
    until: from,
    hours: { done: 0, all: Math.ceil((to - from) / hourMs) },
    rows: 0,
    samples: 0,
    skipped: 0,
  };
  const mover = new Mover(source, target, options);
  for (let time = from; time < to; time += hourMs) {
    options.signal.throwIfAborted();
    const hour = { from: time, to: Math.min(time + hourMs, to) };
    if (await mover.isSame(hour)) progress.skipped++;
    else {
      const { rows, samples } = await mover.copy(hour);
      progress.rows += rows;
      progress.samples += samples;
    }
    progress.until = hour.to;
    progress.hours.done++;
    yield structuredClone(progress);
  }
}

class Mover {
  readonly #source: Store;
  readonly #target: Store;
  readonly #options: MoveOptions;
  readonly #reading: Reading;

  constructor(source: Store, target: Store, options: MoveOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#reading = { lane: 'background', signal: options.signal };
  }

  /** Whether the target has the same of each host, and as many samples, forecasts and sums of them. */
  async isSame(hour: TimeWindow): Promise<boolean> {
    for (const metric of ['process_cpu', 'process_memory']) {
      const [here, there] = [
        await this.#sums(this.#source, metric, hour),
        await this.#sums(this.#target, metric, hour),
      ];
      if (differing(here, there) !== null) return false;
    }
    const [here, there] = [await this.#counts(this.#source, hour), await this.#counts(this.#target, hour)];
    return here.every((count, index) => count === there[index]);
  }

  async copy(hour: TimeWindow): Promise<{ rows: number; samples: number }> {
    const moved = { rows: 0, samples: 0 };
    for (let from = hour.from; from < hour.to; from += stretchMs) {
      const stretch = { from, to: Math.min(from + stretchMs, hour.to) };
      const headers = await this.#source.headers(stretch, this.#reading);
      for (const some of pieces(headers, snapshotsAtOnce))
        moved.rows += await this.#paced(() => this.#copySnapshots(some));
      const samples = await this.#source.samples(stretch, this.#reading);
      for (const some of pieces(samples, samplesAtOnce)) await this.#paced(() => this.#copySamples(some));
      moved.samples += samples.length;
    }
    const forecasts = await this.#source.forecasts(hour, this.#reading);
    const tallies = await this.#source.tallies(hour, this.#reading);
    await this.#target.append({ forecasts, ...(tallies.length > 0 && { accuracy: { hours: hour, tallies } }) });
    return moved;
  }

  /** @returns how many rows @throws MonitorError `conflict` where the target does not give back what it was given */
  async #copySnapshots(headers: readonly SnapshotHeader[]): Promise<number> {
    const rows = await this.#source.rows(headers, {}, this.#reading);
    const { refused } = await this.#target.append({ snapshots: snapshotsOf(headers, rows) });
    // The target may have got more of these hosts from elsewhere: what was given is compared, and no more.
    const stored = await this.#target.rows(headers, {}, this.#reading);
    const wrong = differing(sumsOf(rows), sumsOf(stored));
    if (wrong !== null || refused.length > 0)
      throw notTheSame(wrong ?? headers[0]?.host ?? '', headers, refused.length);
    return rows.length;
  }

  async #copySamples(samples: readonly MetricSample[]): Promise<void> {
    const { refused, beyondBudget } = await this.#target.append({ samples });
    const lost = refused.length + beyondBudget.length;
    if (lost > 0)
      throw new MonitorError('conflict', `the store that is copied to does not take ${lost} samples of other sources`);
  }

  async #sums(store: Store, metric: string, hour: TimeWindow): Promise<Map<string, Sum>> {
    const query = { ...hour, selector: parseSelector(metric), by: ['host'] };
    const { statistics } = await store.statistics(query, this.#reading);
    return new Map(statistics.map(({ labels, count, mean }) => [labels.host ?? '', { count, sum: count * mean }]));
  }

  /** Of headers, samples, forecasts, and hours of how right they were. */
  async #counts(store: Store, hour: TimeWindow): Promise<number[]> {
    const counts = [0, 0, 0, 0];
    for (let from = hour.from; from < hour.to; from += 10 * stretchMs) {
      const stretch = { from, to: Math.min(from + 10 * stretchMs, hour.to) };
      counts[0] = (counts[0] as number) + (await store.headers(stretch, this.#reading)).length;
      counts[1] = (counts[1] as number) + (await store.samples(stretch, this.#reading)).length;
    }
    counts[2] = (await store.forecasts(hour, this.#reading)).length;
    counts[3] = (await store.tallies(hour, this.#reading)).length;
    return counts;
  }

  async #paced<T>(work: () => Promise<T>): Promise<T> {
    this.#options.signal.throwIfAborted();
    const begun = performance.now();
    const result = await work();
    if (this.#options.isPaced) await sleep(performance.now() - begun, undefined, { signal: this.#options.signal });
    return result;
  }
}

function snapshotsOf(headers: readonly SnapshotHeader[], rows: readonly UsageRow[]): Snapshot[] {
  const byKey = groupBy(rows, ({ host, time }) => `${time} ${host}`);
  return headers.map((header) => {
    const processes = emptyColumns();
    for (const row of byKey.get(`${header.time} ${header.host}`) ?? []) pushUsage(processes, row);
    return { ...header, processes };
  });
}

/** Of CPU and memory together: what is not known counts as a row all the same. */
function sumsOf(rows: readonly UsageRow[]): Map<string, Sum> {
  const sums = new Map<string, Sum>();
  for (const { host, cpu, memory, rssBytes } of rows) {
    const own = sums.get(host) ?? { count: 0, sum: 0 };
    sums.set(host, own);
    own.count++;
    own.sum += (cpu ?? -1) + (memory ?? -1) + (rssBytes ?? -1);
  }
  return sums;
}

/** The first that has not the same in both; null: all have. */
function differing(here: ReadonlyMap<string, Sum>, there: ReadonlyMap<string, Sum>): string | null {
  for (const name of new Set([...here.keys(), ...there.keys()])) {
    const [a, b] = [here.get(name), there.get(name)];
    if (a === undefined || b === undefined || a.count !== b.count) return name;
    if (Math.abs(a.sum - b.sum) > tolerance * Math.max(1, Math.abs(a.sum), a.count)) return name;
  }
  return null;
}

function notTheSame(host: string, headers: readonly SnapshotHeader[], refused: number): MonitorError {
  const times = headers.map(({ time }) => time);
  const iso = (time: number) => new Date(time).toISOString();
  const why = refused > 0 ? `it refuses ${refused} snapshots as too old` : 'it gives back other rows than it was given';
  return new MonitorError(
    'conflict',
    `the store that is copied to does not have the same of ${host} between ${iso(Math.min(...times))} and ${iso(Math.max(...times))}: ${why}`,
  );
}

function* pieces<T>(items: readonly T[], length: number): Iterable<readonly T[]> {
  for (let from = 0; from < items.length; from += length) yield items.slice(from, from + length);
}
