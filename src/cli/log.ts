import { pino } from 'pino';
import { clockTime } from '../platform/clock-time.ts';
import { escapeJson, terminalText } from '../platform/terminal-text.ts';
import { wordWrap } from '../platform/word-wrap.ts';

const levelNames: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: '',
  40: 'WARN',
  50: 'ERROR',
  60: 'FATAL',
};
const timeColumns = 21;

/** Whom the log is written to; `columns` null: no terminal. */
export interface LogTarget {
  write(text: string): unknown;
  columns: number | null;
}

/** JSON, one object a line; on a terminal a line for people. What others have sent may stand in either. */
export function makeLog(level: string, target: () => LogTarget) {
  return pino(
    { level, base: null },
    {
      write: (json: string) => {
        const { write, columns } = target();
        write(`${columns === null ? escapeJson(json.trimEnd()) : readable(json, columns)}\n`);
      },
    },
  );
}

function readable(json: string, columns: number): string {
  const { level, time, msg = '', err, ...more } = JSON.parse(json) as Record<string, unknown> & { time: number };
  const word = levelNames[level as number] ?? '';
  const reason = (err as { message?: unknown } | undefined)?.message;
  const details = Object.entries(more).map(
    ([key, value]) => `${key} ${Array.isArray(value) ? value.join(' ') : String(value)}`,
  );
  const text = [`${word && `${word} `}${msg}${reason === undefined ? '' : `: ${reason}`}`, ...details].join(', ');
  return wordWrap(terminalText(text, 2000), columns, timeColumns, `${clockTime(time)}  `);
}
