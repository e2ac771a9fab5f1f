import { constants } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import type { TlsOptions } from '../app.ts';

/** A thousand agents come back at the same moment after a restart. */
const backlog = 4096;
const mostConnections = 10_000;
/** Whose other side has vanished is found within a minute. */
const keepAliveMs = 30_000;
const handshakeMs = 10_000;
const farewellMs = 1000;
/** With this byte a TLS connection begins, and JSON never does. */
const tlsHandshake = 0x16;
/** Whoever shows a certificate shows it each time. */
const noResumption = { secureOptions: constants.SSL_OP_NO_TICKET };

export interface AgentListenerOptions {
  /** Of the HTTP server; agents may speak TLS on the same port as those that do not. */
  tls: TlsOptions | undefined;
  /** Whether whoever comes from there may be here without more. */
  isFree(socket: Socket): boolean;
  /** It is known how it speaks. */
  begin(socket: Socket, isCertified: boolean): void;
}

/** The port that agents connect to, with and without TLS. */
export class AgentListener {
  readonly #options: AgentListenerOptions;
  readonly #server: Server;
  readonly #tls: TlsServer | null;
  readonly #sockets = new Set<Socket>();
  /** Those that may be here and have said nothing yet, where it is not known whether they will speak TLS. */
  readonly #silent = new Set<string>();

  constructor(options: AgentListenerOptions) {
    this.#options = options;
    this.#server = createServer({ keepAlive: true, keepAliveInitialDelay: keepAliveMs, noDelay: true });
    this.#server.maxConnections = mostConnections;
    this.#server.on('connection', (socket) => this.#accept(socket));
    this.#tls = options.tls === undefined ? null : this.#makeTls(options.tls);
  }

  /** Connections that may be here, and have not begun. */
  get silent(): number {
    return this.#silent.size;
  }

  /** @returns the port @throws Node's own error */
  listen(address: { host: string; port: number }): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ ...address, backlog }, () => {
        this.#server.off('error', reject);
        resolve((this.#server.address() as { port: number }).port);
      });
    });
  }

  /** Nobody new. */
  stop(): void {
    this.#server.close();
  }

  /** Nobody any more. */
  hangUp(): void {
    for (const socket of this.#sockets) socket.destroySoon();
    // One that takes in nothing would keep it from ending.
    const cut = () => {
      for (const socket of this.#sockets) socket.destroy();
    };
    setTimeout(cut, farewellMs).unref();
  }

  /** A certificate that was renewed, from the next connection on. */
  setSecureContext(tls: Partial<TlsOptions>): void {
    this.#tls?.setSecureContext({ ...tls, ...noResumption });
  }

  #makeTls(tls: TlsOptions): TlsServer {
    // Who has no certificate may still have a token.
    const options = { ...tls, ...noResumption, rejectUnauthorized: false, handshakeTimeout: handshakeMs };
    const server = createTlsServer(options);
    server.on('secureConnection', (socket) => this.#begin(socket, hasCertificate(socket)));
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#tls === null) this.#begin(socket, false);
    else this.#beginBySpeech(socket, this.#tls);
  }

  /** By its first byte it is known whether it speaks TLS. Who may be here counts before. */
  #beginBySpeech(socket: Socket, tls: TlsServer): void {
    const name = nameOf(socket);
    if (this.#options.isFree(socket)) this.#silent.add(name);
    else socket.setTimeout(handshakeMs, () => socket.destroy());
    socket.once('close', () => this.#silent.delete(name));
    socket.once('readable', () => {
      socket.setTimeout(0);
      const piece = socket.read() as Buffer | null;
      if (piece === null) return;
      socket.unshift(piece);
      if (piece[0] === tlsHandshake) tls.emit('connection', socket);
      else this.#begin(socket, false);
    });
  }

  #begin(socket: Socket, isCertified: boolean): void {
    this.#silent.delete(nameOf(socket));
    // One that has gone meanwhile would never be said to have left.
    if (socket.destroyed) return;
    socket.on('error', () => socket.destroy());
    this.#options.begin(socket, isCertified);
  }
}

/** A session that was resumed is said to be authorized, and may never have had one. */
function hasCertificate(socket: TLSSocket): boolean {
  return socket.authorized && Object.keys(socket.getPeerCertificate() ?? {}).length > 0;
}

/** The same for a connection and the TLS in it. */
function nameOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
