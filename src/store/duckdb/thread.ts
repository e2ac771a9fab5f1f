import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { MonitorError, messageOf } from '../../core/error.ts';
import { forManyReads } from '../../platform/deadline.ts';
import { buffersOf, type CallAnswer } from '../../platform/worker-calls.ts';
import { openEngine } from './engine.ts';
import { type Call, type Cancel, type Engine, openedId, type PlainError, type ThreadData } from './protocol.ts';

/** The thread that owns the database. See store.ts for why there is one. */

/** Rows in one message: more of them at once would keep both threads from all else for too long. */
const pieceRows = 2000;

const reading = new Map<number, AbortController>();

function answer(message: CallAnswer, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

function plain(error: unknown): PlainError {
  return error instanceof MonitorError
    ? { code: error.code, message: error.message, retryAfterSeconds: error.retryAfterSeconds }
    : { code: 'internal', message: messageOf(error), retryAfterSeconds: undefined };
}

async function answerWith(id: number, value: unknown): Promise<void> {
  let rest = value;
  while (Array.isArray(rest) && rest.length > pieceRows) {
    answer({ id, piece: rest.slice(0, pieceRows) });
    rest = rest.slice(pieceRows);
    await setImmediate();
  }
  answer({ id, value: rest }, memoryOf(rest));
}

/** Of a table or a file: it changes hands. */
function memoryOf(value: unknown): ArrayBuffer[] {
  if (value instanceof Uint8Array) return [value.buffer as ArrayBuffer];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? buffersOf(value) : [];
}

async function serve(store: Engine, { id, method, args, lane }: Call): Promise<void> {
  const bounds: unknown[] = [];
  if (lane !== undefined) {
    const controller = forManyReads(new AbortController());
    reading.set(id, controller);
    bounds.push({ signal: controller.signal, ...(lane !== 'own' && { lane }) });
  }
  try {
    await answerWith(id, await (store[method] as (...all: unknown[]) => Promise<unknown>)(...args, ...bounds));
  } catch (error) {
    answer({ id, error: plain(error) });
  }
  reading.delete(id);
  if (method === 'close') parentPort?.close();
}

/** Why it was is known to whoever has cancelled it. */
function cancel(id: number): void {
  reading.get(id)?.abort(new MonitorError('timeout', 'the question was cancelled'));
}

try {
  const { engine, damage } = await openEngine(workerData as ThreadData);
  parentPort?.on('message', (message: Call | Cancel) => {
    if ('cancel' in message) cancel(message.cancel);
    else void serve(engine, message);
  });
  answer({ id: openedId, value: damage });
} catch (error) {
  answer({ id: openedId, error: plain(error) });
}
