import {
  type Alarm,
  type Alarms,
  alarmId,
  type Candidate,
  candidates,
  evaluate,
  isStale,
  prefilter,
  staleIntervals,
} from '../core/alarm.ts';
import type { Clock } from '../core/clock.ts';
import { reservedNames, type SnapshotHeader } from '../core/snapshot.ts';
import type { RunQuery, Store, UsageRow } from '../core/store.ts';
import type { Threshold } from '../core/threshold.ts';

/** Most runs began within this; only longer ones cost a search through the whole history. */
const lookBackMs = 3_600_000;
/** Processes named as the cause of a host's alarm. */
const culpritCount = 3;

interface KnownRun {
  /** Of the snapshot it was found for. */
  time: number;
  since: number | null;
}

/**
 * Computes the alarms from stored data at any instant. The runs it remembers are a cache: they save the
 * search for the beginning of a run that goes on, and are found again after a restart.
 */
export class AlarmReader {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #thresholds: readonly Threshold[];
  readonly #retentionMs: number;
  #runs = new Map<string, KnownRun>();
  #current: Promise<Alarms> | null = null;

  constructor(store: Store, clock: Clock, thresholds: readonly Threshold[], retentionMs: number) {
    this.#store = store;
    this.#clock = clock;
    this.#thresholds = thresholds;
    this.#retentionMs = retentionMs;
  }

  /** The alarms now. Callers at the same time share one evaluation. */
  now(): Promise<Alarms> {
    this.#current ??= this.at(this.#clock.now()).finally(() => {
      this.#current = null;
    });
    return this.#current;
  }

  async at(at: number): Promise<Alarms> {
    const hosts = await this.#store.hosts(at);
    const rows = await this.#store.rowsOf(hosts, prefilter(this.#thresholds, hosts));
    const found = candidates(this.#thresholds, hosts, rows);
    const alarms = evaluate(at, hosts, found, await this.#since(found, at));
    return { ...alarms, alarms: await this.#withCulprits(alarms.alarms, hosts) };
  }

  async #since(found: readonly Candidate[], at: number): Promise<(number | null)[]> {
    const runs = new Map<string, KnownRun>();
    for (const stale of [false, true]) {
      const group = found.filter((candidate) => isStale(candidate.header, at) === stale);
      for (const [key, run] of await this.#findRuns(group)) runs.set(key, run);
    }
    this.#runs = runs;
    return found.map((candidate) => runs.get(runKey(candidate))?.since ?? null);
  }

  async #findRuns(group: readonly Candidate[]): Promise<Map<string, KnownRun>> {
    const runs = new Map<string, KnownRun>();
    const open: Candidate[] = [];
    const unknown = group.filter((candidate) => {
      const known = this.#runs.get(runKey(candidate));
      if (known?.time !== candidate.header.time) return true;
      runs.set(runKey(candidate), known);
      return false;
    });
    const from = Math.min(...unknown.map((candidate) => candidate.header.time)) - lookBackMs;
    for (const [candidate, since] of await this.#search(unknown, from)) {
      const before = this.#runs.get(runKey(candidate));
      const reachesBack = since !== null && since - from <= gapOf(candidate.header);
      const goesOn = reachesBack && before && before.since !== null && before.time >= since;
      if (reachesBack && !goesOn) open.push(candidate);
      else runs.set(runKey(candidate), { time: candidate.header.time, since: goesOn ? before.since : since });
    }
    for (const [candidate, since] of await this.#search(open, from + lookBackMs - this.#retentionMs)) {
      runs.set(runKey(candidate), { time: candidate.header.time, since });
    }
    return runs;
  }

  async #search(group: readonly Candidate[], from: number): Promise<[Candidate, number | null][]> {
    if (group.length === 0) return [];
    const to = Math.max(...group.map((candidate) => candidate.header.time));
    const queries: RunQuery[] = group.map(({ series, red, clear, header }) => ({
      series,
      red,
      clear,
      gapMs: gapOf(header),
    }));
    const since = await this.#store.runs(queries, { from, to });
    return group.map((candidate, index) => [candidate, since[index] ?? null]);
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

function runKey(candidate: Candidate): string {
  return alarmId(candidate.series, candidate.threshold.metric);
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
