import {
  emptyBook,
  type Issued,
  issueToken,
  type TokenBook,
  type TokenRecord,
  wantsTokens,
} from '../../access/token.ts';
import { TokenFile } from '../../access/token-file.ts';
import type { AccessOptions } from '../../api/guard.ts';
import type { Clock } from '../../core/clock.ts';
import { MonitorError } from '../../core/error.ts';
import { isLoopback } from '../config/address.ts';
import type { Config } from '../config/settings.ts';

/**
 * Who may use the server: the tokens in its data folder, and one of its own that nobody else ever sees. That one is
 * good from the first request to the last, whatever becomes of the others.
 * @throws MonitorError `invalid` when others could reach the server and nobody had a token
 */
export function serverAccess(config: Config, clock: Clock): { access: AccessOptions; secret: string } {
  const file = new TokenFile(config.data, config.tokens);
  const kept = (): TokenBook => {
    const { tokens, invites } = file.book();
    return { tokens: config.adminToken ? [...tokens, config.adminToken] : tokens, invites };
  };
  refuseOpenServer(config, kept(), clock.now());
  const { book, secret } = issueToken(emptyBook(), 'admin', null, clock.now(), null);
  const own = book.tokens[0] as TokenRecord;
  const tokens = { own, book: kept, issue: (make: (book: TokenBook) => Issued) => file.issue(make) };
  return {
    access: { tokens, alwaysRequired: !isLoopback(config.listen.host), hostNames: config.allowHost },
    secret,
  };
}

function refuseOpenServer({ listen }: Config, book: TokenBook, now: number): void {
  // Of tokens that have all expired there is none that lets anybody in; commands on the server itself can make one.
  if (isLoopback(listen.host) || wantsTokens(book, now)) return;
  throw new MonitorError(
    'invalid',
    `listening on ${listen.host} without tokens would let everybody read and write; make one first, with the same --data: amberwatch token invite`,
  );
}
