import type { Command } from 'commander';
import { addCommand } from '../add-command.ts';
import { closeOnSignal } from '../close-on-signal.ts';
import type { Config } from '../config/settings.ts';
import { clock } from '../real-clock.ts';
import { complain, logOf } from '../terminal.ts';
import { version } from '../version.ts';
import { startServer } from '../wiring/server.ts';

export function addServe(program: Command): void {
  addCommand(program, 'serve', 'run the server: takes snapshots, answers queries, computes alarms', serve);
}

async function serve(config: Config): Promise<void> {
  const log = logOf(config.logLevel);
  const server = await startServer(config, clock, log, version);
  closeOnSignal([server], { clock, complain });
}
