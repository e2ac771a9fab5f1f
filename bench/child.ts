import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A benchmark's own process: it prints lines, and reads lines. */
export class Child {
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  private constructor(process: ChildProcess, lines: Interface) {
    this.process = process;
    this.#lines = lines[Symbol.asyncIterator]();
  }

  /** Starts a script of this folder. */
  static script(name: string, ...args: string[]): Child {
    const path = fileURLToPath(new URL(name, import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    return new Child(child, createInterface({ input: child.stdout as NodeJS.ReadableStream }));
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`a benchmark process ended early (${this.process.exitCode})`);
    return value;
  }

  write(line: string): void {
    this.process.stdin?.write(`${line}\n`);
  }

  async ask(line: string): Promise<string> {
    this.write(line);
    return this.line();
  }

  end(line = 'end'): Promise<void> {
    if (this.process.exitCode !== null) return Promise.resolve();
    const ended = new Promise<void>((resolve) => this.process.once('exit', () => resolve()));
    this.write(line);
    return ended;
  }
}
