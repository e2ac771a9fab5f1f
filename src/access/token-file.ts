import { MonitorError } from '../core/error.ts';
import { fileReason } from '../core/failure-reason.ts';
import { type FileLock, waitForLock } from '../platform/file-lock.ts';
import { JsonFile } from '../platform/json-file.ts';
import { emptyBook, type Issued, type TokenBook } from './token.ts';

/** A change of the file takes milliseconds. */
const longestLockWaitMs = 5000;

/** The tokens of a server, hashed, in its data folder: changed by the command line and by `join`. */
export class TokenFile {
  readonly #file: JsonFile;
  readonly #isGiven: boolean;
  #read: { version: string; book: TokenBook } | null = null;

  /** @param path of a file that somebody else writes; absent: `tokens.json` in the data folder */
  constructor(dataFolder: string, path?: string) {
    this.#isGiven = path !== undefined;
    this.#file = path === undefined ? new JsonFile(dataFolder, 'tokens.json') : JsonFile.at(path);
  }

  get path(): string {
    return this.#file.path;
  }

  /**
   * The book as it is on disk now; read again only when the file has changed.
   * @throws MonitorError `unavailable` when it cannot be read: a server must not take that for "no tokens"
   */
  book(): TokenBook {
    try {
      const version = this.#file.version();
      if (version === null) return emptyBook();
      if (this.#read?.version !== version) this.#read = { version, book: bookOf(this.#file.read()) };
      return this.#read.book;
    } catch (error) {
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
    await this.#file.write(book, 2).catch((error: unknown) => {
      throw this.#unchangeable(error);
    });
  }

  #unchangeable(error: unknown): MonitorError {
    const remedy = this.#isGiven
      ? 'the tokens of this server are those of the file that --tokens names: make them where it is written'
      : "run this as the user whose server it is, or name that server's folder with --data";
    return new MonitorError('unavailable', `cannot change ${this.path}: ${fileReason(error)}; ${remedy}`, {
      cause: error,
    });
  }

  async #locked<T>(work: () => Promise<T>): Promise<T> {
    await this.#file.makeFolder().catch((error: unknown) => {
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
    const lock = await waitForLock(`${this.path}.lock`, longestLockWaitMs).catch((error: unknown) => {
      throw this.#unchangeable(error);
    });
    if ('release' in lock) return lock;
    throw new MonitorError('conflict', `process ${lock.holder} is changing ${this.path}; try again`);
  }
}

/** Removed in between: as if it had never been there. */
function bookOf(value: unknown): TokenBook {
  const { tokens, invites } = (value ?? emptyBook()) as TokenBook;
  if (!Array.isArray(tokens) || !Array.isArray(invites)) throw new Error('it holds no tokens');
  return { tokens, invites };
}
