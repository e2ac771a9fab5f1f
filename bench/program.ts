import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from '../torture/measure.ts';

/** The program as users run it, built. */
export class Program {
  readonly process: ChildProcess;
  #said = '';

  constructor(...args: string[]) {
    this.process = spawn(process.execPath, ['dist/cli.js', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    // What is not read any more would stop it one day.
    for (const stream of [this.process.stdout, this.process.stderr])
      stream?.on('data', (text) => {
        if (this.#said.length < 10_000) this.#said += text;
      });
  }

  get pid(): number {
    return this.process.pid as number;
  }

  /** The URL that a server says it listens at. */
  async url(): Promise<string> {
    for (;;) {
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(this.#said)?.[0];
      if (url !== undefined) return url;
      if (this.process.exitCode !== null || this.process.signalCode !== null)
        throw new Error(`the program ended early: ${this.#said}`);
      await sleep(2);
    }
  }

  residentMiB(): number {
    return residentBytes(this.pid) / 1024 ** 2;
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.process.once('close', resolve));
    this.process.kill('SIGTERM');
    await ended;
  }
}
