import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { residentBytes } from '../torture/measure.ts';
import { cpuSeconds } from './cpu-seconds.ts';
import { Program } from './program.ts';
import { report } from './report.ts';
import { snapshotBody } from './synthetic.ts';

const processes = 100;
const settledMs = 30_000;
const measuredMs = 120_000;

/** What the live view takes in a terminal that shows all rows of a host. */
export async function benchTop(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const server = new Program('serve', '--data', folder, '--listen', '127.0.0.1:0');
  const url = await server.url();
  const put = () => {
    const body = JSON.stringify(snapshotBody(0, Date.now(), processes));
    const headers = { 'content-type': 'application/json' };
    return fetch(`${url}/v1/usage`, { method: 'PUT', body, headers }).catch(() => undefined);
  };
  await put();
  const timer = setInterval(put, 1000);
  const terminal = terminalOf(`top --server ${url}`);
  try {
    await sleep(settledMs);
    const pid = childOf(terminal);
    const [before, begin] = [cpuSeconds(pid), performance.now()];
    await sleep(measuredMs);
    const share = (cpuSeconds(pid) - before) / ((performance.now() - begin) / 1000);
    report(`top: ${processes} rows, every second`, [
      { name: 'of a core', value: share * 100, unit: '%', bar: { is: 'at most', value: 1, of: 'value' } },
      { name: 'RSS', value: residentBytes(pid) / 2 ** 20, unit: 'MiB', bar: { is: 'at most', value: 80, of: 'value' } },
    ]);
  } finally {
    clearInterval(timer);
    terminal.kill();
    await server.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A terminal of 110 lines, by util-linux's `script`. */
function terminalOf(command: string): ChildProcess {
  const inside = `stty cols 120 rows 110; exec ${process.execPath} dist/cli.js ${command}`;
  const terminal = spawn('script', ['-qfc', inside, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
  terminal.stdout?.resume();
  return terminal;
}

function childOf(parent: ChildProcess): number {
  return Number(execFileSync('pgrep', ['-P', `${parent.pid}`], { encoding: 'utf8' }).trim());
}
