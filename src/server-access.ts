import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { TlsOptions } from './api/app.ts';
import type { ClientOptions } from './client.ts';
import { type Config, isLoopback } from './config.ts';
import { MonitorError, messageOf } from './core/error.ts';
import { hasAccess, type TokenBook } from './core/token.ts';

/** Files that let a client in: the token that `join` got, and certificates. */

/** Under which name a folder or file belongs to a server. */
export function serverName(server: string): string {
  return server.replace(/[^a-z0-9]+/gi, '-').slice(0, 100);
}

/** A spool belongs to one server and one host name: under another name its snapshots would be refused. */
export function spoolName(server: string, host: string): string {
  const readable = host.replace(/[^\w.-]+/g, '-').slice(0, 60);
  const isSame = readable === host && !/^[.-]/.test(host);
  const unique = isSame ? readable : `${readable}-${createHash('sha256').update(host).digest('hex').slice(0, 8)}`;
  return `${serverName(server)}-as-${unique}`;
}

/** @throws MonitorError `invalid` for a file that cannot be read */
export async function clientOptions(config: Config, server: string): Promise<ClientOptions> {
  const token = config.token ?? (await keptToken(config.data, server));
  const files = { ca: config.ca, cert: config.clientCert, key: config.clientKey };
  const pems = Object.entries(files).flatMap(([name, path]) => (path === undefined ? [] : [[name, readPem(path)]]));
  const tls = Object.fromEntries(pems) as Omit<ClientOptions, 'token'>;
  if ((tls.cert === undefined) !== (tls.key === undefined))
    throw new MonitorError('invalid', 'a client certificate needs both --client-cert and --client-key');
  checkPems(tls, Object.values(files));
  return { ...(token !== undefined && { token }), ...tls };
}

function tokenPath(dataFolder: string, server: string): string {
  return join(dataFolder, 'token', new URL(server).origin.replace(/[:/]+/g, '_'));
}

async function keptToken(dataFolder: string, server: string): Promise<string | undefined> {
  if (!URL.canParse(server)) return undefined;
  return readFile(tokenPath(dataFolder, server), 'utf8').then(
    (text) => text.trim() || undefined,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
      throw new MonitorError('unavailable', `the token of ${server} cannot be read: ${error.message}`);
    },
  );
}

/**
 * A place for the token of a server, found before there is one: a code is used up once. What is kept there
 * already stays until `keep`, which resolves with where the token is now.
 * @throws MonitorError `unavailable` when nothing can be written there
 */
export async function placeForToken(
  dataFolder: string,
  server: string,
): Promise<{ keep(token: string): Promise<string> }> {
  const path = tokenPath(dataFolder, server);
  const temporary = `${path}.new`;
  const write = async (text: string) => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(temporary, text, { mode: 0o600 });
  };
  await write('').catch((error: unknown) => {
    throw new MonitorError(
      'unavailable',
      `cannot keep a token: ${messageOf(error)}; choose another folder with --data`,
    );
  });
  return {
    async keep(token) {
      await write(`${token}\n`);
      await rename(temporary, path);
      return path;
    },
  };
}

/** @throws MonitorError `invalid` for half a configuration */
export function serverTls({ tlsCert, tlsKey, tlsClientCa }: Config): TlsOptions | undefined {
  if (tlsCert === undefined && tlsKey === undefined && tlsClientCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw new MonitorError('invalid', 'TLS needs both --tls-cert and --tls-key');
  const ca = tlsClientCa === undefined ? {} : { ca: readPem(tlsClientCa), requestCert: true };
  const options = { cert: readPem(tlsCert), key: readPem(tlsKey), ...ca };
  checkPems(options, [tlsCert, tlsKey, tlsClientCa]);
  return options;
}

/** Changes whenever one of the files does. */
export function tlsVersion({ tlsCert, tlsKey, tlsClientCa }: Config): string {
  return [tlsCert, tlsKey, tlsClientCa].map((path) => (path === undefined ? '' : statSync(path).mtimeMs)).join(' ');
}

/** OpenSSL's own words name no file. */
function checkPems(options: SecureContextOptions, paths: readonly (string | undefined)[]): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const names = paths.filter((path) => path !== undefined).join(', ');
    throw new MonitorError('invalid', `${names}: not a certificate and its key in PEM: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new MonitorError('invalid', `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** @throws MonitorError `invalid` when others could reach the server and nobody needed a token */
export function refuseOpenServer({ listen }: Config, book: TokenBook, now: number): void {
  if (isLoopback(listen.host) || hasAccess(book, now)) return;
  throw new MonitorError(
    'invalid',
    `listening on ${listen.host} without tokens would let everybody read and write; make one first, with the same --data: amberwatch token invite`,
  );
}
