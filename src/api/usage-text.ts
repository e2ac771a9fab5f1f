import { meanColumnIds, processColumnIds } from '../core/metric.ts';
import { roundPercent } from '../core/snapshot.ts';
import type { MeanRow, TimeWindow } from '../core/store.ts';
import type { UsageTable } from '../core/usage-table.ts';
import { formatCursor, type Page } from './history-page.ts';
import { arrayText, objectText } from './large-answer.ts';
import { iso } from './window.ts';

/** Answers about usage as JSON, put together by hand: that takes a third of the time. */

/** As `meanSchema` says. */
export function meanText(window: TimeWindow, rows: readonly MeanRow[]): Iterable<string> {
  const round = (value: number | null) => (value === null ? null : roundPercent(value));
  const keys = meanColumnIds.map((id) => [id, `"${id}":`] as const);
  // By hand, as below.
  const text = (row: MeanRow) => {
    let made = '{';
    for (const [id, key] of keys) made += `${key}${round(row[id])},`;
    return `${made}"hosts":${row.hosts},"snapshots":${row.snapshots}}`;
  };
  return objectText([...windowText(window), ['processes', objectText(mapped(rows, (row) => [row.name, [text(row)]]))]]);
}

/** As `detailedSchema` says. */
export function detailedText(start: TimeWindow, { table, rows, next }: Page): Iterable<string> {
  const text = rowText(table);
  const byName = mapped(
    rowsByName(table, rows),
    ([name, indexes]) => [table.names[name] as string, arrayText(mapped(indexes, text))] as const,
  );
  return objectText([
    ...windowText(start),
    ['processes', objectText(byName)],
    ['next', [JSON.stringify(next && formatCursor(next))]],
  ]);
}

/** What gives a row as JSON: put together by hand, since that takes a third of the time. */
function rowText(table: UsageTable): (index: number) => string {
  const hosts = table.hosts.map((host) => JSON.stringify(host));
  const columns = processColumnIds.map((id) => [`,"${id}":`, table[id]] as const);
  const { host, time } = table;
  let last = { time: Number.NaN, text: '' };
  return (index) => {
    const at = time[index] as number;
    if (at !== last.time) last = { time: at, text: iso(at) };
    let text = `{"host":${hosts[host[index] as number]},"time":"${last.text}"`;
    for (const [key, values] of columns) {
      const value = values[index] as number;
      text += key + (Number.isNaN(value) ? 'null' : value);
    }
    return `${text}}`;
  };
}

/** The places of the first so many rows of a table by name, in their order; names as they come. */
function rowsByName({ name }: UsageTable, rows: number): Map<number, number[]> {
  const byName = new Map<number, number[]>();
  for (let index = 0; index < rows; index++) {
    const group = byName.get(name[index] as number);
    if (group) group.push(index);
    else byName.set(name[index] as number, [index]);
  }
  return byName;
}

function windowText({ from, to }: TimeWindow): [string, string[]][] {
  return [
    ['from', [JSON.stringify(iso(from))]],
    ['to', [JSON.stringify(iso(to))]],
  ];
}

function* mapped<T, R>(items: Iterable<T>, change: (item: T) => R): Generator<R> {
  for (const item of items) yield change(item);
}
