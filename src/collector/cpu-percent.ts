/** What a process had used by when. */
export interface CpuReading {
  /** Cumulative CPU time, in any unit of which `perSecond` make a second. */
  used: number;
  /** Monotonic milliseconds at which it was read. */
  at: number;
}

/** Percent of one core between two readings of one process; time that went back counts as none. */
export function cpuPercent(before: CpuReading, now: CpuReading, perSecond: number): number | null {
  const seconds = (now.at - before.at) / 1000;
  return seconds > 0 ? (Math.max(0, now.used - before.used) / perSecond / seconds) * 100 : null;
}
