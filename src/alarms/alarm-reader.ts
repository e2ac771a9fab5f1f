import { setTimeout as sleep } from 'node:timers/promises';
import { type Alarms, gapOf, isStale } from '../core/alarm.ts';
import { binByTime } from '../core/bin-by-time.ts';
import type { Clock } from '../core/clock.ts';
import type { Forecast } from '../core/forecast.ts';
import { type ClockSkew, seenAt } from '../core/host-clock.ts';
import { Lines } from '../core/lines.ts';
import { isOfOtherSource, type Series, seriesKey } from '../core/series.ts';
import type { SnapshotHeader } from '../core/snapshot.ts';
import { type Reads, readLimit, readsWithin, type Store } from '../core/store.ts';
import { isProcessThreshold, levelFactor, type Threshold } from '../core/threshold.ts';
import type { UsageRow } from '../core/usage-row.ts';
import { newestForecasts } from '../forecast/newest-forecasts.ts';
import { type KnownHosts, skewsOf } from '../hosts/known-hosts.ts';
import type { ServerClock } from '../hosts/server-clock.ts';
import { groupBy } from '../platform/group-by.ts';
import { shared } from '../platform/shared-work.ts';
import { type Candidate, candidates, prefilter, type Reporter } from './candidate.ts';
import { thatKnowCpu } from './cpu-known.ts';
import { withCulprits } from './culprits.ts';
import { evaluate } from './evaluate.ts';
import { withServerClock } from './host-alarm.ts';
import { findRuns, type Run, type RunQuery } from './run.ts';
import { sourceCandidates } from './source-candidates.ts';

/** Most runs began within this; for longer ones so many times as much is searched, and so on. */
const lookBackMs = 3_600_000;
const lookFurther = 8;
/** An evaluation of the present, for all who wait for it: each waits no longer than they may. */
const longestMs = 60_000;
/** How long it waits for the beginning of a run that is older than the first look; after that it goes on without. */
const patienceMs = 3_000;
const longestSearchMs = 120_000;
/** Somebody else's interval must not make every evaluation read hours. */
const longestHeldGapMs = 600_000;
/** Instants that are looked at one by one. */
const mostLooks = 20;
const longestSharedReachMs = 2 * 3_600_000;

interface KnownRun {
  /** Of the snapshot it was found for. */
  time: number;
  since: number | null;
  /** It began before that, nobody knows when yet. */
  isOpen?: true;
  /** What is stored later may show that it is older: it is looked at as a whole each time. */
  mayBeOlder?: boolean;
}

type Beginning = Pick<KnownRun, 'since' | 'mayBeOlder'>;

/** What the evaluation before has found out: a cache, found again after a restart. */
interface Remembered {
  runs: Map<string, KnownRun>;
  /** Of runs that began before the first look, what was found since. */
  beginnings: Map<string, KnownRun>;
  /** Of the last snapshots of silent hosts. */
  lastSeen: Map<string, Seen>;
  /** The last forecasts of silent hosts. */
  staleForecasts: Map<string, Forecast[]>;
}

/** Of a snapshot: the processes that are or were of late over some clear level, and what was. */
interface Seen {
  rows: UsageRow[];
  /** Keys of series. */
  held: string[];
}

