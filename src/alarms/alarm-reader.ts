import type { Alarms, Ended, UnwatchedHost } from '../core/alarm.ts';
import type { Clock } from '../core/clock.ts';
import { type ClockSkew, placedAt } from '../core/host-clock.ts';
import type { Series } from '../core/series.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import { type Reading, type Reads, readLimit, readsWithin, type Store } from '../core/store.ts';
import type { Threshold } from '../core/threshold.ts';
import { ThresholdSet } from '../core/threshold-set.ts';
import { type KnownHosts, skewsOf } from '../hosts/known-hosts.ts';
import type { ServerClock } from '../hosts/server-clock.ts';
import { singleFlight } from '../platform/single-flight.ts';
import { candidates } from './candidate.ts';
import { withCulprits } from './culprits.ts';
import { type EndedAlarm, endingsOf, silenceEndings } from './endings.ts';
import { evaluate } from './evaluate.ts';
import { withKnownCpu } from './headers-with-cpu.ts';
import { withServerClock, withSilentSources } from './host-alarm.ts';
import { KnownForecasts } from './known-forecasts.ts';
import { RecentBreachesReader } from './recent-breaches.ts';
import { RunSearch } from './run-search.ts';
import { sourceCandidates } from './source-candidates.ts';

/** An evaluation of the present, for all who wait for it: each waits no longer than they may. */
const longestMs = 60_000;

/** What an evaluation searches with. Each part remembers what saves it a search the next time. */
interface Searches {
  recentBreaches: RecentBreachesReader;
  runs: RunSearch;
  forecasts: KnownForecasts;
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
  sources: AskedSources;
  /** Whether alarms of this series are told here; absent: all are. */
  isTold?: (series: Series) => boolean;
}

/** Others that are asked for what they have. */
export interface AskedSources {
  has(name: string): boolean;
  /** Those that give nothing, and when the next one will have given nothing for too long. */
  silent(): { silent: UnwatchedHost[]; nextAt: number | null };
}

/** Computes the alarms from stored data at any instant. */
export class AlarmReader {
  readonly #options: AlarmReaderOptions;
  readonly #lines: ThresholdSet;
  /** Only those of the present remember anything. */
  readonly #present: Searches;

  constructor(options: AlarmReaderOptions) {
    this.#options = options;
    this.#lines = new ThresholdSet(options.thresholds);
    this.#present = this.#searches(false);
  }

  /** The alarms now. Callers at the same time share one evaluation. */
  readonly now = singleFlight(() => this.#evaluateNow());

  /** The same as it was at an instant. */
  async at(at: number, reads: Reads<[]>): Promise<Alarms> {
    const newest = await this.#options.hosts.at(at, reads);
    return this.#evaluate(at, newest, skewsOf(newest), this.#searches(true), reads);
  }

  /** How what was there and is not any more has ended, by what is stored now. */
  async endings(alarms: readonly EndedAlarm[], silent: readonly string[], reading: Reading): Promise<Ended[]> {
    const { hosts, clock, store } = this.#options;
    const at = clock.now();
    const headers = new Map((await hosts.now()).map((header) => [header.host, header]));
    const now = {
      at,
      headers,
      isForgotten: (host: string) => hosts.isForgotten(host, at),
      isSource: (host: string) => this.#options.sources.has(host),
    };
    return [...(await endingsOf(alarms, now, readsWithin(store, reading))), ...silenceEndings(silent, now)];
  }

  #searches(isPatient: boolean): Searches {
    const { store, retentionMs, stepMs } = this.#options;
    return {
      recentBreaches: new RecentBreachesReader(this.#lines),
      runs: new RunSearch(store, retentionMs, isPatient),
      forecasts: new KnownForecasts(stepMs),
    };
  }

  async #evaluateNow(): Promise<Alarms> {
    const { store, hosts, clock, serverClock } = this.#options;
    const newest = await hosts.now();
    const doubt = serverClock.warning();
    const reads = readsWithin(store, { lane: 'present', signal: readLimit(longestMs) });
    const evaluated = await this.#evaluate(clock.now(), newest, hosts.skewsNow(newest), this.#present, reads);
    const found = withSilentSources(evaluated, this.#options.sources.silent());
    return doubt === null ? found : withServerClock(found, doubt);
  }

  async #evaluate(
    at: number,
    all: readonly SnapshotHeader[],
    skews: readonly ClockSkew[],
    { recentBreaches, runs, forecasts }: Searches,
    reads: Reads<[]>,
  ): Promise<Alarms> {
    const { isTold = () => true } = this.#options;
    const isGone = (series: Series) => this.#options.hosts.isForgotten(series.labels.host ?? '', at) || !isTold(series);
    const newest = all.filter(({ host }) => isTold({ metric: '', labels: { host } }));
    const hosts = await withKnownCpu(newest, reads);
    const { rows, held } = await recentBreaches.read(hosts, at, reads);
    const ofSources = await sourceCandidates(this.#lines, at, isGone, reads);
    const found = [...candidates(this.#lines, hosts, rows, held), ...ofSources];
    const since = await runs.find(found, at, reads);
    const made = (await forecasts.read(newest, at, reads)).filter(({ series }) => !isGone(series));
    const alarms = evaluate(at, newest, found, since, made, skews, this.#lines);
    return {
      ...alarms,
      ...(newest.length > 0 && { newestAt: Math.max(...newest.map(placedAt)) }),
      alarms: await withCulprits(alarms.alarms, hosts, reads),
    };
  }
}
