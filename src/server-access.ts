import { statSync } from 'node:fs';
import type { Server } from 'node:https';
import type { FastifyBaseLogger } from 'fastify';
import { SimpleIntervalJob, Task, type ToadScheduler } from 'toad-scheduler';
import type { TlsOptions } from './api/app.ts';
import type { AccessOptions } from './api/guard.ts';
import { type Config, isLoopback } from './config.ts';
import type { Clock } from './core/clock.ts';
import { MonitorError } from './core/error.ts';
import { emptyBook, type Issued, issueToken, type TokenBook, type TokenRecord, wantsTokens } from './core/token.ts';
import { checkPems, readPem } from './pem.ts';
import { TokenFile } from './token-file.ts';

/** Whom a server lets in, and by which certificate it is known. */

const certificateCheckMs = 5_000;

/**
 * Who may use the server: the tokens in its data folder, and one of its own that nobody else ever sees. That one is
 * good from the first request to the last, whatever becomes of the others.
 * @throws MonitorError `invalid` when others could reach the server and nobody had a token
 */
export function serverAccess(config: Config, clock: Clock): { access: AccessOptions; secret: string } {
  const file = new TokenFile(config.data);
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

/** @throws MonitorError `invalid` for half a configuration */
export function serverTls({ tlsCert, tlsKey, tlsClientCa }: Config): TlsOptions | undefined {
  if (tlsCert === undefined && tlsKey === undefined && tlsClientCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw new MonitorError('invalid', 'TLS needs both --tls-cert and --tls-key');
  const ca = tlsClientCa && { ca: readPem(tlsClientCa, '--tls-client-ca', 'certificate'), requestCert: true };
  const cert = readPem(tlsCert, '--tls-cert', 'certificate');
  const options = { cert, key: readPem(tlsKey, '--tls-key', 'private key'), ...ca };
  checkPems(options, [tlsCert, tlsKey, tlsClientCa]);
  return options;
}

/** Changes whenever one of the files does. */
export function tlsVersion({ tlsCert, tlsKey, tlsClientCa }: Config): string {
  return [tlsCert, tlsKey, tlsClientCa].map((path) => (path === undefined ? '' : statSync(path).mtimeMs)).join(' ');
}

function refuseOpenServer({ listen }: Config, book: TokenBook, now: number): void {
  // Of tokens that have all expired there is none that lets anybody in; commands on the server itself can make one.
  if (isLoopback(listen.host) || wantsTokens(book, now)) return;
  throw new MonitorError(
    'invalid',
    `listening on ${listen.host} without tokens would let everybody read and write; make one first, with the same --data: amberwatch token invite`,
  );
}

/** A certificate that is renewed is used from the next connection on; one that cannot be read changes nothing. */
export function reloadCertificate(
  config: Config,
  usedVersion: string,
  server: Server,
  scheduler: ToadScheduler,
  log: FastifyBaseLogger,
): void {
  let version = usedVersion;
  const task = new Task('certificate', () => {
    try {
      const found = tlsVersion(config);
      if (found === version) return;
      server.setSecureContext(serverTls(config) ?? {});
      version = found;
      log.info('the certificate was read again');
    } catch (error) {
      log.error({ err: error }, 'the new certificate cannot be used; going on with the old one');
    }
  });
  scheduler.addSimpleIntervalJob(new SimpleIntervalJob({ milliseconds: certificateCheckMs }, task));
}