/** A candidate's run, seen within a window. */
interface Look extends Run {
  /** Its values were over `clear` when the window begins: the run may be older. */
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
  lastSeen: new Map(),
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
  readonly #lines: Lines;
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
    this.#lines = new Lines(thresholds);
    this.#retentionMs = retentionMs;
    this.#stepMs = stepMs;
  }

  /** The alarms now. Callers at the same time share one evaluation. */
  readonly now = shared(() => this.#evaluateNow());

  async at(at: number, reads: Reads<[]>): Promise<Alarms> {
    const newest = await this.#hosts.at(at, reads);
    return this.#evaluate(at, newest, skewsOf(newest), { reads, isPresent: false, remembered: nothing() });
  }

  async #evaluateNow(): Promise<Alarms> {
    const newest = await this.#hosts.now();
    const doubt = this.#serverClock.warning();
    const alarms = await this.#evaluate(this.#clock.now(), newest, this.#hosts.skewsNow(newest), {
      reads: readsWithin(this.#store, { lane: 'present', signal: readLimit(longestMs) }),
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
    const { rows, held } = await this.#overOrHeld(hosts, at, evaluation);
    // One that reports more rarely ends at once, whoever else is looked at with it.
    const rare = new Set(hosts.filter((header) => gapOf(header) > longestHeldGapMs).map(({ host }) => host));
    const heldKeys = new Set(held.flatMap(([host, keys]) => (rare.has(host) ? [] : keys)));
    const isGone = ({ labels }: Series) => this.#hosts.isForgotten(labels.host ?? '', at);
    const ofSources = await sourceCandidates(this.#lines, at, isGone, reads);
    const found = [...candidates(this.#lines, hosts, rows, heldKeys), ...ofSources];
    const runs = new Map<string, KnownRun>();
    for (const stale of [false, true]) {
      const group = found.filter((candidate) => isStale(candidate.header, at) === stale);
      for (const [key, run] of await this.#findRuns(group, evaluation)) runs.set(key, run);
    }
    remembered.runs = runs;
    for (const key of remembered.beginnings.keys()) if (!runs.has(key)) remembered.beginnings.delete(key);
    const since = found.map((candidate) => runs.get(candidate.key)?.since ?? null);
    const alarms = evaluate(
      at,
      newest,
      found,
      since,
      await this.#forecasts(newest, at, evaluation),
      skews,
      this.#lines,
    );
    return { ...alarms, alarms: await withCulprits(alarms.alarms, hosts, reads) };
  }

  /** Of a silent host it never changes. */
  async #overOrHeld(
    hosts: readonly SnapshotHeader[],
    at: number,
    { reads, remembered }: Evaluation,
  ): Promise<{ rows: UsageRow[]; held: [host: string, keys: string[]][] }> {
    const unknown = hosts.filter((header) => !remembered.lastSeen.has(snapshotKey(header)));
    const above = prefilter(this.#lines.all, hosts);
    const withinMs = heldWithin(this.#lines.all.filter(isProcessThreshold), unknown);
    const wanted = { above, ...(withinMs > 0 && { withinMs }) };
    const rows = groupBy(await reads.rows(unknown, wanted), ({ host }) => host);
    const held = await this.#held(unknown, reads);
    const seen = hosts.map((header): [SnapshotHeader, Seen] => [
      header,
      remembered.lastSeen.get(snapshotKey(header)) ?? {
        rows: rows.get(header.host) ?? [],
        held: held.get(header.host) ?? [],
      },
    ]);
    const silent = seen.filter(([header]) => isStale(header, at));
    remembered.lastSeen = new Map(silent.map(([header, each]) => [snapshotKey(header), each]));
    return {
      rows: seen.flatMap(([, each]) => each.rows),
      held: seen.map(([header, each]) => [header.host, each.held]),
    };
  }

  /** By host, the keys of its series that were over their clear level of late, now included; some that were not may come along. */
  async #held(hosts: readonly SnapshotHeader[], reads: Reads<[]>): Promise<Map<string, string[]>> {
    const held = this.#lines.all.filter(
      (threshold) => threshold.holdMs > 0 && !isOfOtherSource(threshold.selector.metric),
    );
    // One look for all lines on one metric, however many selectors there are.
    const byMetric = groupBy(held, ({ selector }) => selector.metric);
    const found: Series[] = [];
    for (const bin of binByTime(hosts)) {
      const times = bin.map(({ time }) => time);
      for (const [metric, thresholds] of byMetric) {
        const window = { from: Math.min(...times) - heldWithin(thresholds, bin), to: Math.max(...times) };
        const levels = thresholds.flatMap((each) => bin.map(({ cores }) => each.clear * levelFactor(each, cores)));
        for (const series of await reads.above({ metric, matchers: [] }, Math.min(...levels), window))
          found.push(series);
      }
    }
    const byHost = groupBy(found, ({ labels }) => labels.host ?? '');
    return new Map([...byHost].map(([host, series]) => [host, series.map(seriesKey)]));
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
    const newest = new Map([...last.flat(), ...fresh].map((forecast) => [seriesKey(forecast.series), forecast]));
    return [...newest.values()].filter(({ series }) => !this.#hosts.isForgotten(series.labels.host ?? '', at));
  }

  async #lastForecasts(header: SnapshotHeader, at: number, { reads, remembered }: Evaluation): Promise<Forecast[]> {
    const known = remembered.staleForecasts.get(snapshotKey(header));
    const until = Math.min(at, this.#endOf(header));
    const matchers = [{ label: 'host', operator: '=', value: header.host }] as const;
    const last = known ?? (await newestForecasts(reads, until, this.#stepMs, { matchers }));
    // Other sources may go on although the collector of their host does not.
    return last.filter(({ series }) => !isOfOtherSource(series.metric));
  }

  #endOf(header: SnapshotHeader): number {
    return seenAt(header) + 2 * this.#stepMs;
  }

  async #findRuns(group: readonly Candidate[], evaluation: Evaluation): Promise<Map<string, KnownRun>> {
    const { reads, remembered } = evaluation;
    const runs = new Map<string, KnownRun>();
    const settle = (candidate: Candidate, run: Omit<KnownRun, 'time'>) =>
      runs.set(candidate.key, { ...run, time: candidate.header.time });
    const unknown = group.filter((candidate) => {
      const known = knownOf(candidate, remembered);
      if (known?.time !== candidate.header.time) return true;
      settle(candidate, known);
      return false;
    });
    const first = Math.min(...unknown.map((candidate) => candidate.header.time));
    const open = new Map<Candidate, Look>();
    const parts = groupBy(unknown, (candidate) => isFollowed(candidate, knownOf(candidate, remembered)));
    const followed = together(parts.get(true) ?? []);
    for (const [part, from] of [
      ...followed.map((group) => [group, followedFrom(group, remembered)] as const),
      ...together(parts.get(false) ?? []).map((group) => [group, firstLookFrom(group)] as const),
    ]) {
      for (const [index, seen] of (await look(part, from, reads)).entries()) {
        const candidate = part[index] as Candidate;
        const known = knownOf(candidate, remembered);
        if (!seen.reachesBack) settle(candidate, { since: seen.since, mayBeOlder: seen.mayBeOlder });
        else if (known && goesOn(known, seen, candidate.forMs)) settle(candidate, { since: known.since ?? seen.since });
        else open.set(candidate, seen);
      }
    }
    const found = await this.#findBeginnings(open, first, evaluation);
    for (const [candidate, { since }] of open) settle(candidate, found.get(candidate) ?? { since, isOpen: true });
    return runs;
  }

  /** As far as they are found in time: others are known to whoever evaluates next. */
  async #findBeginnings(
    open: ReadonlyMap<Candidate, Look>,
    first: number,
    { reads, isPresent, remembered }: Evaluation,
  ): Promise<Map<Candidate, Beginning>> {
    if (!isPresent) return this.#search([...open.keys()], first, reads);
    const fresh = [...open.keys()].filter((candidate) => !this.#searching.has(candidate.key));
    if (fresh.length === 0) return new Map();
    for (const candidate of fresh) this.#searching.add(candidate.key);
    const wide = readsWithin(this.#store, { lane: 'background', signal: readLimit(longestSearchMs) });
    const searching = this.#search(fresh, first, wide)
      // It is older than the first look at least, and to look again would take as long.
      .catch(() => new Map(fresh.map((candidate) => [candidate, { since: open.get(candidate)?.since ?? null }])))
      .then((found: Map<Candidate, Beginning>) => {
        for (const [candidate, beginning] of found)
          remembered.beginnings.set(candidate.key, { ...beginning, time: candidate.header.time });
        for (const candidate of fresh) this.#searching.delete(candidate.key);
        return found;
      });
    return Promise.race([searching, sleep(patienceMs, new Map<Candidate, Beginning>(), { ref: false })]);
  }

  /** Since when each of these runs goes on, further and further back. */
  async #search(group: readonly Candidate[], first: number, reads: Reads<[]>): Promise<Map<Candidate, Beginning>> {
    const found = new Map<Candidate, Beginning>();
    const longest = Math.max(this.#retentionMs, lookBackMs);
    let open = group;
    for (let backMs = lookBackMs * lookFurther; open.length > 0; backMs *= lookFurther) {
      const looks = await look(open, first - Math.min(backMs, longest), reads);
      open = open.filter((candidate, index) => {
        const { since, reachesBack, mayBeOlder } = looks[index] as Look;
        const isOver = backMs >= longest || !reachesBack;
        if (isOver) found.set(candidate, { since, mayBeOlder: mayBeOlder && !reachesBack });
        return !isOver;
      });
    }
    return found;
  }
}

/** What is known for certain of a candidate's run. */
function knownOf(candidate: Candidate, { runs, beginnings }: Remembered): KnownRun | undefined {
  const known = runs.get(candidate.key);
  return known?.isOpen ? beginnings.get(candidate.key) : known;
}

/** Whether it is the same run still, or still none. One that had not lasted for long enough may have begun anew. */
function goesOn({ since, time }: KnownRun, seen: Look, forMs: number): boolean {
  const { heldSince } = seen;
  if (heldSince === null || time < heldSince) return false;
  if (since === null) return seen.since === null || seen.since > time;
  return (since <= heldSince || since === seen.since) && time - since >= forMs;
}

/** Whether what has come since the evaluation before says all. */
function isFollowed({ header, forMs }: Candidate, known: KnownRun | undefined): boolean {
  if (known === undefined || known.mayBeOlder || header.time - known.time > lookBackMs / 2) return false;
  return known.since === null || known.time - known.since >= forMs;
}

/** Those of about one time; one whose host reports rarely is looked at alone, since it has to be looked at for long. */
function together(group: readonly Candidate[]): Candidate[][] {
  const byReach = groupBy(group, (candidate) =>
    reachOf(candidate) > longestSharedReachMs ? candidate.header.host : '',
  );
  return [...byReach.values()].flatMap((part) => {
    const bins = binByTime(part.map((candidate) => ({ candidate, time: candidate.header.time })));
    // Clocks that are a day apart must not make it a look at a day; of many one wide look is cheaper.
    return bins.length > mostLooks ? [part] : bins.map((bin) => bin.map(({ candidate }) => candidate));
  });
}

function firstLookFrom(group: readonly Candidate[]): number {
  return Math.min(...group.map((candidate) => candidate.header.time - lookBackMs - reachOf(candidate)));
}

/** A stretch that reaches back to here is the one that was known. */
function followedFrom(group: readonly Candidate[], remembered: Remembered): number {
  return Math.min(
    ...group.map((candidate) => {
      const { time } = knownOf(candidate, remembered) as KnownRun;
      return time - reachOf(candidate);
    }),
  );
}

/** What begins within so long of a window's beginning may go on from before: one break is too short to end it, another not seen. */
function reachOf({ header, holdMs }: Candidate): number {
  return holdMs + 2 * gapOf(header);
}

/** The runs of these candidates as far as they can be seen from here on. */
async function look(group: readonly Candidate[], from: number, reads: Reads<[]>): Promise<Look[]> {
  if (group.length === 0) return [];
  const to = Math.max(...group.map((candidate) => candidate.header.time));
  const queries: RunQuery[] = group.map(({ series, red, clear, forMs, holdMs, header }) => ({
    series,
    red,
    clear,
    forMs,
    holdMs,
    gapMs: gapOf(header),
    until: header.time,
  }));
  const runs = await findRuns(reads, queries, { from, to });
  return runs.map((run, index) => {
    const reach = reachOf(group[index] as Candidate);
    return { ...run, reachesBack: run.heldSince !== null && run.heldSince - from <= reach };
  });
}

/** How long before a snapshot a value that is still RED was over its clear level. Of hosts that report rarely RED ends at once. */
function heldWithin(thresholds: readonly Threshold[], hosts: readonly Reporter[]): number {
  const holdMs = Math.max(0, ...thresholds.map((threshold) => threshold.holdMs));
  return holdMs === 0 ? 0 : holdMs + Math.min(longestHeldGapMs, Math.max(0, ...hosts.map(gapOf)));
}

function snapshotKey({ host, time }: SnapshotHeader): string {
  return JSON.stringify([host, time]);
}
