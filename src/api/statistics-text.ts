import { percentileNames, type Statistics } from '../core/statistics.ts';
import type { Resolution, TimeWindow } from '../core/store.ts';
import { csvField } from './csv.ts';
import { arrayText, mapped, objectText } from './json-text.ts';
import { windowText } from './table-text.ts';
import { iso } from './window.ts';

/** What was asked for. */
export interface StatisticsAsked {
  at: number;
  selector: string;
  by: readonly string[] | null;
}

/** What there is of one window. */
export interface StatisticsFound extends TimeWindow {
  window: string;
  resolution: Resolution;
  percentileError: number;
  found: number;
  /** In order, and no more than are wanted. */
  statistics: readonly Statistics[];
}

const figures = ['count', 'min', 'max', 'mean', 'deviation'] as const;

/** As `statisticsSchema` says. */
export function statisticsText({ at, selector, by }: StatisticsAsked, windows: readonly StatisticsFound[]) {
  return objectText([
    ['at', [JSON.stringify(iso(at))]],
    ['selector', [JSON.stringify(selector)]],
    ['by', [JSON.stringify(by)]],
    ['windows', arrayOf(windows, windowObject)],
  ]);
}

function windowObject(found: StatisticsFound): Iterable<string> {
  return objectText([
    ['window', [JSON.stringify(found.window)]],
    ...windowText(found),
    ['resolution', [JSON.stringify(found.resolution)]],
    ['percentileError', [String(found.percentileError)]],
    ['found', [String(found.found)]],
    ['statistics', arrayText(mapped(found.statistics, statisticsObject))],
  ]);
}

function statisticsObject({ labels, percentiles, ...told }: Statistics): string {
  const fields = [
    ...figures.map((name) => `"${name}":${numberText(told[name])}`),
    ...percentileNames.map((name) => `"${name}":${numberText(percentiles?.[name])}`),
  ];
  return `{"labels":${JSON.stringify(labels)},${fields.join(',')}}`;
}

/** What is beyond all numbers has none in JSON. */
function numberText(value: number | undefined): string {
  return value !== undefined && Number.isFinite(value) ? String(value) : 'null';
}

function* arrayOf<T>(items: readonly T[], text: (item: T) => Iterable<string>): Generator<string> {
  for (const [index, item] of items.entries()) {
    yield index === 0 ? '[' : ',';
    yield* text(item);
  }
  yield items.length === 0 ? '[]' : ']';
}

/** With a line of names; what is not known is empty. A label has the name of a column. */
export function* statisticsCsv(windows: readonly StatisticsFound[]): Generator<string> {
  const labels = [
    ...new Set(windows.flatMap(({ statistics }) => statistics.flatMap((each) => Object.keys(each.labels)))),
  ].sort();
  const names = ['window', 'from', 'to', ...labels.map(csvField), ...figures, ...percentileNames, 'percentileError'];
  yield `${names.join(',')}\r\n`;
  for (const { window, from, to, percentileError, statistics } of windows)
    for (const { labels: own, percentiles, ...told } of statistics) {
      const fields = [
        window,
        iso(from),
        iso(to),
        ...labels.map((label) => csvField(own[label] ?? '')),
        ...figures.map((name) => (Number.isFinite(told[name]) ? told[name] : '')),
        ...percentileNames.map((name) => percentiles?.[name] ?? ''),
        percentileError,
      ];
      yield `${fields.join(',')}\r\n`;
    }
}
