import { groupBy } from '../platform/group-by.ts';
import { type UsageMetric, usageMetrics } from './metric.ts';
import type { ProcessUsage } from './snapshot.ts';

export type UsageRow = ProcessUsage & { host: string; time: number };

/** One snapshot by its name. */
export interface SnapshotKey {
  host: string;
  time: number;
}

export function snapshotKey({ host, time }: SnapshotKey): string {
  return JSON.stringify([host, time]);
}

/** Rows in which at least one metric is over its level. */
export type Above = Partial<Record<UsageMetric, number>>;

/** Which rows of a snapshot: those that are `above`, or the `top` of each host by CPU and as many by memory; absent: all. */
export interface RowsWanted {
  above?: Above;
  /** With `above`: also those of names that were so on their host within so long before; a few that were not may come along. */
  withinMs?: number;
  top?: number;
}

/** Those of these rows that are wanted; `wasAbove` knows those that have been above. */
export function wantedOf(
  rows: readonly UsageRow[],
  { above, top }: RowsWanted,
  wasAbove: (row: UsageRow) => boolean = () => false,
): UsageRow[] {
  const over = above ? rows.filter((row) => isAbove(row, above) || wasAbove(row)) : [...rows];
  if (top === undefined) return over;
  const found = new Set<UsageRow>();
  for (const group of groupBy(over, snapshotKey).values())
    for (const metric of ['cpu', 'memory'] as const)
      for (const row of group.toSorted((a, b) => (b[metric] ?? -1) - (a[metric] ?? -1)).slice(0, top)) found.add(row);
  return [...found];
}

/** The name on its host, whatever the snapshot. */
export function nameKey({ host, name }: UsageRow): string {
  return JSON.stringify([host, name]);
}

export function isAbove(row: UsageRow, above: Above): boolean {
  return usageMetrics.some((metric) => above[metric] !== undefined && (row[metric] ?? -1) > above[metric]);
}

/** The order of raw rows: names by code point, as databases order text. */
export function byTimeHostName(a: UsageRow, b: UsageRow): number {
  return a.time - b.time || compareText(a.host, b.host) || compareText(a.name, b.name);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
