import { formatUnit } from '../core/format-value.ts';
import { unitOfSeries } from '../core/series.ts';
import { percentileNames } from '../core/statistics.ts';
import { plainTable } from '../platform/plain-table.ts';
import { terminalText } from '../platform/terminal-text.ts';
import type { StatisticsBody } from '../wire/statistics.ts';

const resolutionTexts = {
  raw: 'of rows',
  '1m': 'of minutes where there are some',
  '10m': 'of ten minutes each',
  '1h': 'of hours where there are some',
};

/** The answer of /v1/statistics, a table for each window. */
export function* statisticsLines({ selector, windows }: StatisticsBody): Iterable<string> {
  const metric = /^[^{]*/.exec(selector)?.[0].trim() ?? '';
  for (const found of windows) {
    const { window, statistics, percentileError, resolution } = found;
    const error = percentileError === 0 ? '' : `, percentiles up to ${(percentileError * 100).toFixed(1)} % off`;
    yield `${terminalText(selector)} in ${window}, ${resolutionTexts[resolution]}${error}`;
    if (statistics.length === 0) yield 'nothing was measured';
    else yield* table(metric, statistics);
    if (found.found > statistics.length)
      yield `${found.found - statistics.length} more have lower means; --top 0 shows all`;
    yield '';
  }
}

type Row = StatisticsBody['windows'][number]['statistics'][number];

function table(metric: string, rows: readonly Row[]): string[] {
  const labels = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].sort();
  const unit = unitOfSeries(metric);
  const value = (known: unknown) => (typeof known === 'number' ? formatUnit(unit, known) : '-');
  const columns = ['count', 'min', 'mean', 'deviation', ...percentileNames, 'max'] as const;
  const lines = rows.map((row) => [
    ...labels.map((label) => terminalText(row.labels[label] ?? '', 40)),
    row.count,
    ...columns.slice(1).map((name) => value(row[name as keyof Row])),
  ]);
  const head = [...labels, ...columns].map((name) => name.toUpperCase());
  return plainTable(head, lines, [...labels.map(() => 'left' as const), ...columns.map(() => 'right' as const)]);
}
