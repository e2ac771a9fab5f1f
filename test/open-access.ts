import { emptyBook, type TokenBook } from '../src/access/token.ts';
import type { AccessOptions } from '../src/api/guard.ts';

/** Nobody needs a token; one made through `issue` is kept in memory. */
export function openAccess(book: TokenBook = emptyBook()): AccessOptions {
  const kept = { book };
  return {
    tokens: {
      book: () => kept.book,
      async issue(make) {
        const issued = make(kept.book);
        kept.book = issued.book;
        return issued.secret;
      },
    },
    alwaysRequired: false,
    hostNames: [],
  };
}
