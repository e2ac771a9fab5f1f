import { mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readFlags, syncFolder, writeNewFile } from '../platform/durable-file.ts';

/** Nothing in a spool is larger: what claims to be is not ours. */
const maxFileBytes = 16 * 1024 * 1024;

/**
 * What the spool needs of a folder, so that a simulation can tear writes and fill it. Names are relative to
 * the folder; errors are Node's own, known by their `code` (ENOENT, ENOSPC, ...).
 */
export interface Disk {
  /** Files directly in the folder, or in a subfolder of it. */
  list(subfolder?: string): Promise<string[]>;
  /** Of a file: a folder, link, pipe or device in its place is refused at once (`EINVAL`, `ELOOP`, `EISDIR`). */
  read(name: string): Promise<Uint8Array>;
  /** Makes a file that is not there. Resolves once the content is on disk; a crash before may leave any part of it. */
  write(name: string, data: Uint8Array): Promise<void>;
  /**
   * Overwrites bytes that the file has: a full disk takes that too. Resolves once they are on disk; a crash before
   * may leave any mixture of old and new.
   */
  overwrite(name: string, position: number, data: Uint8Array): Promise<void>;
  /** Replaces `to`; whole or not at all. */
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Resolves once all renames and removals are on disk. */
  sync(): Promise<void>;
}

/** Files that only this user may read, in a folder that is made when it is not there. */
export class FolderDisk implements Disk {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async list(subfolder = ''): Promise<string[]> {
    return readdir(join(this.#folder, subfolder));
  }

  async read(name: string): Promise<Uint8Array> {
    const handle = await open(join(this.#folder, name), readFlags);
    try {
      const about = await handle.stat();
      if (!about.isFile() || about.size > maxFileBytes)
        throw Object.assign(new Error(`${name} is not a file of ours`), { code: 'EINVAL' });
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  }

  async write(name: string, data: Uint8Array): Promise<void> {
    await writeNewFile(join(this.#folder, name), data);
  }

  async overwrite(name: string, position: number, data: Uint8Array): Promise<void> {
    const handle = await open(join(this.#folder, name), 'r+');
    try {
      await handle.write(data, 0, data.length, position);
      await handle.datasync();
    } finally {
      await handle.close();
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await mkdir(dirname(join(this.#folder, to)), { recursive: true, mode: 0o700 });
    await rename(join(this.#folder, from), join(this.#folder, to));
  }

  async remove(name: string): Promise<void> {
    await unlink(join(this.#folder, name));
  }

  async sync(): Promise<void> {
    await syncFolder(this.#folder);
  }
}

/** For a file that somebody else has removed already. */
export function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
