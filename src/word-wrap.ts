import wrapAnsi from 'wrap-ansi';

const narrowest = 30;

/**
 * A line as a terminal of so many columns shows it best: broken between words, its continuation indented.
 * @param columns null: no terminal, the line as it is
 */
export function wordWrap(text: string, columns: number | null, indent = 2, head = ''): string {
  const line = `${head}${text}`;
  if (columns === null) return line;
  // What is put in front of each line takes its room.
  const deep = columns - indent < narrowest ? 2 : indent;
  const room = columns - deep;
  if (room < narrowest || text === '') return line;
  const padding = ' '.repeat(deep);
  const wrapped = wrapAnsi(text, room, { trim: true, hard: false }).split('\n');
  // The head has as many columns as the indent, or stands alone.
  const first = head === '' || deep === indent ? `${head}${wrapped[0]}` : `${head.trimEnd()}\n${padding}${wrapped[0]}`;
  return [first, ...wrapped.slice(1).map((rest) => `${padding}${rest}`)].join('\n');
}
