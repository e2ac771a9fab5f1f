import {
  type Alarm,
  type Alarms,
  type Candidate,
  candidates,
  evaluate,
  isStale,
  prefilter,
  staleIntervals,
  withServerClock,
} from '../core/alarm.ts';
import type { Clock } from '../core/clock.ts';
import { type Forecast, subjectKey } from '../core/forecast.ts';
import { type ClockSkew, placedAt, seenAt } from '../core/host-clock.ts';
import { reservedNames, type SnapshotHeader } from '../core/snapshot.ts';
import type { RunQuery, Store, UsageRow } from '../core/store.ts';
import type { Threshold } from '../core/threshold.ts';
import { type KnownHosts, skewsOf } from './known-hosts.ts';
import { newestForecasts } from './newest-forecasts.ts';
import type { ServerClock } from './server-clock.ts';

/** Most runs began within this; only longer ones cost a search through the whole history. */
const lookBackMs = 3_600_000;
/** Processes named as the cause of a host's alarm. */
const culpritCount = 3;

interface KnownRun {
  /** Of the snapshot it was found for. */
  time: number;
  since: number | null;
}

/** What the evaluation before has found out: a cache, found again after a restart. */
interface Remembered {
  runs: Map<string, KnownRun>;
  /** Rows of the last snapshots of silent hosts: they never change. */
  staleRows: Map<string, UsageRow[]>;
  /** The last forecasts of silent hosts. */
  staleForecasts: Map<string, Forecast[]>;
}

const nothing = (): Remembered => ({ runs: new Map(), staleRows: new Map(), staleForecasts: new Map() });

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

/**
 * Computes the alarms from stored data at any instant. Only evaluations of the present remember anything:
 * it saves them the search for the beginning of a run that goes on.
 */
export class AlarmReader {
  readonly #store: Store;
  readonly #hosts: KnownHosts;
  readonly #clock: Clock;
  readonly #serverClock: ServerClock;
  readonly #thresholds: readonly Threshold[];
  readonly #retentionMs: number;
  readonly #stepMs: number;
  #remembered: Remembered = nothing();
  #current: Promise<Alarms> | null = null;

  constructor({ store, hosts, clock, serverClock, thresholds, retentionMs, stepMs }: AlarmReaderOptions) {
    this.#serverClock = serverClock;
    this.#store = store;
    this.#hosts = hosts;
    this.#clock = clock;
    this.#thresholds = thresholds;
    this.#retentionMs = retentionMs;
    this.#stepMs = stepMs;
  }

