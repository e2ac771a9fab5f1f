/** One measured figure beside what it is measured against. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  /** Taken in the same run. */
  reference?: { name: string; value: number; unit: string };
  /** The bar: on the ratio to the reference where there is one, else on the value. */
  bar?: { is: 'at most' | 'at least'; value: number; of: 'ratio' | 'value' };
}

export function verdictOf(figure: Figure): 'met' | 'MISSED' | '' {
  if (!figure.bar) return '';
  const measured = figure.bar.of === 'ratio' ? ratioOf(figure) : figure.value;
  const met = figure.bar.is === 'at most' ? measured <= figure.bar.value : measured >= figure.bar.value;
  return met ? 'met' : 'MISSED';
}

/** Prints the figures as a table for people and as JSON lines for programs. */
export function report(title: string, figures: readonly Figure[]): void {
  process.stdout.write(`\n${title}\n`);
  const rows = figures.map((figure) => [
    figure.name,
    `${short(figure.value)} ${figure.unit}`,
    figure.reference ? `${figure.reference.name}: ${short(figure.reference.value)} ${figure.reference.unit}` : '',
    figure.reference ? `${short(ratioOf(figure))}x` : '',
    figure.bar ? `${figure.bar.is} ${figure.bar.value}${figure.bar.of === 'ratio' ? 'x' : ` ${figure.unit}`}` : '',
    verdictOf(figure),
  ]);
  const table = [['figure', 'measured', 'beside', 'ratio', 'bar', ''], ...rows];
  const widths = (table[0] as string[]).map((_, column) =>
    Math.max(...table.map((row) => (row[column] as string).length)),
  );
  for (const row of table)
    process.stdout.write(`  ${row.map((cell, column) => cell.padEnd(widths[column] as number)).join('  ')}\n`);
  for (const figure of figures)
    process.stdout.write(
      `${JSON.stringify({ bench: title, ...figure, ratio: figure.reference && ratioOf(figure), verdict: verdictOf(figure) })}\n`,
    );
}

function ratioOf(figure: Figure): number {
  return figure.value / (figure.reference?.value ?? Number.NaN);
}

function short(value: number): string {
  if (value === 0) return '0';
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : value.toPrecision(3);
}

/** The value below which `share` of the values lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
