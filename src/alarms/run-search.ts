import { setTimeout as sleep } from 'node:timers/promises';
import { gapOf, isStale } from '../core/alarm.ts';
import { binByTime } from '../core/bin-by-time.ts';
import { type Reads, readLimit, readsWithin, type Store } from '../core/store.ts';
import { groupBy } from '../platform/group-by.ts';
import type { Candidate } from './candidate.ts';
import { findRuns, type Run, type RunQuery } from './run.ts';

/** Most runs began within this; for longer ones so many times as much is searched, and so on. */
const lookBackMs = 3_600_000;
const lookFurther = 8;
/** How long an evaluation waits for the beginning of a run that is older than the first look; after that it goes on without. */
const patienceMs = 3_000;
const longestSearchMs = 120_000;
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

type RunStart = Pick<KnownRun, 'since' | 'mayBeOlder'>;

/** A candidate's run, seen within a window. */
interface WindowedRun extends Run {
  /** Its values were over `clear` when the window begins: the run may be older. */
  reachesBack: boolean;
}

/**
 * Since when each candidate's run goes on. What it has found is remembered for the next time: a cache, found again
 * after a restart.
 */
export class RunSearch {
  readonly #store: Store;
  readonly #retentionMs: number;
  readonly #isPatient: boolean;
  #runs = new Map<string, KnownRun>();
  /** Of runs that began before the first look, what was found since. */
  readonly #beginnings = new Map<string, KnownRun>();
  /** Runs whose beginning is being looked for. */
  readonly #searching = new Set<string>();

  /** @param isPatient waits however long the beginning of a run takes to be found */
  constructor(store: Store, retentionMs: number, isPatient: boolean) {
    this.#store = store;
    this.#retentionMs = retentionMs;
    this.#isPatient = isPatient;
  }

