import { staleIntervals } from '../core/alarm.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { type HostFigures, Instant } from './instant.ts';
import type { MappedSeries, ToldValue } from './mapped-series.ts';
import type { Mapping } from './mapping.ts';

/** A scrape comes in several parts, within some seconds: Prometheus sends each after five at most. */
const settledMs = 10_000;
/** After so long without another part one that is as large as the one before is complete. */
const completeMs = 1500;
/** How often it is scraped is known from the second time on. */
const firstIntervalMs = 60_000;
/** What is scraped more often comes late all the same: it is not silent. */
const [leastIntervalMs, mostIntervalMs] = [10_000, 3_600_000];
const rememberedGaps = 5;
/** Of the past come many at once. */
const mostFigures = 2000;

/** What one mapping tells of a host, instant by instant. */
interface Told {
  readonly mapping: Mapping;
  readonly instants: Map<number, Instant>;
  /** Samples of the newest instant that is settled. */
  samples: number;
  newest: number;
  gaps: number[];
  /** Instants that are done: what comes of them afterwards is too late. */
  done: number[];
}

const rememberedInstants = 1000;

/** A host of which others tell. */
export class MappedHost {
  readonly name: string;
  readonly #told = new Map<Mapping, Told>();
  /** Of the host as a whole, those that came last. */
  #figures: HostFigures[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** @param now monotonic */
  add({ mapping, process }: MappedSeries, time: number, values: readonly ToldValue[], now: number): void {
    const told: Told = this.#told.get(mapping) ?? {
      mapping,
      instants: new Map(),
      samples: 0,
      newest: 0,
      gaps: [],
      done: [],
    };
    this.#told.set(mapping, told);
    const { stepMs } = mapping;
    const at = stepMs === null ? time : Math.ceil(time / stepMs) * stepMs;
    if (told.done.includes(at)) return;
    const instant = told.instants.get(at) ?? new Instant(at);
    told.instants.set(at, instant);
    instant.add(process, values, now);
  }

  isReady(now: number, all: boolean): boolean {
    return [...this.#told.values()].some((told) => ready(told, now, all).length > 0);
  }

  /**
   * The snapshots that are complete, and what is missing for them to tell all. What tells of processes sets when one is:
   * without it what tells of the host does.
   */
  snapshots(
    now: number,
    all: boolean,
    ipOf: (name: string) => string | null,
  ): { snapshots: Snapshot[]; missing: string[] } {
    const [ofProcesses, ...others] = [...this.#told.values()].filter(({ mapping }) => mapping.process !== null);
    const found: { instant: Instant; intervalMs: number }[] = [];
    for (const told of this.#told.values()) {
      const settled = ready(told, now, all);
      for (const instant of settled) {
        settle(told, instant);
        this.#keepFigures(instant.hostFigures());
        const isMain = ofProcesses === undefined || ofProcesses === told;
        if (isMain && instant.isTelling) found.push({ instant, intervalMs: intervalOf(told) });
      }
    }
    const missing = new Set<string>();
    for (const { mapping } of others)
      missing.add(
        `${ofProcesses?.mapping.name} tells of its processes, and what ${mapping.name} tells of them is not counted twice`,
      );
    const snapshots = found.map(({ instant, intervalMs }) => this.#snapshot(instant, intervalMs, ipOf, missing));
    return { snapshots, missing: [...missing] };
  }

  #snapshot(
    instant: Instant,
    intervalMs: number,
    ipOf: (name: string) => string | null,
    missing: Set<string>,
  ): Snapshot {
    const { time } = instant;
    const reach = staleIntervals * Math.max(intervalMs, firstIntervalMs / 4);
    const near = this.#figures.filter((figures) => Math.abs(figures.time - time) <= reach);
    near.sort((a, b) => Math.abs(b.time - time) - Math.abs(a.time - time));
    const cores = near.findLast((figures) => figures.cores !== null)?.cores ?? null;
    const memoryBytes = near.findLast((figures) => figures.memoryBytes !== null)?.memoryBytes ?? null;
    if (instant.hasProcesses && memoryBytes === null)
      missing.add(
        'how much memory it has nobody tells, so that of its processes is not known in percent; node-exporter would tell',
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
      processes: instant.processes(memoryBytes),
    };
  }

  #keepFigures(figures: HostFigures): void {
    if (figures.cores === null && figures.memoryBytes === null && Object.keys(figures.metrics).length === 0) return;
    this.#figures.push(figures);
    if (this.#figures.length > mostFigures) this.#figures = this.#figures.slice(-mostFigures / 2);
  }
}

/** Instants that nothing more is expected of, oldest first. */
function ready(told: Told, now: number, all: boolean): Instant[] {
  const settled = [...told.instants.values()].filter(({ samples, touchedAt }) => {
    const quietMs = now - touchedAt;
    return all || quietMs >= settledMs || (quietMs >= completeMs && told.samples > 0 && samples >= told.samples);
  });
  return settled.sort((a, b) => a.time - b.time);
}

function settle(told: Told, { time, samples }: Instant): void {
  told.instants.delete(time);
  told.done.push(time);
  if (told.done.length > rememberedInstants) told.done = told.done.slice(-rememberedInstants / 2);
  if (time <= told.newest) return;
  if (told.newest > 0) told.gaps = [...told.gaps, time - told.newest].slice(-rememberedGaps);
  told.newest = time;
  told.samples = samples;
}

/** How often it is scraped: an outage is no interval. */
function intervalOf({ gaps, mapping }: Told): number {
  const usual = gaps.length === 0 ? firstIntervalMs : Math.min(...gaps);
  return Math.min(mostIntervalMs, Math.max(leastIntervalMs, mapping.stepMs ?? 0, usual));
}
