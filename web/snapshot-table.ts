/** Columns of equal length, as `format=columns` has them; oldest first. */
export interface SnapshotTable {
  host: readonly string[];
  process: readonly string[];
  time: readonly string[];
  cpu: readonly (number | null)[];
  memory: readonly (number | null)[];
  count: readonly (number | null)[];
}

export interface ProcessRow {
  host: string;
  name: string;
  cpu: number | null;
  memory: number | null;
  instances: number | null;
}

/** The rows of the newest snapshot of each host. */
export function newestRows({ host, process, time, cpu, memory, count }: SnapshotTable): ProcessRow[] {
  const newest = new Map<string, string>();
  for (const [index, name] of host.entries()) newest.set(name, time[index] as string);
  const rows: ProcessRow[] = [];
  for (const [index, name] of host.entries()) {
    if (newest.get(name) !== time[index]) continue;
    rows.push({
      host: name,
      name: process[index] as string,
      cpu: cpu[index] ?? null,
      memory: memory[index] ?? null,
      instances: count[index] ?? null,
    });
  }
  return rows;
}