  /** For each candidate, in order, when its run began; null: there is none. */
  async find(found: readonly Candidate[], at: number, reads: Reads<[]>): Promise<(number | null)[]> {
    const runs = new Map<string, KnownRun>();
    for (const stale of [false, true]) {
      const group = found.filter((candidate) => isStale(candidate.header, at) === stale);
      for (const [key, run] of await this.#findRuns(group, reads)) runs.set(key, run);
    }
    this.#runs = runs;
    for (const key of this.#beginnings.keys()) if (!runs.has(key)) this.#beginnings.delete(key);
    return found.map((candidate) => runs.get(candidate.key)?.since ?? null);
  }

  async #findRuns(group: readonly Candidate[], reads: Reads<[]>): Promise<Map<string, KnownRun>> {
    const runs = new Map<string, KnownRun>();
    const settle = (candidate: Candidate, run: Omit<KnownRun, 'time'>) =>
      runs.set(candidate.key, { ...run, time: candidate.header.time });
    const unknown = group.filter((candidate) => {
      const known = this.#knownOf(candidate);
      if (known?.time !== candidate.header.time) return true;
      settle(candidate, known);
      return false;
    });
    const first = Math.min(...unknown.map((candidate) => candidate.header.time));
    const open = new Map<Candidate, WindowedRun>();
    for (const [part, from] of this.#looksAt(unknown)) {
      for (const [index, seen] of (await look(part, from, reads)).entries()) {
        const candidate = part[index] as Candidate;
        const known = this.#knownOf(candidate);
        if (!seen.reachesBack) settle(candidate, { since: seen.since, mayBeOlder: seen.mayBeOlder });
        else if (known && goesOn(known, seen, candidate.forMs)) settle(candidate, { since: known.since ?? seen.since });
        else open.set(candidate, seen);
      }
    }
    const found = await this.#findBeginnings(open, first, reads);
    for (const [candidate, { since }] of open) settle(candidate, found.get(candidate) ?? { since, isOpen: true });
    return runs;
  }

  /** Those that are looked at together, each with from when on. */
  #looksAt(unknown: readonly Candidate[]): [Candidate[], number][] {
    const parts = groupBy(unknown, (candidate) => isFollowed(candidate, this.#knownOf(candidate)));
    return [
      ...together(parts.get(true) ?? []).map((part): [Candidate[], number] => [part, this.#followedFrom(part)]),
      ...together(parts.get(false) ?? []).map((part): [Candidate[], number] => [part, firstLookFrom(part)]),
    ];
  }

  /** What is known for certain of a candidate's run. */
  #knownOf({ key }: Candidate): KnownRun | undefined {
    const known = this.#runs.get(key);
    return known?.isOpen ? this.#beginnings.get(key) : known;
  }

  /** A stretch that reaches back to here is the one that was known. */
  #followedFrom(group: readonly Candidate[]): number {
    return Math.min(...group.map((candidate) => (this.#knownOf(candidate) as KnownRun).time - reachOf(candidate)));
  }

  /** As far as they are found in time: others are known to whoever evaluates next. */
  async #findBeginnings(
    open: ReadonlyMap<Candidate, WindowedRun>,
    first: number,
    reads: Reads<[]>,
  ): Promise<Map<Candidate, RunStart>> {
    if (this.#isPatient) return this.#search([...open.keys()], first, reads);
    const fresh = [...open.keys()].filter((candidate) => !this.#searching.has(candidate.key));
    if (fresh.length === 0) return new Map();
    for (const candidate of fresh) this.#searching.add(candidate.key);
    const wide = readsWithin(this.#store, { lane: 'background', signal: readLimit(longestSearchMs) });
    const searching = this.#search(fresh, first, wide)
      // It is older than the first look at least, and to look again would take as long.
      .catch(() => new Map(fresh.map((candidate) => [candidate, { since: open.get(candidate)?.since ?? null }])))
      .then((found: Map<Candidate, RunStart>) => this.#remember(fresh, found));
    return Promise.race([searching, sleep(patienceMs, new Map<Candidate, RunStart>(), { ref: false })]);
  }

  #remember(searched: readonly Candidate[], found: Map<Candidate, RunStart>): Map<Candidate, RunStart> {
    for (const [candidate, beginning] of found)
      this.#beginnings.set(candidate.key, { ...beginning, time: candidate.header.time });
    for (const candidate of searched) this.#searching.delete(candidate.key);
    return found;
  }

  /** Since when each of these runs goes on, further and further back. */
  async #search(group: readonly Candidate[], first: number, reads: Reads<[]>): Promise<Map<Candidate, RunStart>> {
    const found = new Map<Candidate, RunStart>();
    const longest = Math.max(this.#retentionMs, lookBackMs);
    let open = group;
    for (let backMs = lookBackMs * lookFurther; open.length > 0; backMs *= lookFurther) {
      const looks = await look(open, first - Math.min(backMs, longest), reads);
      open = open.filter((candidate, index) => {
        const { since, reachesBack, mayBeOlder } = looks[index] as WindowedRun;
        const isOver = backMs >= longest || !reachesBack;
        if (isOver) found.set(candidate, { since, mayBeOlder: mayBeOlder && !reachesBack });
        return !isOver;
      });
    }
    return found;
  }
}

/** Whether it is the same run still, or still none. One that had not lasted for long enough may have begun anew. */
function goesOn({ since, time }: KnownRun, seen: WindowedRun, forMs: number): boolean {
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

/** What begins within so long of a window's beginning may go on from before: one break is too short to end it, another not seen. */
function reachOf({ header, holdMs }: Candidate): number {
  return holdMs + 2 * gapOf(header);
}

function queryOf({ series, red, clear, forMs, holdMs, header }: Candidate): RunQuery {
  return { series, red, clear, forMs, holdMs, gapMs: gapOf(header), until: header.time };
}

/** The runs of these candidates as far as they can be seen from here on. */
async function look(group: readonly Candidate[], from: number, reads: Reads<[]>): Promise<WindowedRun[]> {
  if (group.length === 0) return [];
  const to = Math.max(...group.map((candidate) => candidate.header.time));
  const runs = await findRuns(reads, group.map(queryOf), { from, to });
  return runs.map((run, index) => {
    const reach = reachOf(group[index] as Candidate);
    return { ...run, reachesBack: run.heldSince !== null && run.heldSince - from <= reach };
  });
}
