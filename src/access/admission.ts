import { MonitorError } from '../core/error.ts';
import { findToken, type Issued, type Role, type TokenBook, type TokenRecord, wantsTokens } from './token.ts';

/** What a request needs; `public`: nothing. */
export type Access = Role | 'public';

/** Where tokens are kept; they may change at any time. */
export interface TokenSource {
  /** The server's own, never written down: good whatever becomes of the others, and no reason to want tokens. */
  own?: TokenRecord;
  book(): TokenBook;
  /** Adds what `make` gives, durably, and gives the secret. */
  issue(make: (book: TokenBook) => Issued): Promise<string>;
}

/** Who asks for what, as far as a request tells. */
export interface AccessRequest {
  secret: string | null;
  needed: Access;
  method: string;
  url: string;
  /** It came by a way that only this machine's own users have. */
  isLocal: boolean;
}

const bookMaxAgeMs = 500;

/** Decides who is let in. */
export class Admission {
  readonly #tokens: TokenSource;
  readonly #monotonic: () => number;
  #isRequired: boolean;
  #read: { book: TokenBook; at: number } | null = null;

  /** @param isRequired also while there are no tokens */
  constructor(tokens: TokenSource, isRequired: boolean, monotonic: () => number) {
    this.#tokens = tokens;
    this.#isRequired = isRequired;
    this.#monotonic = monotonic;
  }

  /**
   * The token that was shown; null: none is needed, or it is a way of this machine's own.
   * @throws MonitorError `unauthorized` without a token that is valid, `forbidden` with one of another role
   */
  admit(asked: AccessRequest, now: number): TokenRecord | null {
    const { secret, needed, isLocal } = asked;
    // Before the tokens are read: a file that cannot be must lock out neither the server's own daemons nor who could mend it.
    const { own } = this.#tokens;
    const isOwn = own !== undefined && find({ tokens: [own], invites: [] }, secret, now) !== null;
    if (isLocal || isOwn) return own ?? null;
    if (needed === 'public') return null;
    // Once there are tokens it stays so: a file that vanished must not open the door.
    this.#isRequired ||= wantsTokens(this.#book(), now);
    if (!this.#isRequired) return null;
    const token = find(this.#book(), secret, now);
    if (token === null) throw unauthorized();
    checkRole(token, asked);
    return token;
  }

  #book(): TokenBook {
    const now = this.#monotonic();
    if (this.#read === null || now - this.#read.at > bookMaxAgeMs) this.#read = { book: this.#tokens.book(), at: now };
    return this.#read.book;
  }
}

function find(book: TokenBook, secret: string | null, now: number): TokenRecord | null {
  return secret === null ? null : findToken(book, secret, now);
}

function unauthorized(): MonitorError {
  return new MonitorError(
    'unauthorized',
    "this server wants a token, one that is neither expired nor revoked: authorization: Bearer aw_..., or AMBERWATCH_TOKEN for amberwatch's own commands; 'amberwatch token create' on the server makes one, and there, with the server's --data, commands need none",
  );
}

function checkRole(token: TokenRecord, { needed, method, url }: AccessRequest): void {
  if (token.role === needed || token.role === 'admin') return;
  const path = url.split('?', 1)[0];
  throw new MonitorError(
    'forbidden',
    `token ${token.id} has the role ${token.role}; ${method} ${path} needs ${needed}`,
  );
}