  /** The alarms now. Callers at the same time share one evaluation. */
  now(): Promise<Alarms> {
    this.#current ??= this.#evaluateNow().finally(() => {
      this.#current = null;
    });
    return this.#current;
  }

  async at(at: number): Promise<Alarms> {
    const newest = await this.#store.hosts(at);
    return this.#evaluate(at, newest, skewsOf(newest), nothing());
  }

  async #evaluateNow(): Promise<Alarms> {
    const newest = await this.#hosts.now();
    const doubt = this.#serverClock.warning();
    const alarms = await this.#evaluate(this.#clock.now(), newest, this.#hosts.skewsNow(newest), this.#remembered);
    return doubt === null ? alarms : withServerClock(alarms, doubt);
  }

  /** Reads what is remembered, and replaces it with what this evaluation has found. */
  async #evaluate(
    at: number,
    newest: readonly SnapshotHeader[],
    skews: readonly ClockSkew[],
    remembered: Remembered,
  ): Promise<Alarms> {
    const hosts = await this.#thatKnowCpu(newest);
    const rows = await this.#rowsAbove(hosts, at, remembered);
    const found = candidates(this.#thresholds, hosts, rows);
    const runs = new Map<string, KnownRun>();
    for (const stale of [false, true]) {
      const group = found.filter((candidate) => isStale(candidate.header, at) === stale);
      for (const [key, run] of await this.#findRuns(group, remembered.runs)) runs.set(key, run);
    }
    remembered.runs = runs;
    const since = found.map((candidate) => runs.get(runKey(candidate))?.since ?? null);
    const alarms = evaluate(
      at,
      newest,
      found,
      since,
      await this.#forecasts(newest, at, remembered),
      skews,
      this.#thresholds,
    );
    return { ...alarms, alarms: await this.#withCulprits(alarms.alarms, hosts) };
  }

  /**
   * The first snapshot of a collector knows no CPU. Taken for the newest it would end every CPU alarm of
   * its host for an interval, so the one before it counts while that is fresh.
   */
  #thatKnowCpu(hosts: readonly SnapshotHeader[]): Promise<SnapshotHeader[]> {
    return Promise.all(
      hosts.map(async (header) => {
        if (header.metrics['system.cpu'] !== undefined || header.metrics['collector.sweepMs'] === undefined)
          return header;
        const before = (await this.#store.hosts(placedAt(header) - 1)).find((other) => other.host === header.host);
        const fresh = before !== undefined && header.time - before.time <= gapOf(header);
        return fresh && before.metrics['system.cpu'] !== undefined ? before : header;
      }),
    );
  }

  async #rowsAbove(hosts: readonly SnapshotHeader[], at: number, remembered: Remembered): Promise<UsageRow[]> {
    const above = prefilter(this.#thresholds, hosts);
    const known = new Map<string, UsageRow[]>();
    const unknown = hosts.filter((header) => {
      const rows = remembered.staleRows.get(snapshotKey(header));
      if (rows) known.set(snapshotKey(header), rows);
      return !rows;
    });
    const rows = await this.#store.rowsOf(unknown, above);
    for (const header of unknown.filter((each) => isStale(each, at))) {
      known.set(
        snapshotKey(header),
        rows.filter((row) => row.host === header.host),
      );
    }
    const stillStale = [...remembered.staleRows].filter(([key]) => known.has(key)).flatMap(([, cached]) => cached);
    remembered.staleRows = known;
    return [...rows, ...stillStale];
  }

  /** The newest forecasts; of a silent host those of when it was last heard of, its last state. */
  async #forecasts(hosts: readonly SnapshotHeader[], at: number, remembered: Remembered): Promise<Forecast[]> {
    const fresh = await newestForecasts(this.#store, at, this.#stepMs);
    const silent = hosts.filter((each) => isStale(each, at));
    const last = await Promise.all(silent.map((header) => this.#lastForecasts(header, at, remembered)));
    // The step in which a host fell silent ends after its last snapshot: until then nothing is final.
    const final = silent.flatMap((header, index) =>
      at > this.#endOf(header) ? [[snapshotKey(header), last[index] as Forecast[]] as const] : [],
    );
    remembered.staleForecasts = new Map(final);
    return [...new Map([...last.flat(), ...fresh].map((forecast) => [subjectKey(forecast), forecast])).values()];
  }

  async #lastForecasts(header: SnapshotHeader, at: number, remembered: Remembered): Promise<Forecast[]> {
    const known = remembered.staleForecasts.get(snapshotKey(header));
    const until = Math.min(at, this.#endOf(header));
    return known ?? newestForecasts(this.#store, until, this.#stepMs, { host: header.host });
  }

  #endOf(header: SnapshotHeader): number {
    return seenAt(header) + 2 * this.#stepMs;
  }

  async #findRuns(group: readonly Candidate[], before: ReadonlyMap<string, KnownRun>): Promise<Map<string, KnownRun>> {
    const runs = new Map<string, KnownRun>();
    const unknown = group.filter((candidate) => {
      const known = before.get(runKey(candidate));
      if (known?.time !== candidate.header.time) return true;
      runs.set(runKey(candidate), known);
      return false;
    });
    const from = Math.min(...unknown.map((candidate) => candidate.header.time)) - lookBackMs;
    const since = await this.#search(unknown, from);
    const stretches = await this.#stretches(unknown, from, since);
    const open: Candidate[] = [];
    for (const [index, candidate] of unknown.entries()) {
      const stretch = stretches[index] ?? null;
      const reachesBack = stretch !== null && stretch - from <= gapOf(candidate.header);
      const known = before.get(runKey(candidate));
      const goesOn = reachesBack && known?.since != null && known.since <= stretch && known.time >= stretch;
      if (reachesBack && !goesOn) open.push(candidate);
      else
        runs.set(runKey(candidate), {
          time: candidate.header.time,
          since: goesOn ? known.since : (since[index] ?? null),
        });
    }
    const wide = await this.#search(open, from + lookBackMs - this.#retentionMs);
    for (const [index, candidate] of open.entries()) {
      runs.set(runKey(candidate), { time: candidate.header.time, since: wide[index] ?? null });
    }
    return runs;
  }

  /** Since when the values have been over `clear`: a run can be older than its last value over `red`. */
  async #stretches(group: readonly Candidate[], from: number, since: readonly (number | null)[]) {
    const differs = group.filter((candidate) => candidate.clear < candidate.red);
    const found = await this.#search(
      differs.map((candidate) => ({ ...candidate, red: candidate.clear })),
      from,
    );
    return group.map((candidate, index) =>
      candidate.clear < candidate.red ? found[differs.indexOf(candidate)] : since[index],
    );
  }

  async #search(group: readonly Candidate[], from: number): Promise<(number | null)[]> {
    if (group.length === 0) return [];
    const to = Math.max(...group.map((candidate) => candidate.header.time));
    const queries: RunQuery[] = group.map(({ series, red, clear, header }) => ({
      series,
      red,
      clear,
      gapMs: gapOf(header),
      until: header.time,
    }));
    return this.#store.runs(queries, { from, to });
  }

  /** An alarm of a whole host names the processes behind it. */
  async #withCulprits(alarms: readonly Alarm[], hosts: readonly SnapshotHeader[]): Promise<Alarm[]> {
    const affected = new Set(alarms.filter((alarm) => alarm.subject.kind === 'system').map((alarm) => alarm.host));
    if (affected.size === 0) return [...alarms];
    const rows = await this.#store.rowsOf(hosts.filter((header) => affected.has(header.host)));
    return alarms.map((alarm) => {
      if (alarm.subject.kind !== 'system') return alarm;
      const culprits = namesOfCulprits(
        rows.filter((row) => row.host === alarm.host),
        alarm.metric,
      );
      return culprits === '' ? alarm : { ...alarm, reason: `${alarm.reason}; most by ${culprits}` };
    });
  }
}

function gapOf(header: SnapshotHeader): number {
  return staleIntervals * header.intervalMs;
}

function snapshotKey({ host, time }: SnapshotHeader): string {
  return JSON.stringify([host, time]);
}

function runKey({ series, threshold }: Candidate): string {
  return JSON.stringify([series.host, series.kind === 'process' ? series.process : null, threshold.metric]);
}

function namesOfCulprits(rows: readonly UsageRow[], metric: string): string {
  const column = metric === 'system.cpu' ? 'cpu' : metric === 'system.memory' ? 'memory' : null;
  if (column === null) return '';
  return rows
    .filter((row) => !reservedNames.has(row.name) && (row[column] ?? 0) > 0)
    .sort((a, b) => (b[column] ?? 0) - (a[column] ?? 0))
    .slice(0, culpritCount)
    .map((row) => `${row.name} ${row[column]?.toFixed(1)}`)
    .join(', ');
}
