import { setTimeout as sleep } from 'node:timers/promises';
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
import { type Reads, type RunQuery, readsWithin, type Store, type UsageRow } from '../core/store.ts';
import type { Threshold } from '../core/threshold.ts';
import { shared, timeLimit } from '../shared-work.ts';
import { type KnownHosts, skewsOf } from './known-hosts.ts';
import { newestForecasts } from './newest-forecasts.ts';
import type { ServerClock } from './server-clock.ts';

/** Most runs began within this; for longer ones so many times as much is searched, and so on. */
const lookBackMs = 3_600_000;
const lookFurther = 8;
/** An evaluation of the present, for all who wait for it: each waits no longer than they may. */
const longestMs = 60_000;
/** How long it waits for the beginning of a run that is older than the first look; after that it goes on without. */
const patienceMs = 3_000;
const longestSearchMs = 120_000;
/** Processes named as the cause of a host's alarm. */
const culpritCount = 3;
/** Rows looked at for them: some are no processes. */
const culpritRows = culpritCount + reservedNames.size;

interface KnownRun {
  /** Of the snapshot it was found for. */
  time: number;
  since: number | null;
  /** It began before that, nobody knows when yet. */
  isOpen?: true;
}

/** What the evaluation before has found out: a cache, found again after a restart. */
interface Remembered {
  runs: Map<string, KnownRun>;
  /** Of runs that began before the first look, what was found since. */
  beginnings: Map<string, KnownRun>;
  /** Rows of the last snapshots of silent hosts: they never change. */
  staleRows: Map<string, UsageRow[]>;
  /** The last forecasts of silent hosts. */
  staleForecasts: Map<string, Forecast[]>;
}

/** A candidate's run, seen within a window. */
interface Look {
  since: number | null;
  /** Since when its values have been over `clear`; null: they are not. */
  stretch: number | null;
  /** They were so when the window begins: the run may be older. */
  reachesBack: boolean;
}

/** What an evaluation reads with, and from where it goes on. */
interface Evaluation {
  reads: Reads<[]>;
  /** Of the present: what takes long is not waited for. */
  isPresent: boolean;
  remembered: Remembered;
}

