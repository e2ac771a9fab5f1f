import { terminalText } from '../platform/terminal-text.ts';
import { wordWrap } from '../platform/word-wrap.ts';
import { makeLog } from './log.ts';

/** On a terminal only: in a log it would be noise. */
export function sayProgress(done: number, total: number, name: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${done + 1} of ${total}: ${terminalText(name)}\n`);
}

export function logOf(level: string) {
  return makeLog(level, () => ({ write: (text) => process.stderr.write(text), columns: columnsOf(process.stderr) }));
}

/** Null: no terminal, or one that does not tell. */
export function columnsOf({ isTTY, columns }: NodeJS.WriteStream): number | null {
  return isTTY && columns > 0 ? columns : null;
}

export function complain(what: string): void {
  process.stderr.write(`${wordWrap(`amberwatch: ${terminalText(what, 1000)}`, columnsOf(process.stderr))}\n`);
}

export function plainLines(text: string): string {
  return text
    .split('\n')
    .map((line) => terminalText(line, 500))
    .join('\n');
}
