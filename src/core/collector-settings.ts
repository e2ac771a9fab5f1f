/** What somebody wants of a collector, whatever it was started with. */
export interface DesiredSettings {
  /** Null: its own. */
  intervalMs: number | null;
  /** It only says that it lives. */
  isPaused: boolean;
}

/** Nothing is wanted of it: it does as it was started. */
export const nothingDesired: Readonly<DesiredSettings> = { intervalMs: null, isPaused: false };

/** What a collector can be told: as what it can be started with. */
export const intervalBounds = { leastMs: 500, mostMs: 3_600_000 };

export function isSameDesired(a: DesiredSettings, b: DesiredSettings): boolean {
  return a.intervalMs === b.intervalMs && a.isPaused === b.isPaused;
}