const nothing = (): Remembered => ({
  runs: new Map(),
  beginnings: new Map(),
  staleRows: new Map(),
  staleForecasts: new Map(),
});

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
  readonly #remembered: Remembered = nothing();
  /** Runs whose beginning is being looked for. */
  readonly #searching = new Set<string>();

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
  readonly now = shared(() => this.#evaluateNow());

  async at(at: number, reads: Reads<[]>): Promise<Alarms> {
    const newest = await reads.hosts(at);
    return this.#evaluate(at, newest, skewsOf(newest), { reads, isPresent: false, remembered: nothing() });
  }

  async #evaluateNow(): Promise<Alarms> {
    const newest = await this.#hosts.now();
    const doubt = this.#serverClock.warning();
    const alarms = await this.#evaluate(this.#clock.now(), newest, this.#hosts.skewsNow(newest), {
      reads: readsWithin(this.#store, { lane: 'present', signal: timeLimit(longestMs) }),
      isPresent: true,
      remembered: this.#remembered,
    });
    return doubt === null ? alarms : withServerClock(alarms, doubt);
  }

  /** Reads what is remembered, and replaces it with what this evaluation has found. */
  async #evaluate(
    at: number,
    newest: readonly SnapshotHeader[],
    skews: readonly ClockSkew[],
    evaluation: Evaluation,
  ): Promise<Alarms> {
    const { reads, remembered } = evaluation;
    const hosts = await thatKnowCpu(newest, reads);
    const rows = await this.#rowsAbove(hosts, at, evaluation);
    const found = candidates(this.#thresholds, hosts, rows);
    const runs = new Map<string, KnownRun>();
    for (const stale of [false, true]) {
      const group = found.filter((candidate) => isStale(candidate.header, at) === stale);
      for (const [key, run] of await this.#findRuns(group, evaluation)) runs.set(key, run);
    }
    remembered.runs = runs;
    for (const key of remembered.beginnings.keys()) if (!runs.has(key)) remembered.beginnings.delete(key);
    const since = found.map((candidate) => runs.get(runKey(candidate))?.since ?? null);
    const alarms = evaluate(
      at,
      newest,
      found,
      since,
      await this.#forecasts(newest, at, evaluation),
      skews,
      this.#thresholds,
    );
    return { ...alarms, alarms: await withCulprits(alarms.alarms, hosts, reads) };
  }

  async #rowsAbove(
    hosts: readonly SnapshotHeader[],
    at: number,
    { reads, remembered }: Evaluation,
  ): Promise<UsageRow[]> {
    const above = prefilter(this.#thresholds, hosts);
    const known = new Map<string, UsageRow[]>();
    const unknown = hosts.filter((header) => {
      const rows = remembered.staleRows.get(snapshotKey(header));
      if (rows) known.set(snapshotKey(header), rows);
      return !rows;
    });
    const rows = await reads.rowsOf(unknown, { above });
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
  async #forecasts(hosts: readonly SnapshotHeader[], at: number, evaluation: Evaluation): Promise<Forecast[]> {
    const { reads, remembered } = evaluation;
    const fresh = await newestForecasts(reads, at, this.#stepMs);
    const silent = hosts.filter((each) => isStale(each, at));
    const last: Forecast[][] = [];
    // One after the other: all at once they would fill the lane.
    for (const header of silent) last.push(await this.#lastForecasts(header, at, evaluation));
    // The step in which a host fell silent ends after its last snapshot: until then nothing is final.
    const final = silent.flatMap((header, index) =>
      at > this.#endOf(header) ? [[snapshotKey(header), last[index] as Forecast[]] as const] : [],
    );
    remembered.staleForecasts = new Map(final);
    return [...new Map([...last.flat(), ...fresh].map((forecast) => [subjectKey(forecast), forecast])).values()];
  }

  async #lastForecasts(header: SnapshotHeader, at: number, { reads, remembered }: Evaluation): Promise<Forecast[]> {
    const known = remembered.staleForecasts.get(snapshotKey(header));
    const until = Math.min(at, this.#endOf(header));
    return known ?? newestForecasts(reads, until, this.#stepMs, { host: header.host });
  }

  #endOf(header: SnapshotHeader): number {
    return seenAt(header) + 2 * this.#stepMs;
  }

  async #findRuns(group: readonly Candidate[], evaluation: Evaluation): Promise<Map<string, KnownRun>> {
    const { reads, remembered } = evaluation;
    const runs = new Map<string, KnownRun>();
    const settle = (candidate: Candidate, since: number | null, isOpen = false) =>
      runs.set(runKey(candidate), { time: candidate.header.time, since, ...(isOpen && { isOpen }) });
    const unknown = group.filter((candidate) => {
      const known = knownOf(candidate, remembered);
      if (known?.time !== candidate.header.time) return true;
      settle(candidate, known.since);
      return false;
    });
    const first = Math.min(...unknown.map((candidate) => candidate.header.time));
    const looks = await look(unknown, first - lookBackMs, reads);
    const open = new Map<Candidate, Look>();
    for (const [index, candidate] of unknown.entries()) {
      const seen = looks[index] as Look;
      const known = knownOf(candidate, remembered);
      if (!seen.reachesBack) settle(candidate, seen.since);
      else if (known && goesOn(known, seen)) settle(candidate, known.since);
      else open.set(candidate, seen);
    }
    const found = await this.#findBeginnings(open, first, evaluation);
    for (const [candidate, { since }] of open) {
      const beginning = found.get(candidate);
      settle(candidate, beginning === undefined ? since : beginning, beginning === undefined);
    }
    return runs;
  }

  /** As far as they are found in time: others are known to whoever evaluates next. */
  async #findBeginnings(
    open: ReadonlyMap<Candidate, Look>,
    first: number,
    { reads, isPresent, remembered }: Evaluation,
  ): Promise<Map<Candidate, number | null>> {
    if (!isPresent) return this.#search([...open.keys()], first, reads);
    const fresh = [...open.keys()].filter((candidate) => !this.#searching.has(runKey(candidate)));
    if (fresh.length === 0) return new Map();
    for (const candidate of fresh) this.#searching.add(runKey(candidate));
    const wide = readsWithin(this.#store, { lane: 'background', signal: timeLimit(longestSearchMs) });
    const searching = this.#search(fresh, first, wide)
      // It is older than the first look at least, and to look again would take as long.
      .catch(() => new Map(fresh.map((candidate) => [candidate, open.get(candidate)?.since ?? null])))
      .then((found) => {
        for (const [candidate, since] of found)
          remembered.beginnings.set(runKey(candidate), { time: candidate.header.time, since });
        for (const candidate of fresh) this.#searching.delete(runKey(candidate));
        return found;
      });
    return Promise.race([searching, sleep(patienceMs, new Map<Candidate, number | null>(), { ref: false })]);
  }

  /** Since when each of these runs goes on, further and further back. */
  async #search(group: readonly Candidate[], first: number, reads: Reads<[]>): Promise<Map<Candidate, number | null>> {
    const found = new Map<Candidate, number | null>();
    const longest = Math.max(this.#retentionMs, lookBackMs);
    let open = group;
    for (let backMs = lookBackMs * lookFurther; open.length > 0; backMs *= lookFurther) {
      const looks = await look(open, first - Math.min(backMs, longest), reads);
      open = open.filter((candidate, index) => {
        const { since, reachesBack } = looks[index] as Look;
        const isOver = backMs >= longest || !reachesBack;
        if (isOver) found.set(candidate, since);
        return !isOver;
      });
    }
    return found;
  }
}

/** What is known for certain of a candidate's run. */
function knownOf(candidate: Candidate, { runs, beginnings }: Remembered): KnownRun | undefined {
  const known = runs.get(runKey(candidate));
  return known?.isOpen ? beginnings.get(runKey(candidate)) : known;
}

/** Whether it is the same run still. */
function goesOn({ since, time }: KnownRun, { stretch }: Look): boolean {
  return since !== null && stretch !== null && since <= stretch && time >= stretch;
}

/** An alarm of a whole host names the processes behind it. */
async function withCulprits(
  alarms: readonly Alarm[],
  hosts: readonly SnapshotHeader[],
  reads: Reads<[]>,
): Promise<Alarm[]> {
  const affected = new Set(alarms.filter((alarm) => alarm.subject.kind === 'system').map((alarm) => alarm.host));
  if (affected.size === 0) return [...alarms];
  const ofAffected = hosts.filter((header) => affected.has(header.host));
  const rows = await reads.rowsOf(ofAffected, { top: culpritRows });
  return alarms.map((alarm) => {
    if (alarm.subject.kind !== 'system') return alarm;
    const culprits = namesOfCulprits(
      rows.filter((row) => row.host === alarm.host),
      alarm.metric,
    );
    return culprits === '' ? alarm : { ...alarm, reason: `${alarm.reason}; most by ${culprits}` };
  });
}

/**
 * The first snapshot of a collector knows no CPU. Taken for the newest it would end every CPU alarm of
 * its host for an interval, so the one before it counts while that is fresh.
 */
async function thatKnowCpu(hosts: readonly SnapshotHeader[], reads: Reads<[]>): Promise<SnapshotHeader[]> {
  const found: SnapshotHeader[] = [];
  for (const header of hosts) {
    const knows = header.metrics['system.cpu'] !== undefined || header.metrics['collector.sweepMs'] === undefined;
    found.push(knows ? header : await beforeOf(header, reads));
  }
  return found;
}

async function beforeOf(header: SnapshotHeader, reads: Reads<[]>): Promise<SnapshotHeader> {
  const before = (await reads.hosts(placedAt(header) - 1)).find(({ host }) => host === header.host);
  const isFresh = before !== undefined && header.time - before.time <= gapOf(header);
  return isFresh && before.metrics['system.cpu'] !== undefined ? before : header;
}

/** The runs of these candidates as far as they can be seen from here on. */
async function look(group: readonly Candidate[], from: number, reads: Reads<[]>): Promise<Look[]> {
  const since = await sinceOf(group, from, reads);
  const differs = group.filter((candidate) => candidate.clear < candidate.red);
  // A run can be older than its last value over `red`.
  const found = await sinceOf(
    differs.map((candidate) => ({ ...candidate, red: candidate.clear })),
    from,
    reads,
  );
  return group.map((candidate, index) => {
    const own = since[index] ?? null;
    const stretch = candidate.clear < candidate.red ? (found[differs.indexOf(candidate)] ?? null) : own;
    return { since: own, stretch, reachesBack: stretch !== null && stretch - from <= gapOf(candidate.header) };
  });
}

async function sinceOf(group: readonly Candidate[], from: number, reads: Reads<[]>): Promise<(number | null)[]> {
  if (group.length === 0) return [];
  const to = Math.max(...group.map((candidate) => candidate.header.time));
  const queries: RunQuery[] = group.map(({ series, red, clear, header }) => ({
    series,
    red,
    clear,
    gapMs: gapOf(header),
    until: header.time,
  }));
  return reads.runs(queries, { from, to });
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
