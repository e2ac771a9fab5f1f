import { readFileSync, statSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MonitorError, messageOf } from './core/error.ts';
import { emptyBook, type Issued, type TokenBook } from './core/token.ts';
import { replaceFile } from './durable-file.ts';
import { isRunning, ownIdentity } from './process-identity.ts';

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
      throw new MonitorError('unavailable', `the token file ${this.path} cannot be read: ${messageOf(error)}`, {
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
    await replaceFile(this.path, `${JSON.stringify(book, null, 2)}\n`);
  }

  async #locked<T>(work: () => Promise<T>): Promise<T> {
    const lock = `${this.path}.lock`;
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    for (let tries = 0; !(await take(lock)); tries++) {
      if (tries >= lockTries) throw new MonitorError('conflict', `another process is changing ${this.path}; try again`);
      await sleep(lockWaitMs);
    }
    try {
      return await work();
    } finally {
      await rm(lock, { force: true });
    }
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, ownIdentity(), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // Left behind by a kill; looked at twice, since somebody else may just have found that out too.
    const holder = await readHolder(lock);
    if (!isRunning(holder) && (await readHolder(lock)) === holder) await rm(lock, { force: true });
    return false;
  }
}

function readHolder(lock: string): Promise<string> {
  return readFile(lock, 'utf8').catch(() => '');
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
