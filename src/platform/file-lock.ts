import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, readFile, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { readFlags, writeNewFile } from './durable-file.ts';
import { isRunning, ownIdentity, pidOf } from './process-identity.ts';

/** A lock file that says which process holds it, in which boot: one of a process that is gone holds nobody up. */
export interface FileLock {
  release(): Promise<void>;
}

/** Somebody else has it: their pid. */
export interface LockHolder {
  holder: number;
}

/** Removing a stale lock takes others a moment. */
const momentMs = 5;
const retryMs = 50;

/**
 * Takes a lock without waiting. The file is there with its whole content or not at all, so one that is empty or
 * torn was left behind by a disk or an older version, and is nobody's; so is one of a process that has ended.
 * @throws Node's own error where nothing can be written, as on a full disk; then nothing is left behind
 */
export async function takeLock(path: string): Promise<FileLock | LockHolder> {
  const own = ownIdentity();
  const written = `${path}.${randomUUID()}`;
  try {
    await writeNewFile(written, own);
    while (!(await linkNew(written, path))) {
      const holder = await readHolder(path);
      if (isRunning(holder)) return { holder: pidOf(holder) };
      await removeStale(written, path);
    }
    return { release: () => release(path, own) };
  } finally {
    await rm(written, { force: true });
  }
}

/** The same, and while another process has it, tries again for so long. */
export async function waitForLock(path: string, longestMs: number): Promise<FileLock | LockHolder> {
  for (let waitedMs = 0; ; waitedMs += retryMs) {
    const lock = await takeLock(path);
    if ('release' in lock || waitedMs >= longestMs) return lock;
    await sleep(retryMs);
  }
}

/**
 * Under a lock of its own: of two that have found the same stale lock the second would else remove what the first has
 * taken meanwhile.
 */
async function removeStale(written: string, path: string): Promise<void> {
  const removal = `${path}.removal`;
  if (!(await linkNew(written, removal))) {
    // Left behind only by a kill within that moment.
    if (!isRunning(await readHolder(removal))) await rm(removal, { force: true });
    await sleep(momentMs);
    return;
  }
  if (!isRunning(await readHolder(path))) await rm(path, { force: true, recursive: true });
  await rm(removal, { force: true });
}

async function linkNew(from: string, to: string): Promise<boolean> {
  try {
    // Some file systems have no links.
    await link(from, to).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') throw error;
      return copyFile(from, to, constants.COPYFILE_EXCL);
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function release(path: string, own: string): Promise<void> {
  if ((await readHolder(path)) === own) await rm(path, { force: true });
}

/** A folder or link in its place is nobody's. @throws where it cannot be read, as one of another user: that is somebody's */
function readHolder(path: string): Promise<string> {
  return readFile(path, { encoding: 'utf8', flag: readFlags }).catch((error: NodeJS.ErrnoException) => {
    if (['ENOENT', 'EISDIR', 'ELOOP', 'ENOTDIR'].includes(error.code ?? '')) return '';
    throw error;
  });
}
