import type { Sample } from '../core/sample.ts';

/** Null: the process was there, and its value is not known. */
export interface StoredPoint {
  time: number;
  value: number | null;
}

/** The points of a process by time, and between them the snapshots of its host that it is not in. */
export function withExits(points: readonly StoredPoint[], sweeps: readonly number[]): Sample[] {
  const times = new Set(points.map(({ time }) => time));
  const exits = sweeps.filter((time) => !times.has(time)).map((time): Sample => ({ time, value: 'exited' }));
  return [...points, ...exits].sort((a, b) => a.time - b.time);
}
