import { emptyColumns, type ProcessUsage, pushUsage, type Snapshot, unknownUsage } from '../src/core/snapshot.ts';

/** Noon of an ordinary day, in milliseconds. */
export const noon = Date.UTC(2026, 10, 20, 12);

export type UsageGiven = Partial<ProcessUsage> & { name: string };

/** A usage row in which everything not given follows from cpu and memory. */
export function makeUsage({ name, ...given }: UsageGiven): ProcessUsage {
  const cpu = given.cpu === undefined ? 1 : given.cpu;
  const memory = given.memory === undefined ? 2 : given.memory;
  return { ...unknownUsage(name), cpu, cpuMax: cpu, memory, memoryMax: memory, ...given };
}

export function makeSnapshot(
  given: Partial<Omit<Snapshot, 'processes'>> & { processes?: UsageGiven[] } = {},
): Snapshot {
  const processes = emptyColumns();
  for (const usage of given.processes ?? [{ name: 'nginx' }]) pushUsage(processes, makeUsage(usage));
  return {
    host: 'web-01',
    ip: '10.0.0.5',
    time: noon,
    intervalMs: 10_000,
    bootId: 'boot-1',
    cores: 8,
    memoryBytes: 32_000_000_000,
    limitedBy: 'host',
    metrics: { 'system.cpu': 10 },
    ...given,
    processes,
  };
}
