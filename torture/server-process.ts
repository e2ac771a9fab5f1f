import { Program } from '../test/e2e/program.ts';
import { freePort } from '../test/influxd.ts';
import { temporaryFolder, until } from './scenario.ts';

/** The real server in a process of its own, killed and started again on the same port and store. */
export class ServerProcess {
  readonly url: string;
  /** Starts that ended by themselves, such as when somebody else had got the port meanwhile. */
  readonly failedStarts: string[] = [];
  readonly #args: string[];
  #program: Program | null = null;

  private constructor(port: number, args: string[]) {
    this.url = `http://127.0.0.1:${port}`;
    this.#args = args;
  }

  static async start(store: string, data = temporaryFolder(), ...more: string[]): Promise<ServerProcess> {
    const port = await freePort();
    const args = ['serve', '--listen', `127.0.0.1:${port}`, '--store', store, '--data', data, '--log-level', 'warn'];
    const server = new ServerProcess(port, [...args, ...more]);
    await server.restart();
    return server;
  }

  /** Without waiting for it. One that ends by itself is started again, as a service would be. */
  launch(): void {
    const program = new Program(this.#args);
    this.#program = program;
    void program.exit.then((code) => {
      if (this.#program !== program || program.child.signalCode !== null || code === 0) return;
      this.failedStarts.push(`exit ${code}: ${program.stderr.trim().slice(-300) || 'nothing said'}`);
      setTimeout(() => this.#program === program && this.launch(), 200);
    });
  }

  get pid(): number {
    return this.#program?.child.pid ?? 0;
  }

  /** @throws when it ends instead of becoming ready */
  async restart(): Promise<void> {
    const before = this.failedStarts.length;
    this.launch();
    await until(
      () => {
        if (this.failedStarts.length > before) throw new Error(`the server ended: ${this.failedStarts.at(-1)}`);
        return isReady(this.url);
      },
      30_000,
      'the start of the server',
    );
  }

  async stop(signal: NodeJS.Signals): Promise<number | null | undefined> {
    return this.#program?.stop(signal);
  }
}

export function isReady(url: string): Promise<boolean> {
  return fetch(`${url}/health/ready`).then(
    (answer) => answer.ok,
    () => false,
  );
}
