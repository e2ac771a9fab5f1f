/** A value in the middle of a stretch of time. */
export interface PlotPoint {
  time: number;
  value: number;
}

export interface PlotShape {
  from: number;
  to: number;
  /** Of the plot itself, in characters. */
  width: number;
  height: number;
  /** Drawn where it lies in the plot. */
  threshold: number | null;
  /** A value as it stands at the side. */
  label: (value: number) => string;
}

const blocks = ' ▁▂▃▄▅▆▇█';

/** Columns of characters, each the mean of its time; what is not known is empty. */
export function plotLines(points: readonly PlotPoint[], shape: PlotShape): string[] {
  const { width, height, threshold, label } = shape;
  const columns = columnsOf(points, shape);
  const most = Math.max(...columns.map((value) => value ?? 0), threshold ?? 0, Number.MIN_VALUE);
  const labels = Array.from({ length: height }, (_, row) => label((most * (height - row)) / height));
  const side = Math.max(...labels.map((text) => text.length));
  const lineRow = threshold === null ? -1 : Math.round(height - (threshold / most) * height);
  return labels.map((text, row) => {
    const cells = columns.map((value) => cellOf(value, most, height, row));
    const shown = row === lineRow ? cells.map((cell) => (cell === ' ' ? '┄' : cell)) : cells;
    return `${text.padStart(side)} ${shown.join('').slice(0, width)}`;
  });
}

/** Eight heights of a block: the same in one line. */
export function sparkline(values: readonly number[], most = Math.max(...values, Number.MIN_VALUE)): string {
  return values.map((value) => blocks[1 + Math.min(7, Math.floor((Math.max(0, value) / most) * 8))]).join('');
}

function columnsOf(points: readonly PlotPoint[], { from, to, width }: PlotShape): (number | null)[] {
  const sums = Array.from({ length: width }, () => ({ sum: 0, count: 0 }));
  for (const { time, value } of points) {
    const cell = sums[Math.min(width - 1, Math.max(0, Math.floor(((time - from) / (to - from)) * width)))];
    if (cell !== undefined) Object.assign(cell, { sum: cell.sum + value, count: cell.count + 1 });
  }
  return sums.map(({ sum, count }) => (count === 0 ? null : sum / count));
}

function cellOf(value: number | null, most: number, height: number, row: number): string {
  if (value === null) return ' ';
  const eighths = Math.round((value / most) * height * 8) - (height - 1 - row) * 8;
  // What is known is seen, also where it is nothing.
  const least = row === height - 1 ? 1 : 0;
  return blocks[Math.min(8, Math.max(least, eighths))] as string;
}
