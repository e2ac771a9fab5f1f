import { stripVTControlCharacters } from 'node:util';

/** A continuation has at least so many columns. */
const narrowest = 30;

/**
 * Text as a terminal of so many columns shows it best: lines that are too long are broken between words, what goes on
 * stands under what has begun.
 * @param columns null: no terminal, the text as it is
 * @param head in front of the first line, as wide as the indent
 */
export function wordWrap(text: string, columns: number | null, indent = 2, head = ''): string {
  if (columns === null) return `${head}${text}`;
  return text
    .split('\n')
    .map((line, index) => wrapLine(line, columns, indent, index === 0 ? head : ''))
    .join('\n');
}

function wrapLine(line: string, columns: number, indent: number, head: string): string {
  const room = columns - indent;
  const isShort = widthOf(head + line) <= columns;
  if (isShort || room < narrowest) return `${head}${line}`;
  const [first = '', ...rest] = partsOf(line, room);
  return [`${head}${first}`, ...rest.map((part) => `${' '.repeat(indent)}${part}`)].join('\n');
}

/** A package that knows the width of every character takes 20 ms to load, at each start. */
function partsOf(line: string, columns: number): string[] {
  const parts: string[] = [];
  for (const word of line.split(' ')) {
    const longer = `${parts.at(-1)} ${word}`;
    if (parts.length > 0 && widthOf(longer) <= columns) parts[parts.length - 1] = longer;
    else parts.push(word);
  }
  return parts;
}

/** East Asian characters and most emoji take two columns each. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of stripVTControlCharacters(text)) width += character >= '\u2e80' ? 2 : 1;
  return width;
}
