/** Time as an argument. Only cli/real-clock.ts makes a real one. */
export interface Clock {
  /** Wall time, milliseconds since the epoch. It may jump: use it for timestamps only. */
  now(): number;
  /** Milliseconds from an arbitrary start. It never goes back: use it for durations. */
  monotonic(): number;
  /** The same with the time the machine was suspended, where the platform tells. Dearer to ask for. */
  sinceBoot?(): number;
}

export const dayMs = 86_400_000;

/** The day of UTC an instant lies in, counted from 1970. */
export function dayOf(time: number): number {
  return Math.floor(time / dayMs);
}
