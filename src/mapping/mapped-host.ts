import { staleIntervals } from '../core/alarm.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { HostFigures, Instant } from './instant.ts';
import type { MappedSeries, Told } from './mapped-series.ts';
import type { Mapping } from './mapping.ts';
import { ToldByTarget } from './told-by-target.ts';

/** Figures of the host as a whole that are remembered: of a part of the past many come at once. */
const mostFigures = 500;
const leastReachMs = 45_000;
/** After so long what tells of the host goes on without what told of its processes: by then it is known to be STALE. */
const givenUpMs = 600_000;

/** A host of which others tell. */
export class MappedHost {
  readonly name: string;
  /** Whose series tell of it: those of another say nothing of this one. */
  readonly owner: string;
  readonly #told = new Map<string, ToldByTarget>();
  #figures: HostFigures[] = [];

  constructor(name: string, owner: string) {
    this.name = name;
    this.owner = owner;
  }

  /** @param now monotonic */
  add(series: MappedSeries, told: Told, now: number): void {
    const key = JSON.stringify([series.mapping.name, series.target]);
    const byTarget = this.#told.get(key) ?? new ToldByTarget(series.mapping, series.target);
    this.#told.set(key, byTarget);
    byTarget.add(series, told, now);
  }

  /** Monotonic: when somebody told of it last. */
  get touchedAt(): number {
    return Math.max(...[...this.#told.values()].map(({ touchedAt }) => touchedAt));
  }

  isReady(now: number, all: boolean): boolean {
    return [...this.#told.values()].some((told) => told.hasReady(now, all));
  }

  /**
   * The snapshots that are complete, and what somebody should know of them. What tells of processes sets when one is:
   * without it what tells of the host does.
   * @param order of the mappings, as they are configured
   */
  snapshots(
    now: number,
    all: boolean,
    order: readonly Mapping[],
    ipOf: (name: string) => string | null,
  ): { snapshots: Snapshot[]; notes: string[] } {
    const notes = new Set<string>();
    const main = this.#main(now, order, notes);
    const found: Instant[] = [];
    for (const told of this.#told.values())
      for (const instant of told.settle(now, all)) {
        this.#keepFigures(instant.hostFigures());
        if (told === main && instant.isTelling) found.push(instant);
      }
    const intervalMs = main?.intervalMs ?? leastReachMs;
    const snapshots = found.map((instant) => this.#snapshot(instant, intervalMs, ipOf, notes));
    return { snapshots, notes: [...notes] };
  }

  /** One target of one mapping: another one would tell of the same once more. */
  #main(now: number, order: readonly Mapping[], notes: Set<string>): ToldByTarget | undefined {
    const alive = [...this.#told.values()].filter(({ touchedAt }) => now - touchedAt < givenUpMs);
    const ofProcesses = alive.filter(({ mapping }) => mapping.process !== null);
    const candidates = ofProcesses.length > 0 ? ofProcesses : alive;
    const [main, other] = candidates.toSorted(
      (a, b) => order.indexOf(a.mapping) - order.indexOf(b.mapping) || (a.target < b.target ? -1 : 1),
    );
    if (main !== undefined && other !== undefined)
      notes.add(
        `${main.mapping.name} (${main.target}) tells of it, and what ${other.mapping.name} (${other.target}) tells of it is not counted twice`,
      );
    return main;
  }

  #snapshot(instant: Instant, intervalMs: number, ipOf: (name: string) => string | null, notes: Set<string>): Snapshot {
    const { time } = instant;
    const reach = Math.max(leastReachMs, staleIntervals * intervalMs);
    const near = this.#figures.filter((figures) => Math.abs(figures.time - time) <= reach);
    near.sort((a, b) => Math.abs(b.time - time) - Math.abs(a.time - time));
    const cores = near.findLast((figures) => figures.cores !== null)?.cores ?? null;
    const memoryBytes = near.findLast((figures) => figures.memoryBytes !== null)?.memoryBytes ?? null;
    const processes = instant.processes(memoryBytes);
    if (processes.name.length > 0 && memoryBytes === null)
      notes.add(
        'how much memory it has nobody tells, so what its processes take is not known in percent; node-exporter would tell',
      );
    return {
      host: this.name,
      ip: ipOf(this.name),
      time,
      intervalMs,
      bootId: null,
      cores,
      memoryBytes,
      limitedBy: 'host',
      metrics: { ...Object.assign({}, ...near.map(({ metrics }) => metrics)), 'collector.mapped': 1 },
      processes,
    };
  }

  #keepFigures(figures: HostFigures): void {
    if (figures.cores === null && figures.memoryBytes === null && Object.keys(figures.metrics).length === 0) return;
    this.#figures.push(figures);
    if (this.#figures.length > mostFigures) this.#figures = this.#figures.slice(-mostFigures / 2);
  }
}
