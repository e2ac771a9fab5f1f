import type { Command } from 'commander';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { withClient } from '../wiring/client-access.ts';

export function addDisk(program: Command): void {
  addCommand(
    program,
    'disk',
    'what the embedded store takes, and what another retention would cost; asks the server',
    printed(disk),
  ).option('--json', 'the answer as it is');
}

async function* disk({ config, flags }: CommandContext): AsyncIterable<string> {
  const { diskLines } = await import('../../report/disk-lines.ts');
  const answer = await withClient(config, (client) => client.disk());
  if (flags.json === true) yield JSON.stringify(answer);
  else yield* diskLines(answer);
}
