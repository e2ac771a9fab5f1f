import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ClockDoubt, KeptDoubt } from './api/server-clock.ts';
import { messageOf } from './core/error.ts';
import { replaceFile } from './durable-file.ts';

/** What a server doubts about its clock, as a file in its data folder; no file: nothing. */
export function openClockDoubt(dataFolder: string, warn: (message: string) => void): KeptDoubt {
  const path = join(dataFolder, 'clock-doubt.json');
  let tail: Promise<void> = Promise.resolve();
  const write = async (doubt: ClockDoubt | null) => {
    if (doubt === null) return rm(path, { force: true });
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await replaceFile(path, `${JSON.stringify(doubt)}\n`);
  };
  const keep = (doubt: ClockDoubt | null) => {
    tail = tail
      .then(() => write(doubt))
      .catch((error: unknown) => warn(`cannot keep in ${path} that the clock is in doubt: ${messageOf(error)}`));
  };
  return { doubt: read(path), keep };
}

function read(path: string): ClockDoubt | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return null;
  }
  try {
    return JSON.parse(text) as ClockDoubt;
  } catch {
    // It was there, and that is what matters.
    return { kind: 'pause', since: 0, aheadMs: 0, reason: "this server's clock was in doubt before the start" };
  }
}
