import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

const askEveryMs = 500;
const longestAskMs = 1000;

interface Target {
  url: string;
  isReady: boolean;
  sockets: Set<Socket>;
}

/** A load balancer as people have one: each connection to the next server that is ready, and none to one that is not. */
export class Balancer {
  readonly #targets: readonly Target[];
  readonly #server: Server;
  readonly #timer: NodeJS.Timeout;
  #next = 0;

  private constructor(urls: readonly string[]) {
    this.#targets = urls.map((url) => ({ url, isReady: true, sockets: new Set() }));
    this.#server = createServer((socket) => this.#pass(socket));
    this.#timer = setInterval(() => void Promise.all(this.#targets.map((target) => this.#ask(target))), askEveryMs);
  }

  static async start(urls: readonly string[]): Promise<Balancer> {
    const balancer = new Balancer(urls);
    balancer.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => balancer.#server.once('listening', resolve));
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { sockets } of this.#targets) for (const socket of sockets) socket.destroy();
    this.#server.close();
  }

  #pass(socket: Socket): void {
    const ready = this.#targets.filter(({ isReady }) => isReady);
    const target = ready[this.#next++ % Math.max(1, ready.length)];
    if (target === undefined) return void socket.destroy();
    const onward = connect(Number(new URL(target.url).port), '127.0.0.1');
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      target.sockets.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => target.sockets.delete(one));
    }
  }

  async #ask(target: Target): Promise<void> {
    target.isReady = await fetch(`${target.url}/health/ready`, { signal: AbortSignal.timeout(longestAskMs) }).then(
      (answer) => answer.ok,
      () => false,
    );
    if (!target.isReady) for (const socket of target.sockets) socket.destroy();
  }
}
