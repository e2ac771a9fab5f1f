import { copyFileSync, readFileSync, renameSync, statSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { replaceFile } from './durable-file.ts';

/** One value as JSON in a file: whole or not at all, synced, and for this user alone. */
export class JsonFile {
  readonly path: string;

  constructor(folder: string, name: string) {
    this.path = join(folder, name);
  }

  static at(path: string): JsonFile {
    return new JsonFile(dirname(path), basename(path));
  }

  /**
   * What it holds; undefined: there is no such file.
   * @throws Node's own error, or SyntaxError for what is no JSON
   */
  read(): unknown {
    try {
      return JSON.parse(readFileSync(this.path, 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /**
   * Another text whenever it has changed; null: there is no such file.
   * @throws Node's own error
   */
  version(): string | null {
    try {
      const { mtimeMs, size, ino } = statSync(this.path);
      return `${mtimeMs} ${size} ${ino}`;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  /** @throws Node's own error; then it holds what it held before */
  async write(value: unknown, indent = 0): Promise<void> {
    await this.makeFolder();
    await replaceFile(this.path, `${JSON.stringify(value, null, indent)}\n`);
  }

  /** Keeps what cannot be read as `.damaged`, so that nothing overwrites it; where that cannot be done, as it is. */
  setAside(): void {
    try {
      renameSync(this.path, `${this.path}.damaged`);
    } catch {
      // Then nothing else can be written there either.
    }
  }

  /** The same, and it stays where it is: a part of it is good. */
  copyAside(): void {
    try {
      copyFileSync(this.path, `${this.path}.damaged`);
    } catch {
      // Then nothing else can be written there either.
    }
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  async makeFolder(): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
  }
}
