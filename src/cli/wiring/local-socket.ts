import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createConnection } from 'node:net';
import { messageOf } from '../../core/error.ts';
import { localSocketPath, longestSocketPath } from './client-access.ts';

/**
 * On the server itself: a Unix socket in its data folder, mode 0600. Who may use the folder needs no token there, and
 * no certificate; nobody else can connect. Named after the port, so that a URL says which.
 */

const ownerOnly = 0o600;

export interface LocalSocket {
  isLocal(request: IncomingMessage): boolean;
  /** What cannot be listened on is a warning: then commands on this machine need a token as well. */
  listen(handle: RequestListener, dataFolder: string, port: number, warn: (message: string) => void): Promise<void>;
  closeAllConnections(): void;
  close(): Promise<void>;
}

export function makeLocalSocket(): LocalSocket {
  const requests = new WeakSet<IncomingMessage>();
  let handler: RequestListener = () => undefined;
  const server = createServer((request, response) => {
    requests.add(request);
    handler(request, response);
  });
  return {
    isLocal: (request) => requests.has(request),
    async listen(handle, dataFolder, port, warn) {
      // Windows has named pipes instead, which everybody may read.
      if (process.platform === 'win32') return;
      handler = handle;
      const path = localSocketPath(dataFolder, port);
      try {
        await mkdir(dataFolder, { recursive: true, mode: 0o700 });
        if (Buffer.byteLength(path) > longestSocketPath)
          throw new Error(`its path has more than ${longestSocketPath} bytes; choose a shorter data folder`);
        if (await isAnswered(path)) throw new Error('another server listens on it');
        // One that a kill has left.
        await rm(path, { force: true });
        await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
        await chmod(path, ownerOnly);
      } catch (error) {
        server.close();
        warn(`commands on this machine need a token: cannot listen on ${path}: ${messageOf(error)}`);
      }
    },
    closeAllConnections: () => server.closeAllConnections(),
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const answer = (isThere: boolean) => {
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', () => answer(true)).once('error', () => answer(false));
  });
}
