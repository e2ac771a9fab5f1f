import type { AlarmsAnswer } from '../wire/alarm.ts';
import type { NewestAnswer } from '../wire/newest.ts';

/** A process name of a host, as its newest snapshot has it. */
export interface ProcessRow {
  host: string;
  name: string;
  pid: number | null;
  instances: number | null;
  cpu: number | null;
  memory: number | null;
  level: 'RED' | 'AMBER' | '';
  etaSeconds: number | null;
  /** CPU of the last looks, oldest first. */
  trend: readonly number[];
}

export const sortKeys = ['cpu', 'memory', 'name'] as const;
export type SortKey = (typeof sortKeys)[number];

const longestTrend = 12;

/** Every process of the newest snapshots, with what the alarms say of them. */
export function processRows(
  { hosts }: NewestAnswer,
  alarms: AlarmsAnswer['alarms'],
  before: ReadonlyMap<string, ProcessRow> = new Map(),
): ProcessRow[] {
  const told = new Map(
    alarms.flatMap((alarm) =>
      alarm.subject.kind === 'process' ? [[keyOf(alarm.host, alarm.subject.name ?? ''), alarm]] : [],
    ),
  );
  return hosts.flatMap(({ host, process, cpu, memory, count, pid }) =>
    process.map((name, index): ProcessRow => {
      const key = keyOf(host, name);
      const alarm = told.get(key);
      return {
        host,
        name,
        pid: pid[index] ?? null,
        instances: count[index] ?? null,
        cpu: cpu[index] ?? null,
        memory: memory[index] ?? null,
        level: alarm?.level ?? '',
        etaSeconds: alarm?.prediction?.etaSeconds ?? null,
        trend: [...(before.get(key)?.trend ?? []), cpu[index] ?? 0].slice(-longestTrend),
      };
    }),
  );
}

export function keyOf(host: string, name: string): string {
  return `${host}\n${name}`;
}

/** Those whose host or name has the filter in it: what is RED first where it is by use, then as asked. */
export function shownRows(rows: readonly ProcessRow[], filter: string, by: SortKey): ProcessRow[] {
  const wanted = filter.toLowerCase();
  const found = rows.filter(({ host, name }) => `${name} ${host}`.toLowerCase().includes(wanted));
  if (by === 'name')
    return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.host < b.host ? -1 : 1));
  return found.sort((a, b) => (b[by] ?? -1) - (a[by] ?? -1));
}
