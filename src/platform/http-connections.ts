import { Agent, type ClientRequest, type IncomingMessage, type RequestOptions, request } from 'node:http';

export interface HttpConnectionsOptions {
  /** What may pass until there is a connection. */
  connectMs: number;
  /** What may pass without a byte, while an answer is waited for or comes. */
  silenceMs: number;
  /** A Unix socket instead of the address in the URL. */
  socketPath?: string;
  /** PEM: the only authority that is trusted, and a certificate of one's own. */
  ca?: string;
  cert?: string;
  key?: string;
}

export interface HttpRequest {
  method: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array;
  signal: AbortSignal;
}

/**
 * Connections that are kept. By what Node has: a client in a package of its own takes 15 MB of memory, and who lives on
 * every host should take little.
 */
export class HttpConnections {
  readonly #options: HttpConnectionsOptions;
  readonly #plain = new Agent({ keepAlive: true });
  readonly #closed = new AbortController();
  /** Loaded with what TLS is made of, where somebody is asked by it. */
  #secure: Promise<{ agent: Agent; request: typeof request }> | null = null;

  constructor(options: HttpConnectionsOptions) {
    this.#options = options;
  }

  /**
   * The head of an answer; its body is still to be read.
   * @throws what Node says of a connection; with a code of its own where one or an answer is too late
   */
  async request(url: string, wanted: HttpRequest): Promise<IncomingMessage> {
    const target = new URL(url);
    const start = await this.#starter(target);
    for (;;) {
      const { promise, asked } = this.#ask(start, wanted);
      try {
        return await promise;
      } catch (error) {
        // The other side has let go of a connection that was kept; what is asked here may be asked twice.
        if (!isUsedUp(asked, error) || wanted.signal.aborted || this.#closed.signal.aborted) throw error;
      }
    }
  }

  /** Cuts what is under way. */
  close(): void {
    this.#closed.abort(new Error('the client is closed'));
    this.#plain.destroy();
    void this.#secure?.then(({ agent }) => agent.destroy());
  }

  async #starter(url: URL): Promise<(options: RequestOptions) => ClientRequest> {
    if (url.protocol === 'http:') return (options) => request(url, { ...options, agent: this.#plain });
    const { ca, cert, key } = this.#options;
    this.#secure ??= import('node:https').then((https) => ({
      agent: new https.Agent({ keepAlive: true, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }),
      request: https.request,
    }));
    const secure = await this.#secure;
    return (options) => secure.request(url, { ...options, agent: secure.agent });
  }

  #ask(start: (options: RequestOptions) => ClientRequest, { method, headers = {}, body, signal }: HttpRequest) {
    const { socketPath, connectMs, silenceMs } = this.#options;
    const asked = start({
      method,
      headers: { ...headers, ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }) },
      timeout: silenceMs,
      ...(socketPath !== undefined && { socketPath }),
    });
    // Of a request that is answered Node would say only that it was aborted.
    let answer: IncomingMessage | undefined;
    const end = (error: Error) => (answer ?? asked).destroy(error);
    const promise = new Promise<IncomingMessage>((resolve, reject) => {
      asked.once('response', (response) => {
        answer = response;
        resolve(response);
      });
      asked.on('error', reject);
      // An answer that switches protocols ends without a word.
      asked.once('close', () =>
        reject(Object.assign(new Error('it hung up without an answer'), { code: 'ECONNRESET' })),
      );
    });
    asked.on('timeout', () =>
      end(
        tooLate(
          answer === undefined ? 'NO_ANSWER_IN_TIME' : 'ANSWER_STOPPED',
          `nothing came for ${silenceMs / 1000} s`,
        ),
      ),
    );
    limitConnecting(asked, connectMs);
    for (const cut of [signal, this.#closed.signal]) {
      const abort = () => end(cut.reason as Error);
      if (cut.aborted) abort();
      cut.addEventListener('abort', abort, { once: true });
      asked.once('close', () => cut.removeEventListener('abort', abort));
    }
    asked.end(body);
    return { promise, asked };
  }
}

function limitConnecting(asked: ClientRequest, connectMs: number): void {
  asked.once('socket', (socket) => {
    if (!socket.connecting) return;
    const late = () => asked.destroy(tooLate('ETIMEDOUT', `no connection within ${connectMs / 1000} s`));
    const timer = setTimeout(late, connectMs);
    for (const event of ['encrypted' in socket ? 'secureConnect' : 'connect', 'close'])
      socket.once(event, () => clearTimeout(timer));
  });
}

function tooLate(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

function isUsedUp(asked: ClientRequest, error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return asked.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
}
