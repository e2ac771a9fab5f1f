import { messageOf } from '../core/error.ts';
import { JsonFile } from '../platform/json-file.ts';
import type { ClockDoubt, ClockDoubtStorage } from './server-clock.ts';

/** What a server doubts about its clock, as a file in its data folder; no file: nothing. */
export function openClockDoubt(dataFolder: string, warn: (message: string) => void): ClockDoubtStorage {
  const file = new JsonFile(dataFolder, 'clock-doubt.json');
  let tail: Promise<void> = Promise.resolve();
  const keep = (doubt: ClockDoubt | null) => {
    tail = tail
      .then(() => (doubt === null ? file.remove() : file.write(doubt)))
      .catch((error: unknown) => warn(`cannot keep in ${file.path} that the clock is in doubt: ${messageOf(error)}`));
  };
  return { doubt: read(file), keep };
}

function read(file: JsonFile): ClockDoubt | null {
  try {
    return (file.read() as ClockDoubt | undefined) ?? null;
  } catch (error) {
    if (!(error instanceof SyntaxError)) return null;
    // It was there, and that is what matters.
    return { kind: 'pause', since: 0, aheadMs: 0, reason: "this server's clock was in doubt before the start" };
  }
}
