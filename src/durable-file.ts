import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Files that survive a kill and a power cut. Only this user may read them. */

/** Resolves once the content is on disk; a crash before may leave any part of it. `a` appends, `w` begins anew. */
export async function writeDurably(path: string, data: string | Uint8Array, flag: 'a' | 'w' = 'w'): Promise<void> {
  const handle = await open(path, flag, 0o600);
  try {
    await handle.writeFile(data);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whole or not at all: whoever reads the path finds the old content or the new. */
export async function replaceFile(path: string, data: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await writeDurably(temporary, data);
  await rename(temporary, path);
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
