import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, readFile, rename, rm } from 'node:fs/promises';
import { writeNewFile } from './durable-file.ts';
import { isRunning, ownIdentity, pidOf } from './process-identity.ts';

/** A lock file that says which process holds it, in which boot: one of a process that is gone holds nobody up. */
export interface FileLock {
  release(): Promise<void>;
}

/** Somebody else has it: their pid. */
export interface LockHolder {
  holder: number;
}

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
    for (;;) {
      if (await linkNew(written, path)) return { release: () => release(path, own) };
      const holder = await readHolder(path);
      if (isRunning(holder)) return { holder: pidOf(holder) };
      await removeStale(path, holder);
    }
  } finally {
    await rm(written, { force: true });
  }
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

/** Moved aside before it is removed: of two that find the same stale lock, one may have taken it anew by then. */
async function removeStale(path: string, stale: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await readHolder(aside)) !== stale) await linkNew(aside, path);
  await rm(aside, { force: true, recursive: true });
}

async function release(path: string, own: string): Promise<void> {
  if ((await readHolder(path)) === own) await rm(path, { force: true });
}

/** What cannot be read, such as a folder in its place, is nobody's. */
function readHolder(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
