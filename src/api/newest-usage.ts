import { setImmediate } from 'node:timers/promises';
import { emptyColumns, type ProcessColumns, pushUsage, type SnapshotHeader } from '../core/snapshot.ts';
import type { Reads } from '../core/store.ts';
import type { LatestUsage } from '../ingest/latest-usage.ts';

/** What of the newest snapshot of a host is told. */
export interface NewestUsage {
  host: string;
  processes: ProcessColumns;
  /** Which rows of these. */
  indexes: readonly number[];
}

/** Rows that are looked at in one turn of the event loop. */
const rowsPerTurn = 10_000;

/** Of each of these snapshots the highest by CPU and as many by memory, from memory as far as they are kept there. */
export async function newestUsage(
  snapshots: readonly SnapshotHeader[],
  top: number,
  latest: LatestUsage,
  reads: Reads<[]>,
): Promise<NewestUsage[]> {
  const found: NewestUsage[] = [];
  const missing: SnapshotHeader[] = [];
  let rows = 0;
  for (const header of snapshots) {
    const processes = latest.find(header)?.processes;
    if (processes === undefined) missing.push(header);
    else found.push({ host: header.host, processes, indexes: highest(processes, top) });
    rows += processes?.name.length ?? 0;
    if (rows < rowsPerTurn) continue;
    rows = 0;
    await setImmediate();
  }
  return missing.length === 0 ? found : [...found, ...(await storedUsage(missing, top, reads))];
}

async function storedUsage(
  snapshots: readonly SnapshotHeader[],
  top: number,
  reads: Reads<[]>,
): Promise<Iterable<NewestUsage>> {
  const byHost = new Map<string, NewestUsage & { indexes: number[] }>();
  for (const { host, time: _, ...usage } of await reads.rows(snapshots, { top })) {
    const ofHost = byHost.get(host) ?? { host, processes: emptyColumns(), indexes: [] };
    byHost.set(host, ofHost);
    ofHost.indexes.push(ofHost.indexes.length);
    pushUsage(ofHost.processes, usage);
  }
  return byHost.values();
}

function highest({ name, cpu, memory }: ProcessColumns, top: number): number[] {
  const all = [...name.keys()];
  return name.length <= top ? all : [...new Set([...highestOf(cpu, top), ...highestOf(memory, top)])];
}

/** Where the so many highest values are. What is not known is lowest. */
function highestOf(values: readonly (number | null)[], top: number): number[] {
  const sorted = Float64Array.from(values, (value) => value ?? -1).sort();
  const least = sorted[sorted.length - top] as number;
  const [over, even]: [number[], number[]] = [[], []];
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? -1;
    if (value > least) over.push(index);
    else if (value === least) even.push(index);
  }
  return [...over, ...even.slice(0, top - over.length)];
}
