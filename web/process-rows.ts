import { useMemo } from 'preact/hooks';
import type { NewestAnswer } from '../src/wire/newest.ts';
import { timeQuery } from './place.ts';
import { useAnswer } from './server.ts';

/** A process name of a host, as it was in its newest snapshot. */
export interface ProcessRow {
  host: string;
  name: string;
  cpu: number | null;
  memory: number | null;
  instances: number | null;
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
  const { data, problem } = useAnswer<NewestAnswer>(`/v1/usage/newest?top=${top}${of}${timeQuery()}`, 10_000);
  const rows = useMemo(() => data && rowsOf(data), [data]);
  return { rows, problem };
}

function rowsOf({ hosts }: NewestAnswer): ProcessRow[] {
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
