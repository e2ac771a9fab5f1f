import picocolors from 'picocolors';
import type { AlerterOutput } from '../alerter/alerter.ts';
import { renderJson, renderLine } from '../alerter/render.ts';
import { clockTime } from '../platform/clock-time.ts';
import { terminalJson, terminalText } from '../platform/terminal-text.ts';
import { wordWrap } from '../platform/word-wrap.ts';
import { columnsOf } from './terminal.ts';

function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Of the time before a note. */
const timeColumns = 21;

/** @param write a line; default: on stdout */
export function makeOutput(json: boolean, write = printLine): AlerterOutput {
  const forced = process.env.FORCE_COLOR !== undefined && process.env.FORCE_COLOR !== '0';
  const colors = picocolors.createColors(!process.env.NO_COLOR && (forced || process.stdout.isTTY === true));
  const columns = () => columnsOf(process.stdout);
  return {
    announce: (announcement) => write(json ? renderJson(announcement) : renderLine(announcement, colors, columns())),
    note: (time, message) => {
      if (json) write(terminalJson({ time: new Date(time).toISOString(), note: message }));
      else write(wordWrap(colors.dim(terminalText(message, 500)), columns(), timeColumns, `${clockTime(time)}  `));
    },
  };
}
