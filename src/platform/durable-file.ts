import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Files that survive a kill and a power cut. Only this user may read them. */

const { O_APPEND, O_CREAT, O_EXCL, O_WRONLY } = constants;
/** Not there on Windows, where only an administrator may make links. */
const noFollow = constants.O_NOFOLLOW ?? 0;
const ownerOnly = 0o600;
/** For a file of ours in a folder that others reach: through no link, and waiting for no pipe. */
export const readFlags = constants.O_RDONLY | noFollow | (constants.O_NONBLOCK ?? 0);

/**
 * Makes a file that was not there; never writes through a link, nor over what somebody has put in its place.
 * Resolves once the content is on disk; a crash before may leave any part of it.
 * @throws Node's own error: `EEXIST` when there is something under that name
 */
export async function writeNewFile(path: string, data: string | Uint8Array): Promise<void> {
  await writeSynced(path, O_WRONLY | O_CREAT | O_EXCL | noFollow, data);
}

/** Resolves once the text is on disk, at the end of the file, which is made when it is not there. */
export async function appendDurably(path: string, text: string): Promise<void> {
  await writeSynced(path, O_WRONLY | O_CREAT | O_APPEND | noFollow, text);
}

/**
 * Whole or not at all: whoever reads the path finds the old content or the new. What another write was
 * killed over is removed first, and nothing is left behind by one that fails.
 */
export async function replaceFile(path: string, data: string | Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  await rm(temporary, { force: true });
  try {
    await writeNewFile(temporary, data);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Resolves once all renames and removals in the folder are on disk. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeSynced(path: string, flags: number, data: string | Uint8Array): Promise<void> {
  const handle = await open(path, flags, ownerOnly);
  try {
    await handle.writeFile(data);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
