import { createHash } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ClientOptions, MonitorClient } from '../../client/monitor-client.ts';
import { MonitorError } from '../../core/error.ts';
import { fileReason } from '../../core/failure-reason.ts';
import { replaceFile, writeNewFile } from '../../platform/durable-file.ts';
import { isLoopback } from '../config/address.ts';
import type { Config } from '../config/settings.ts';
import { checkPems, readPem } from './pem.ts';

/** What a client brings to a server, and under which names it keeps what belongs to one. */

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

/**
 * The token that was set; or the way to a server on this machine, where its data folder is the configured one; or
 * the token that `join` has kept.
 * @throws MonitorError `invalid` for a file that cannot be read
 */
export async function clientOptions(config: Config, server: string): Promise<ClientOptions> {
  const local = config.token === undefined ? localSocketOf(config.data, server) : null;
  const token = config.token ?? (await keptToken(config.data, server));
  const { ca, clientCert: cert, clientKey: key } = config;
  const tls: Pick<ClientOptions, 'ca' | 'cert' | 'key'> = {
    ...(ca && { ca: readPem(ca, '--ca', 'certificate') }),
    ...(cert && { cert: readPem(cert, '--client-cert', 'certificate') }),
    ...(key && { key: readPem(key, '--client-key', 'private key') }),
  };
  if ((tls.cert === undefined) !== (tls.key === undefined))
    throw new MonitorError('invalid', 'a client certificate needs both --client-cert and --client-key');
  checkPems(tls, [ca, cert, key]);
  return { ...(token !== undefined && { token }), ...(local !== null && { local }), ...tls };
}

/** Null: this URL does not mean this machine. */
function localSocketOf(dataFolder: string, server: string): string | null {
  const url = URL.canParse(server) ? new URL(server) : null;
  if (url === null || url.pathname !== '/' || !isLoopback(url.hostname.replace(/^\[|\]$/g, ''))) return null;
  const path = localSocketPath(dataFolder, Number(url.port) || (url.protocol === 'https:' ? 443 : 80));
  return Buffer.byteLength(path) > longestSocketPath ? null : path;
}

/** The kernel takes no more, and what is longer libuv cuts off: it would be another path. */
export const longestSocketPath = process.platform === 'linux' ? 107 : 103;

/** On the server itself: see local-socket.ts. */
export function localSocketPath(dataFolder: string, port: number): string {
  return join(dataFolder, `local-${port}.sock`);
}

const tokenBytes = 200;

function tokenPath(dataFolder: string, server: string): string {
  return join(dataFolder, 'token', new URL(server).origin.replace(/[:/]+/g, '_'));
}

async function keptToken(dataFolder: string, server: string): Promise<string | undefined> {
  if (!URL.canParse(server)) return undefined;
  return readFile(tokenPath(dataFolder, server), 'utf8').then(
    (text) => text.trim() || undefined,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
      throw new MonitorError('unavailable', `the token of ${server} cannot be read: ${fileReason(error)}`);
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
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // As much as a token takes: an empty file fits onto a full disk.
    await rm(`${path}.tmp`, { force: true });
    await writeNewFile(`${path}.tmp`, ' '.repeat(tokenBytes)).finally(() => rm(`${path}.tmp`, { force: true }));
  } catch (error) {
    throw new MonitorError(
      'unavailable',
      `cannot keep a token in ${dirname(path)}: ${fileReason(error)}; choose another folder with --data`,
    );
  }
  return { keep: (token) => replaceFile(path, `${token}\n`).then(() => path) };
}

/** Asks the configured server, and lets go of it whatever becomes of that. */
export async function withClient<T>(config: Config, use: (client: MonitorClient) => Promise<T>): Promise<T> {
  const { MonitorClient } = await import('../../client/monitor-client.ts');
  const client = new MonitorClient(config.server, await clientOptions(config, config.server));
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}
