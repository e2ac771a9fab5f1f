import type { Alarms, Ended } from '../core/alarm.ts';
import type { Clock } from '../core/clock.ts';
import type { ClockSkew } from '../core/host-clock.ts';
import { Lines } from '../core/lines.ts';
import type { Series } from '../core/series.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import { type Reads, readLimit, readsWithin, type Store } from '../core/store.ts';
import type { Threshold } from '../core/threshold.ts';
import { type KnownHosts, skewsOf } from '../hosts/known-hosts.ts';
import type { ServerClock } from '../hosts/server-clock.ts';
import { shared } from '../platform/shared-work.ts';
import { candidates } from './candidate.ts';
import { thatKnowCpu } from './cpu-known.ts';
import { withCulprits } from './culprits.ts';
import { endingsOf, type KnownThen } from './endings.ts';
import { evaluate } from './evaluate.ts';
import { withServerClock } from './host-alarm.ts';
import { KnownForecasts } from './known-forecasts.ts';
import { OverOrHeldReader } from './over-or-held.ts';
import { RunSearch } from './run-search.ts';
import { sourceCandidates } from './source-candidates.ts';

/** An evaluation of the present, for all who wait for it: each waits no longer than they may. */
const longestMs = 60_000;
/** What has ended is remembered for those who ask now and then. */
const endedKeptMs = 3_600_000;
const mostEnded = 10_000;

/** What an evaluation reads with. Each part remembers what saves it a search the next time. */
interface Evaluation {
  reads: Reads<[]>;
  overOrHeld: OverOrHeldReader;
  runs: RunSearch;
  forecasts: KnownForecasts;
}

/** The present as it was last evaluated. */
interface Present {
  alarms: Alarms;
  headers: ReadonlyMap<string, SnapshotHeader>;
}

export interface AlarmReaderOptions {
  store: Store;
  hosts: KnownHosts;
  clock: Clock;
  serverClock: ServerClock;
  thresholds: readonly Threshold[];
  retentionMs: number;
  /** Time between two forecasts. */
  stepMs: number;
}

/** Computes the alarms from stored data at any instant. */
export class AlarmReader {
  readonly #options: AlarmReaderOptions;
  readonly #lines: Lines;
  /** Only those of the present remember anything. */
  readonly #present: Evaluation;
  #last: Present | null = null;
  /** Since when the present has been evaluated; before that nothing is remembered. */
  #since = Number.POSITIVE_INFINITY;
  #ended: Ended[] = [];

  constructor(options: AlarmReaderOptions) {
    this.#options = options;
    this.#lines = new Lines(options.thresholds);
    this.#present = this.#evaluation(readsWithin(options.store, { lane: 'present' }), false);
  }

  /** The alarms now. Callers at the same time share one evaluation. */
  readonly now = shared(() => this.#evaluateNow());

  async at(at: number, reads: Reads<[]>): Promise<Alarms> {
    const newest = await this.#options.hosts.at(at, reads);
    return this.#evaluate(at, newest, skewsOf(newest), this.#evaluation(reads, true));
  }

  /** What was there at an instant or after it and is not any more, as far as it was evaluated since the server's start. */
  endedSince(since: number): Ended[] {
    return this.#ended.filter(({ at }) => at >= since);
  }

  /** The same between any two instants: what was there at `since` is read again where that was before the start. */
  async endedBetween(since: number, now: Alarms, reads: Reads<[]>): Promise<Ended[]> {
    const isPresent = this.#last?.alarms === now;
    if (isPresent && since >= this.#since) return this.endedSince(since);
    const headers = isPresent && this.#last ? this.#last.headers : byHost(await this.#options.hosts.at(now.at, reads));
    return endingsOf(await this.at(since, reads), now, this.#knownAt(now.at, headers), reads);
  }

  #evaluation(reads: Reads<[]>, isPatient: boolean): Evaluation {
    const { store, retentionMs, stepMs } = this.#options;
    return {
      reads,
      overOrHeld: new OverOrHeldReader(this.#lines),
      runs: new RunSearch(store, retentionMs, isPatient),
      forecasts: new KnownForecasts(stepMs),
    };
  }

  async #evaluateNow(): Promise<Alarms> {
    const { store, hosts, clock, serverClock } = this.#options;
    const newest = await hosts.now();
    const doubt = serverClock.warning();
    const reads = readsWithin(store, { lane: 'present', signal: readLimit(longestMs) });
    const found = await this.#evaluate(clock.now(), newest, hosts.skewsNow(newest), { ...this.#present, reads });
    const alarms = doubt === null ? found : withServerClock(found, doubt);
    await this.#rememberEnded(alarms, newest, reads);
    return alarms;
  }

  async #rememberEnded(alarms: Alarms, newest: readonly SnapshotHeader[], reads: Reads<[]>): Promise<void> {
    const { at } = alarms;
    const headers = byHost(newest);
    const before = this.#last?.alarms;
    // How something ended must not keep anybody from what is there now.
    const ended = before ? await endingsOf(before, alarms, this.#knownAt(at, headers), reads).catch(() => []) : [];
    this.#last = { alarms, headers };
    this.#since = Math.min(this.#since, at);
    this.#ended = [...this.#ended, ...ended].filter((each) => each.at > at - endedKeptMs).slice(-mostEnded);
  }

  #knownAt(at: number, headers: ReadonlyMap<string, SnapshotHeader>): KnownThen {
    return { headers, isForgotten: (host) => this.#options.hosts.isForgotten(host, at) };
  }

  async #evaluate(
    at: number,
    newest: readonly SnapshotHeader[],
    skews: readonly ClockSkew[],
    { reads, overOrHeld, runs, forecasts }: Evaluation,
  ): Promise<Alarms> {
    const isGone = ({ labels }: Series) => this.#options.hosts.isForgotten(labels.host ?? '', at);
    const hosts = await thatKnowCpu(newest, reads);
    const { rows, held } = await overOrHeld.read(hosts, at, reads);
    const ofSources = await sourceCandidates(this.#lines, at, isGone, reads);
    const found = [...candidates(this.#lines, hosts, rows, held), ...ofSources];
    const since = await runs.find(found, at, reads);
    const made = (await forecasts.read(newest, at, reads)).filter(({ series }) => !isGone(series));
    const alarms = evaluate(at, newest, found, since, made, skews, this.#lines);
    return { ...alarms, alarms: await withCulprits(alarms.alarms, hosts, reads) };
  }
}

function byHost(headers: readonly SnapshotHeader[]): ReadonlyMap<string, SnapshotHeader> {
  return new Map(headers.map((header) => [header.host, header]));
}
