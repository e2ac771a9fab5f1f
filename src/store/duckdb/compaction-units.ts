import { hourMs, layouts, minuteMs, sliceMs } from './layouts.ts';
import { num } from './sql-text.ts';

/** Tables whose rows leave them for files, and how long after the end of their hour or day. */
export const closedAfterMs = { usage: hourMs, hour: 3 * hourMs, bucket: 3 * hourMs };
export type Table = keyof typeof closedAfterMs;
/** What is counted together, to be divided between files or not. */
export const countedMs: Record<Table, number> = { usage: sliceMs, hour: hourMs, bucket: hourMs };

/** Rows of some time and of hosts whose ids follow each other. */
export interface Stretch {
  since: number;
  until: number;
  firstHost: number;
  lastHost: number;
}

/** Those of a table that are closed together. */
export interface Unit extends Stretch {
  table: Table;
  rows: number;
}

export type Counted = Omit<Unit, 'table' | 'until'>;

/** What follows in one hour, or day, together as far as one file holds it: what lies together is cheap to let go of. */
export function unitsOf(table: Table, all: readonly Counted[]): Unit[] {
  const { lengthMs, mostRows } = layouts[table];
  const units: Unit[] = [];
  for (const counted of all) {
    const last = units.at(-1);
    const isNext = last !== undefined && Math.floor(last.since / lengthMs) === Math.floor(counted.since / lengthMs);
    if (isNext && last.rows + counted.rows <= mostRows) {
      last.until = counted.since + countedMs[table];
      last.rows += counted.rows;
      last.firstHost = Math.min(last.firstHost, counted.firstHost);
      last.lastHost = Math.max(last.lastHost, counted.lastHost);
    } else units.push(...dividedOf(table, counted));
  }
  return units;
}

/** What is too much for one file, in whole minutes each; roll-ups of one hour have all the same time. */
function dividedOf(table: Table, counted: Counted): Unit[] {
  const lengthMs = countedMs[table];
  const { since, rows } = counted;
  const most = table === 'usage' ? lengthMs / minuteMs : 1;
  const pieces = Math.min(most, Math.max(1, Math.ceil(rows / layouts[table].mostRows)));
  const at = (piece: number) => since + Math.round((lengthMs * piece) / pieces / minuteMs) * minuteMs;
  return Array.from({ length: pieces }, (_, k) => ({
    ...counted,
    table,
    since: at(k),
    until: at(k + 1),
    rows: rows / pieces,
  }));
}

export function whereOf({ since, until, firstHost, lastHost }: Stretch): string {
  return `time >= ${num(since)} AND time < ${num(until)} AND host BETWEEN ${firstHost} AND ${lastHost}`;
}

/** One after the other. */
export function slicesOf<S extends Stretch>(unit: S, lengthMs: number): S[] {
  const slices: S[] = [];
  for (let since = unit.since; since < unit.until; since += lengthMs)
    slices.push({ ...unit, since, until: Math.min(unit.until, since + lengthMs) });
  return slices;
}

/** Of one host in a unit. */
export interface HostRows {
  host: number;
  rows: number;
  names: number;
}

/** The unit by hosts, as many together as weigh so much at most; at least one. */
export function groupsOf(
  unit: Stretch,
  hosts: readonly HostRows[],
  weigh: (host: HostRows) => number,
  most: number,
): Stretch[] {
  const groups: (Stretch & { weight: number })[] = [];
  for (const each of hosts) {
    const weight = weigh(each);
    const last = groups.at(-1);
    if (last !== undefined && last.weight + weight <= most) {
      last.lastHost = each.host;
      last.weight += weight;
    } else groups.push({ ...unit, firstHost: each.host, lastHost: each.host, weight });
  }
  return groups;
}
