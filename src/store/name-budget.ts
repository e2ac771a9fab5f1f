import { dayOf } from '../core/clock.ts';
import { processColumn, processColumnIds, roundTo } from '../core/metric.ts';
import { isPrometheus } from '../core/sample.ts';
import {
  emptyColumns,
  otherName,
  type ProcessColumns,
  type ProcessUsage,
  pushUsage,
  reservedNames,
  type Snapshot,
  unknownUsage,
  usageAt,
} from '../core/snapshot.ts';
import { newNamesDefault, newSeriesDefault, type StoreOptions } from '../core/store.ts';

const mostInstances = 2 ** 31 - 1;

interface Spent {
  names: number;
  /** When the first name was too many. */
  foldedSince: number | null;
}

/**
 * How many process names that nobody has had before each host may still bring along today: names are kept for as
 * long as their rows, by every engine, and one that makes up a new one for every process would fill it.
 */
export class NameBudget<Host> {
  readonly perDay: (host: Host) => number;
  readonly #spent = new Map<Host, Spent>();
  #day = Number.NaN;

  constructor(perDay: (host: Host) => number) {
    this.perDay = perDay;
  }

  left(host: Host, now: number): number {
    return Math.max(0, this.perDay(host) - this.#of(host, now).names);
  }

  /** Less than 0: what was not stored after all. */
  spend(host: Host, names: number, now: number): void {
    this.#of(host, now).names += names;
  }

  /** Since when names of this host are folded today. */
  fold(host: Host, now: number): number {
    const spent = this.#of(host, now);
    spent.foldedSince ??= now;
    return spent.foldedSince;
  }

  /** Null: none are. */
  foldedSince(host: Host, now: number): number | null {
    return this.#of(host, now).foldedSince;
  }

  #of(host: Host, now: number): Spent {
    const day = dayOf(now);
    if (day !== this.#day) this.#spent.clear();
    this.#day = day;
    const known = this.#spent.get(host);
    if (known !== undefined) return known;
    const spent = { names: 0, foldedSince: null };
    this.#spent.set(host, spent);
    return spent;
  }
}

/**
 * Lets in the new names of a snapshot, as far as its host may bring them along today, and folds the others.
 * @param known all names that are not new; those that are let in are added
 * @returns whether there were new ones
 */
export function admitNames(
  snapshot: Snapshot,
  known: Set<string>,
  budget: NameBudget<string>,
  now: number,
  warn: (message: string) => void,
): boolean {
  const { host, processes, metrics } = snapshot;
  const unknown = processes.name.filter((name) => !known.has(name) && !reservedNames.has(name));
  const foldedSince = budget.foldedSince(host, now);
  if (foldedSince !== null) metrics['collector.foldedSinceMs'] = foldedSince;
  const admitted = unknown.slice(0, budget.left(host, now));
  for (const name of admitted) known.add(name);
  budget.spend(host, admitted.length, now);
  if (admitted.length < unknown.length) {
    if (foldedSince === null) warn(foldingWarning(host, budget.perDay(host)));
    foldNames(snapshot, new Set(unknown.slice(admitted.length)), budget.fold(host, now));
  }
  return unknown.length > 0;
}

/** Whether a series that nobody had before may be kept: one more of its owner's today. Said once a day. */
export function admitSeries(
  owner: string,
  budget: NameBudget<string>,
  now: number,
  warn: (message: string) => void,
): boolean {
  if (budget.left(owner, now) > 0) {
    budget.spend(owner, 1, now);
    return true;
  }
  if (budget.foldedSince(owner, now) === null) warn(tooManySeries(owner, budget.perDay(owner)));
  budget.fold(owner, now);
  return false;
}

export function tooManySeries(owner: string, perDay: number): string {
  const flag = isPrometheus(owner) ? '--new-series' : '--new-names';
  return `${owner.trim() || 'who names neither host nor source'} has sent more than ${perDay} new series today: further ones are not stored until midnight UTC; see which label changes all the time, or allow more with ${flag}`;
}

/** How many series that nobody has had before one owner may bring along in a day. */
export function seriesPerDay(
  options: Pick<StoreOptions, 'newNamesPerDay' | 'newSeriesPerDay'>,
): (owner: string) => number {
  const { newNamesPerDay = newNamesDefault, newSeriesPerDay = newSeriesDefault } = options;
  return (owner) => (isPrometheus(owner) ? newSeriesPerDay : newNamesPerDay);
}

/** What is said of a host once a day. */
export function foldingWarning(host: string, perDay: number): string {
  return `${host} has sent more than ${perDay} new process names today: further ones are counted in ${otherName} until midnight UTC; see what makes up names there, or allow more with --new-names`;
}

/** Puts these names of a snapshot into `__other__`, and marks it. */
export function foldNames(snapshot: Snapshot, names: ReadonlySet<string>, since: number): void {
  const { processes, metrics } = snapshot;
  const isFolded = (name: string) => names.has(name) && !reservedNames.has(name);
  const kept = emptyColumns();
  const folded: number[] = [];
  for (const [index, name] of processes.name.entries()) {
    if (isFolded(name) || name === otherName) folded.push(index);
    else pushUsage(kept, usageAt(processes, index));
  }
  const count = folded.filter((index) => processes.name[index] !== otherName).length;
  pushUsage(kept, sumOf(processes, folded));
  snapshot.processes = kept;
  metrics['collector.foldedNames'] = (metrics['collector.foldedNames'] ?? 0) + count;
  metrics['collector.foldedSinceMs'] = since;
}

/** Of these rows; a sum that no column holds is as much as one does. */
function sumOf(processes: ProcessColumns, indexes: readonly number[]): ProcessUsage {
  const sum = unknownUsage(otherName);
  for (const id of processColumnIds) {
    const column = processColumn(id);
    const values = indexes.map((index) => processes[id][index] ?? null).filter((value) => value !== null);
    if (id === 'count') sum.count = Math.min(mostInstances, addUp(values)) || 1;
    else if (column.instances !== undefined && values.length > 0)
      sum[id] =
        column.instances.add === 'max'
          ? highest(values)
          : roundTo(column.decimals, Math.min(column.most, addUp(values)));
  }
  return sum;
}

function addUp(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function highest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
}
