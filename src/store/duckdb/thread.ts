import { parentPort, workerData } from 'node:worker_threads';
import { MonitorError, messageOf } from '../../core/error.ts';
import { openEngine } from './engine.ts';
import { type Answer, type Call, type Engine, openedId, type PlainError, type ThreadData } from './protocol.ts';

/** The thread that owns the database. See store.ts for why there is one. */

const { path, retentionMs, stamp } = workerData as ThreadData;

function answer(message: Answer): void {
  parentPort?.postMessage(message);
}

function plain(error: unknown): PlainError {
  return error instanceof MonitorError
    ? { code: error.code, message: error.message, retryAfterSeconds: error.retryAfterSeconds }
    : { code: 'internal', message: messageOf(error), retryAfterSeconds: undefined };
}

async function serve(store: Engine, { id, method, args }: Call): Promise<void> {
  try {
    answer({ id, value: await (store[method] as (...args: unknown[]) => Promise<unknown>)(...args) });
  } catch (error) {
    answer({ id, error: plain(error) });
  }
  if (method === 'close') parentPort?.close();
}

try {
  const { engine, damage } = await openEngine(path, { retentionMs, stamp });
  parentPort?.on('message', (call: Call) => void serve(engine, call));
  answer({ id: openedId, value: damage });
} catch (error) {
  answer({ id: openedId, error: plain(error) });
}
