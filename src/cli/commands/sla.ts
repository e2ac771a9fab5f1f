import type { Command } from 'commander';
import { terminalJson } from '../../platform/terminal-text.ts';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { withClient } from '../wiring/client-access.ts';

export function addSla(program: Command): void {
  const sla = program.command('sla').description('what is promised, and how it was kept; asks the server');
  addCommand(sla, ['sla', 'ls'], 'list SLAs: series, range and objective', printed(list)).option('--json', 'as JSON');
  addCommand(sla, ['sla', 'status'], 'time in violation, objective and error budget of each', printed(status))
    .option('--at <instant>', 'up to when, as 2026-11-20T12:00:00Z; default: now')
    .option('--json', 'as JSON');
  addCommand(sla, ['sla', 'violations'], 'when which series were out of the range', printed(violations))
    .argument('<id>', "as 'amberwatch sla ls' prints it")
    .option('--window <duration>', 'how far back', '12h')
    .option('--at <instant>', 'up to when; default: now')
    .option('--json', 'as JSON');
  addCommand(sla, ['sla', 'predictions'], 'which series are about to leave the range', printed(predictions))
    .argument('<id>', "as 'amberwatch sla ls' prints it")
    .option('--json', 'as JSON');
}

async function* list({ config, flags }: CommandContext): AsyncIterable<string> {
  const { slaLines } = await import('../../report/sla-lines.ts');
  const answer = await withClient(config, (client) => client.slas());
  yield* flags.json === true ? [terminalJson(answer)] : slaLines(answer);
}

async function* status({ config, flags }: CommandContext): AsyncIterable<string> {
  const { slaStatusLines } = await import('../../report/sla-lines.ts');
  const answer = await withClient(config, (client) => client.slaStatus({ at: flags.at as string | undefined }));
  yield* flags.json === true ? [terminalJson(answer)] : slaStatusLines(answer);
}

async function* violations({ config, flags, args }: CommandContext): AsyncIterable<string> {
  const { violationLines } = await import('../../report/sla-lines.ts');
  const { window, at } = flags as Record<string, string | undefined>;
  const answer = await withClient(config, (client) => client.slaViolations(args[0] as string, { window, at }));
  yield* flags.json === true ? [terminalJson(answer)] : violationLines(answer);
}

async function* predictions({ config, flags, args }: CommandContext): AsyncIterable<string> {
  const { predictionLines } = await import('../../report/sla-lines.ts');
  const answer = await withClient(config, (client) => client.slaPredictions(args[0] as string));
  yield* flags.json === true ? [terminalJson(answer)] : predictionLines(answer);
}
