import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** For programs that are not given a folder of their own. */
const data = mkdtempSync(join(tmpdir(), 'amberwatch-data-'));
process.on('exit', () => rmSync(data, { recursive: true, force: true }));

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/** The program as users run it, in a process of its own. */
export class Program {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly exit: Promise<number | null>;

  constructor(args: readonly string[], environment: Record<string, string> = {}) {
    const env = { ...process.env, NO_COLOR: '1', AMBERWATCH_DATA: data, ...environment };
    this.child = spawn(process.execPath, [cli, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (text) => {
      this.stdout += text;
    });
    this.child.stderr?.on('data', (text) => {
      this.stderr += text;
    });
    this.exit = new Promise((resolve) => this.child.once('close', resolve));
  }

  /** Resolves with the match once the output has it. */
  async says(pattern: RegExp, withinMs = 30_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + withinMs;
    while (Date.now() < deadline) {
      const match = pattern.exec(this.stdout);
      if (match) return match;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`no ${pattern} within ${withinMs} ms in:\n${this.stdout}\n${this.stderr}`);
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> {
    this.child.kill(signal);
    return this.exit;
  }
}

export async function getJson<T = Record<string, never>>(url: string): Promise<T> {
  const answer = await fetch(url);
  if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}
