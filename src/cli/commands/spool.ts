import type { Command } from 'commander';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { spoolFolder } from '../wiring/collector.ts';

export function addSpool(program: Command): void {
  const spool = program.command('spool').description("what this host's collector has not delivered yet");
  addCommand(spool, ['spool', 'ls'], 'list spools with what became of all snapshots', printed(listSpools));
  addCommand(spool, ['spool', 'verify'], 'read every snapshot and name those that are damaged', printed(verifySpools));
  addCommand(
    spool,
    ['spool', 'drop'],
    'give up what waits in one spool; its collector must not run',
    printed(dropSpool),
  ).argument('<name>', "as 'amberwatch spool ls' prints it");
}

async function* listSpools({ config, now }: CommandContext): AsyncIterable<string> {
  const inspection = await import('../../collector/spool-inspection.ts');
  yield* await inspection.listSpools(spoolFolder(config), now);
}

/** Ends with exit code 1 where something is damaged. */
async function* verifySpools({ config }: CommandContext): AsyncIterable<string> {
  const inspection = await import('../../collector/spool-inspection.ts');
  const { lines, damaged } = await inspection.verifySpools(spoolFolder(config));
  yield* lines;
  yield damaged === 0 ? 'no damage' : `${damaged} damaged: the collector will set them aside`;
  if (damaged > 0) process.exitCode = 1;
}

async function* dropSpool({ config, args: [name = ''] }: CommandContext): AsyncIterable<string> {
  const inspection = await import('../../collector/spool-inspection.ts');
  yield* await inspection.dropSpool(spoolFolder(config), name);
}
