import { parentPort } from 'node:worker_threads';
import { messageOf } from '../core/error.ts';
import type { TimeWindow } from '../core/store.ts';
import type { CallAnswer } from '../platform/worker-calls.ts';
import type { Page } from './history-page.ts';
import { inPieces } from './json-text.ts';
import { type TableFormat, textOf } from './table-text.ts';

/** The thread that makes text of raw rows, a piece whenever somebody takes one. */

/** A table, which changes hands, or the next piece of the text of one, or that nobody wants more of it. */
export type TextCall =
  | { id: number; start: TimeWindow; page: Page; format: TableFormat }
  | { id: number; nextOf: number }
  | { leave: number };

const underWay = new Map<number, Generator<string>>();

/** @returns UTF-8; null: that was all */
function piece(of: number): Uint8Array | null {
  const next = underWay.get(of)?.next();
  if (next === undefined || next.done) {
    underWay.delete(of);
    return null;
  }
  return Uint8Array.from(Buffer.from(next.value));
}

function answer(message: CallAnswer, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

parentPort?.on('message', (call: TextCall) => {
  if ('leave' in call) {
    underWay.delete(call.leave);
    return;
  }
  try {
    if ('page' in call) underWay.set(call.id, inPieces(textOf[call.format](call.start, call.page)));
    const value = piece('page' in call ? call.id : call.nextOf);
    answer({ id: call.id, value }, value === null ? [] : [value.buffer as ArrayBuffer]);
  } catch (error) {
    answer({ id: call.id, error: messageOf(error) });
  }
});
