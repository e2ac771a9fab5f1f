import { useMemo } from 'preact/hooks';
import type { NewestAnswer } from '../src/wire/newest.ts';
import { at, timeQuery } from './place.ts';
import { useAnswer } from './server.ts';

/** A process name of a host, as it was in its newest snapshot. */
export interface ProcessRow {
  host: string;
  name: string;
  cpu: number | null;
  memory: number | null;
  instances: number | null;
}

/** Columns of equal length, as `format=columns` has them; oldest first. */
interface SnapshotTable {
  host: readonly string[];
  process: readonly string[];
  time: readonly string[];
  cpu: readonly (number | null)[];
  memory: readonly (number | null)[];
  count: readonly (number | null)[];
}

/**
 * The processes of every host, or of one, at the time that is looked at; null: not known yet.
 * @param top of each host the highest so many; 0: all
 */
export function useProcessRows(
  host: string | undefined,
  top: number,
): { rows: ProcessRow[] | null; problem: string | null } {
  const of = host === undefined ? '' : `&host=${encodeURIComponent(host)}`;
  const isPast = at.value !== null;
  const now = useAnswer<NewestAnswer>(isPast ? null : `/v1/usage/newest?top=${top}${of}`, 10_000);
  const then = useAnswer<SnapshotTable>(
    isPast ? `/v1/usage/detailed?format=columns&limit=50000&window=30s${of}${timeQuery()}` : null,
  );
  const rows = useMemo(
    () => (isPast ? then.data && rowsThen(then.data) : now.data && rowsNow(now.data)),
    [isPast, now.data, then.data],
  );
  return { rows, problem: isPast ? then.problem : now.problem };
}

function rowsNow({ hosts }: NewestAnswer): ProcessRow[] {
  return hosts.flatMap(({ host, process, cpu, memory, count }) =>
    process.map((name, index) => ({
      host,
      name,
      cpu: cpu[index] ?? null,
      memory: memory[index] ?? null,
      instances: count[index] ?? null,
    })),
  );
}

/** Of each host those of its last snapshot by then. */
function rowsThen({ host, process, time, cpu, memory, count }: SnapshotTable): ProcessRow[] {
  const newest = new Map(host.map((name, index) => [name, time[index]]));
  return host.flatMap((name, index) =>
    newest.get(name) !== time[index]
      ? []
      : [
          {
            host: name,
            name: process[index] as string,
            cpu: cpu[index] ?? null,
            memory: memory[index] ?? null,
            instances: count[index] ?? null,
          },
        ],
  );
}
