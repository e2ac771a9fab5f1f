import { type ProcessColumnId, processColumnIds } from '../core/metric.ts';
import type { TimeWindow } from '../core/store.ts';
import type { UsageTable } from '../core/usage-table.ts';
import { csvField } from './csv.ts';
import { formatCursor, type Page } from './history-page.ts';
import { arrayText, mapped, objectText } from './json-text.ts';
import { iso } from './window.ts';

/** Raw rows as text. Put together by hand: that takes a third of the time. */

export const tableFormats = ['objects', 'columns', 'csv'] as const;
export type TableFormat = (typeof tableFormats)[number];

export const textOf: Record<TableFormat, (start: TimeWindow, page: Page) => Iterable<string>> = {
  objects: objectsText,
  columns: columnsText,
  csv: csvText,
};

/** As `detailedSchema` says. */
function objectsText(start: TimeWindow, { table, rows, next }: Page): Iterable<string> {
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
  const timeOf = timeText(time);
  return (index) => {
    let text = `{"host":${hosts[host[index] as number]},"time":"${timeOf(index)}"`;
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

/** As `detailedColumnsSchema` says: a column of text or numbers after the other. */
function columnsText(start: TimeWindow, { table, rows, next }: Page): Iterable<string> {
  const texts = (places: Uint32Array, all: readonly string[]) => {
    const quoted = all.map((text) => JSON.stringify(text));
    return listText(rows, (index) => quoted[places[index] as number] as string);
  };
  const numbers = (values: Float64Array) => listText(rows, (index) => numberText(values[index] as number, 'null'));
  const time = timeText(table.time);
  return objectText([
    ...windowText(start),
    ['host', texts(table.host, table.hosts)],
    ['process', texts(table.name, table.names)],
    ['time', listText(rows, (index) => `"${time(index)}"`)],
    ...processColumnIds.map((id): [string, Iterable<string>] => [id, numbers(table[id])]),
    ['next', [JSON.stringify(next && formatCursor(next))]],
  ]);
}

/** RFC 4180, with a line of names; what is not known is empty. */
function* csvText(_: TimeWindow, { table, rows }: Page): Iterable<string> {
  yield `host,process,time,${processColumnIds.join(',')}\r\n`;
  const [hosts, names] = [table.hosts.map(csvField), table.names.map(csvField)];
  const columns = processColumnIds.map((id: ProcessColumnId) => table[id]);
  const time = timeText(table.time);
  for (let index = 0; index < rows; index++) {
    let line = `${hosts[table.host[index] as number]},${names[table.name[index] as number]},${time(index)}`;
    for (const values of columns) line += `,${numberText(values[index] as number, '')}`;
    yield `${line}\r\n`;
  }
}

/** So many at a time: one by one each would be a step of several generators. */
const listedAtOnce = 1000;

function* listText(rows: number, text: (index: number) => string): Generator<string> {
  yield '[';
  for (let from = 0; from < rows; from += listedAtOnce) {
    let made = '';
    for (let index = from; index < Math.min(rows, from + listedAtOnce); index++)
      made += index === 0 ? text(index) : `,${text(index)}`;
    yield made;
  }
  yield ']';
}

function numberText(value: number, unknown: string): string {
  return Number.isNaN(value) ? unknown : String(value);
}

/** Rows of one instant follow each other. */
function timeText(times: Float64Array): (index: number) => string {
  let last = { time: Number.NaN, text: '' };
  return (index) => {
    const time = times[index] as number;
    if (time !== last.time) last = { time, text: iso(time) };
    return last.text;
  };
}

export function windowText({ from, to }: TimeWindow): [string, string[]][] {
  return [
    ['from', [JSON.stringify(iso(from))]],
    ['to', [JSON.stringify(iso(to))]],
  ];
}
