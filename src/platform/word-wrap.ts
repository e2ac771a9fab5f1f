import { stripVTControlCharacters } from 'node:util';
import wrapAnsi from 'wrap-ansi';

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
  const isShort = stripVTControlCharacters(head + line).length <= columns;
  if (isShort || room < narrowest) return `${head}${line}`;
  const [first = '', ...rest] = wrapAnsi(line, room, { hard: false }).split('\n');
  return [`${head}${first}`, ...rest.map((part) => `${' '.repeat(indent)}${part}`)].join('\n');
}
