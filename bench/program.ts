import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** The program as users run it, built; its log is read. */
export class Program {
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(...args: string[]) {
    this.process = spawn(process.execPath, ['dist/cli.js', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.process.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** The URL that a server says it listens at. */
  async url(): Promise<string> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new Error('the program ended early');
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(value)?.[0];
      if (url !== undefined && value.includes('listening')) return url;
    }
  }

  residentMiB(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]) / 1024;
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('close', resolve));
    this.process.kill('SIGTERM');
    await ended;
  }
}
