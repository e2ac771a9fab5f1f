import Table from 'cli-table3';

const borders = ['top', 'bottom', 'left', 'right', 'mid'].flatMap((edge) =>
  [edge, `${edge}-mid`, `${edge}-left`, `${edge}-right`].map((part) => [part, ''] as const),
);

/** A table of text without lines between, for a terminal. */
export function plainTable(
  head: string[],
  rows: readonly (string | number)[][],
  colAligns: ('left' | 'right')[] = [],
): string[] {
  const table = new Table({
    head,
    colAligns,
    chars: { ...Object.fromEntries(borders), middle: ' ' },
    style: { head: [], border: [], 'padding-left': 1, 'padding-right': 1 },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}
