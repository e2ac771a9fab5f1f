import type { Colors } from 'picocolors/types.js';
import stringWidth from 'string-width';
import { formatDuration } from '../core/duration.ts';
import { clockTime } from '../platform/clock-time.ts';
import { terminalText } from '../platform/terminal-text.ts';
import { sparkline } from './plot.ts';
import { type ProcessRow, type SortKey, shownRows } from './process-rows.ts';

/** All that is shown of every process. */
export interface TopState {
  server: string;
  /** Wall time. */
  at: number;
  hosts: number;
  stale: readonly string[];
  rows: readonly ProcessRow[];
  sort: SortKey;
  filter: string;
  /** While somebody writes it. */
  isFiltering: boolean;
  /** Of the rows as they are shown. */
  selected: number;
  /** Why there is nothing newer; null: there is. */
  problem: string | null;
}

interface Column {
  title: string;
  width: number;
  isRight?: boolean;
  text: (row: ProcessRow) => string;
  /** Narrow terminals do without it. */
  from?: number;
}

const fixed = (value: number | null) => (value === null ? '-' : value.toFixed(1));
const columns: readonly Column[] = [
  { title: 'LEVEL', width: 6, text: ({ level }) => level },
  { title: 'HOST', width: 18, text: ({ host }) => terminalText(host), from: 60 },
  { title: 'PROCESS', width: 26, text: ({ name }) => terminalText(name) },
  { title: 'PID', width: 8, isRight: true, text: ({ pid }) => String(pid ?? '-'), from: 90 },
  { title: 'COUNT', width: 6, isRight: true, text: ({ instances }) => String(instances ?? '-'), from: 80 },
  { title: 'CPU %', width: 8, isRight: true, text: ({ cpu }) => fixed(cpu) },
  { title: 'MEM %', width: 7, isRight: true, text: ({ memory }) => fixed(memory) },
  { title: 'TREND', width: 13, text: ({ trend }) => ` ${sparkline(trend, Math.max(100, ...trend))}`, from: 110 },
  {
    title: 'RED IN',
    width: 9,
    isRight: true,
    text: ({ etaSeconds }) => (etaSeconds === null ? '' : formatDuration(Math.round(etaSeconds) * 1000)),
    from: 70,
  },
];
const keys = 'q quit  c CPU  m memory  n name  / filter  up/down Enter history';

/** Rows of the screen that are not of processes. */
export const frameRows = 4;

/** The screen, a line each, none wider than it is. */
export function topScreen(state: TopState, width: number, height: number, colors: Colors): string[] {
  const { rows, filter, sort, selected } = state;
  const shown = shownRows(rows, filter, sort);
  const room = Math.max(1, height - frameRows);
  const first = Math.max(0, Math.min(selected - Math.floor(room / 2), shown.length - room));
  const visible = shown.slice(first, first + room);
  const fitting = columns.filter(({ from = 0 }) => width >= from);
  const head = fitting.map((column) => cell(column.title, column)).join(' ');
  const table = visible.map((row, index) => {
    const line = cut(fitting.map((column) => cell(column.text(row), column)).join(' '), width);
    return first + index === selected ? colors.inverse(line) : painted(line, row, colors);
  });
  const bottom = state.isFiltering ? `filter: ${terminalText(filter)}_  Enter keeps it, Esc ends it` : keys;
  return [
    cut(summary(state, shown.length), width),
    state.problem === null ? '' : colors.yellow(cut(terminalText(state.problem, 300), width)),
    colors.bold(cut(head, width)),
    ...table,
    ...Array.from({ length: room - table.length }, () => ''),
    cut(bottom, width),
  ].slice(0, height);
}

function summary({ server, at, hosts, stale, rows, sort, filter }: TopState, shown: number): string {
  const count = (level: string) => rows.filter((row) => row.level === level).length;
  const silent = stale.length === 0 ? '' : `, STALE ${stale.length}`;
  const found = filter === '' ? '' : `, ${shown} with '${terminalText(filter)}'`;
  return `${clockTime(at)}  ${terminalText(server)}  ${hosts} host${hosts === 1 ? '' : 's'}, RED ${count('RED')}, AMBER ${count('AMBER')}${silent}; ${rows.length} processes by ${sort}${found}`;
}

function painted(line: string, { level }: ProcessRow, colors: Colors): string {
  return level === 'RED' ? colors.red(line) : level === 'AMBER' ? colors.yellow(line) : line;
}

function cell(text: string, { width, isRight = false }: Column): string {
  const fitting = cut(text, width);
  const blank = ' '.repeat(Math.max(0, width - widthOf(fitting)));
  return isRight ? `${blank}${fitting}` : `${fitting}${blank}`;
}

/** A column a character, as nearly all is: to find that out took string-width half of what the screen costs. */
const narrow = /^[ -~\u2581-\u2588…]*$/;

function widthOf(text: string): number {
  return narrow.test(text) ? text.length : stringWidth(text);
}

/** As many columns of the terminal at most. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = '';
  let taken = 0;
  for (const character of text) {
    const next = widthOf(character);
    if (taken + next > width - 1) break;
    kept += character;
    taken += next;
  }
  return `${kept}…`;
}
