import type { Command } from 'commander';
import type { AlerterOutput } from '../../alerter/alerter.ts';
import { MonitorError } from '../../core/error.ts';
import { terminalJson } from '../../platform/terminal-text.ts';
import { addCommand, type Flags } from '../add-command.ts';
import { makeOutput } from '../alert-output.ts';
import { closeOnSignal } from '../close-on-signal.ts';
import type { Config } from '../config/settings.ts';
import { exitCodeHelp, exitCodes } from '../exit-code.ts';
import { clock } from '../real-clock.ts';
import { complain } from '../terminal.ts';
import { startAlerter } from '../wiring/alerter.ts';
import { withClient } from '../wiring/client-access.ts';

export function addAlert(program: Command): void {
  addCommand(program, 'alert', 'run the alerter: prints what goes RED, AMBER, STALE and OK again', alert)
    .option('--once', 'say what is wrong now and exit; the exit code tells the level')
    .option('--json', 'one JSON object per line instead of text')
    .addHelpText('after', exitCodeHelp);
}

async function alert(config: Config, flags: Flags): Promise<void> {
  const output = makeOutput(flags.json === true);
  if (flags.once === true) {
    process.exitCode = await alertOnce(config, output, flags.json === true);
    return;
  }
  closeOnSignal([await startAlerter(config, config.server, clock, output)], { clock, complain });
}

/** PAUSED is as somebody wants it. */
const exitCodeOfLevel = {
  RED: exitCodes.red,
  AMBER: exitCodes.amber,
  STALE: exitCodes.amber,
  PAUSED: exitCodes.ok,
  GREEN: exitCodes.ok,
} as const;

async function alertOnce(config: Config, output: AlerterOutput, json: boolean): Promise<number> {
  const { announceAll } = await import('../../alerter/alerter.ts');
  try {
    const { level, announcements, hosts, summary } = await withClient(config, announceAll);
    for (const announcement of announcements) output.announce(announcement);
    if (!json) output.note(clock.now(), summary);
    else if (announcements.length === 0)
      process.stdout.write(
        `${terminalJson({ time: new Date(clock.now()).toISOString(), level, hosts, reason: summary })}\n`,
      );
    return exitCodeOfLevel[level];
  } catch (error) {
    if (!(error instanceof MonitorError) || error.code !== 'unavailable') throw error;
    complain(error.message);
    return exitCodes.unreachable;
  }
}
