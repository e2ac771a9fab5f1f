import { statSync } from 'node:fs';
import type { TlsOptions } from '../../api/app.ts';
import { MonitorError } from '../../core/error.ts';
import { every } from '../../platform/every.ts';
import type { Log } from '../../platform/log.ts';
import type { Config } from '../config/settings.ts';
import { checkPems, readPem } from './pem.ts';

const checkEveryMs = 5_000;

type Files = Pick<Config, 'tlsCert' | 'tlsKey' | 'tlsClientCa'>;

/** What shows a certificate. */
interface SecureServer {
  setSecureContext(tls: Partial<TlsOptions>): void;
}

/** What a server with TLS shows to its clients, and asks of them. */
export class ServerCertificate {
  /** Undefined: plain HTTP. */
  readonly tls: TlsOptions | undefined;
  readonly #files: Files;
  #version: string;

  /** @throws MonitorError `invalid` for half a configuration, or files that cannot be used */
  constructor(files: Files) {
    this.#files = files;
    this.tls = readTls(files);
    this.#version = versionOf(files);
  }

  /**
   * A certificate that is renewed is used from the next connection on; one that cannot be read changes nothing.
   * @returns what ends the looking
   */
  renew(servers: readonly SecureServer[], log: Log): () => void {
    if (this.tls === undefined) return () => undefined;
    const failed = (error: unknown) =>
      log.error({ err: error }, 'the new certificate cannot be used; going on with the old one');
    return every(checkEveryMs, () => this.#renewOnce(servers, log), failed);
  }

  #renewOnce(servers: readonly SecureServer[], log: Log): void {
    const found = versionOf(this.#files);
    if (found === this.#version) return;
    const tls = readTls(this.#files) ?? {};
    for (const server of servers) server.setSecureContext(tls);
    this.#version = found;
    log.info('the certificate was read again');
  }
}

function readTls({ tlsCert, tlsKey, tlsClientCa }: Files): TlsOptions | undefined {
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
function versionOf({ tlsCert, tlsKey, tlsClientCa }: Files): string {
  return [tlsCert, tlsKey, tlsClientCa].map((path) => (path === undefined ? '' : statSync(path).mtimeMs)).join(' ');
}
