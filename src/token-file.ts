import { readFileSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MonitorError } from './core/error.ts';
import { fileReason } from './core/failure-reason.ts';
import { emptyBook, type Issued, type TokenBook } from './core/token.ts';
import { replaceFile } from './durable-file.ts';
import { type FileLock, takeLock } from './file-lock.ts';

const lockTries = 100;
const lockWaitMs = 50;

/** The tokens of a server, hashed, in its data folder: changed by the command line and by `join`. */
export class TokenFile {
  readonly path: string;
  #read: { version: string; book: TokenBook } | null = null;

  constructor(dataFolder: string) {
    this.path = join(dataFolder, 'tokens.json');
  }

  /**
   * The book as it is on disk now; read again only when the file has changed.
   * @throws MonitorError `unavailable` when it cannot be read: a server must not take that for "no tokens"
   */
  book(): TokenBook {
    try {
      const version = versionOf(this.path);
      if (this.#read?.version !== version) this.#read = { version, book: parse(readFileSync(this.path, 'utf8')) };
      return this.#read.book;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return emptyBook();
      throw new MonitorError('unavailable', `the token file ${this.path} cannot be read: ${fileReason(error)}`, {
        cause: error,
      });
    }
  }

  /** Changes the book as it is by then: two at once follow each other. */
  async issue(make: (book: TokenBook) => Issued): Promise<string> {
    return this.#locked(async () => {
      const { book, secret } = make(this.book());
      await this.#write(book);
      return secret;
    });
  }

  async change(make: (book: TokenBook) => TokenBook): Promise<void> {
    await this.#locked(() => this.#write(make(this.book())));
  }

  async #write(book: TokenBook): Promise<void> {
    // Synced: a power cut must not undo a revocation.
    await replaceFile(this.path, `${JSON.stringify(book, null, 2)}\n`).catch((error: unknown) => {
      throw this.#unchangeable(error);
    });
  }

  #unchangeable(error: unknown): MonitorError {
    const remedy = "run this as the user whose server it is, or name that server's folder with --data";
    return new MonitorError('unavailable', `cannot change ${this.path}: ${fileReason(error)}; ${remedy}`, {
      cause: error,
    });
  }

  async #locked<T>(work: () => Promise<T>): Promise<T> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 }).catch((error: unknown) => {
      throw this.#unchangeable(error);
    });
    const lock = await this.#lock();
    try {
      return await work();
    } finally {
      await lock.release();
    }
  }

  async #lock(): Promise<FileLock> {
    for (let tries = 0; ; tries++) {
      const lock = await takeLock(`${this.path}.lock`).catch((error: unknown) => {
        throw this.#unchangeable(error);
      });
      if ('release' in lock) return lock;
      if (tries >= lockTries)
        throw new MonitorError('conflict', `process ${lock.holder} is changing ${this.path}; try again`);
      await sleep(lockWaitMs);
    }
  }
}

function versionOf(path: string): string {
  const { mtimeMs, size, ino } = statSync(path);
  return `${mtimeMs} ${size} ${ino}`;
}

function parse(text: string): TokenBook {
  const { tokens, invites } = JSON.parse(text) as TokenBook;
  if (!Array.isArray(tokens) || !Array.isArray(invites)) throw new Error('it holds no tokens');
  return { tokens, invites };
}
