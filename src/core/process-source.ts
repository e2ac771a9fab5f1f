import type { Measure } from './metric.ts';

/** One live process at one sweep, with what the catalogue wants to know of each; absent: not known. */
export interface SampledProcess extends Partial<Record<Exclude<Measure, 'memory'>, number | null>> {
  pid: number;
  name: string;
  /** Percent of one core since the sweep before; null where that cannot be known. */
  cpu: number | null;
  rssBytes: number;
  /** A kernel thread. */
  kernel: boolean;
}

/** All processes of the host at one instant. They are good until the next sweep. */
export interface Sweep {
  processes: Iterable<SampledProcess>;
  /**
   * CPU of the whole host since the sweep before, percent of one core, as exactly as the system tells; null on the
   * first. It may be less than the processes have used.
   */
  busy: number | null;
  /** Usable cores; fractional under a cgroup quota. */
  cores: number;
  memoryBytes: number;
  limitedBy: 'host' | 'cgroup';
  /** Used memory in bytes, where the limit is a cgroup's; null: ask the system. */
  usedBytes: number | null;
}

/** Where processes come from. Every source passes the same contract suite (test/collector). */
export interface ProcessSource {
  /** @throws MonitorError `unavailable` when the host does not let processes be listed at all. */
  sweep(): Promise<Sweep>;
  close(): void;
}
