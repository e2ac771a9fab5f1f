import type { Command } from 'commander';
import { precisionRule } from '../../forecast/score.ts';
import { terminalJson } from '../../platform/terminal-text.ts';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { withClient } from '../wiring/client-access.ts';

export function addAccuracy(program: Command): void {
  addCommand(program, 'accuracy', 'say how right the forecasts have been', printed(accuracy))
    .option('--window <duration>', 'how far back', '24h')
    .option('--json', 'the answer of the server as JSON')
    .addHelpText('after', `\n${precisionRule}`);
}

async function* accuracy({ config, flags }: CommandContext): AsyncIterable<string> {
  const { accuracyReport } = await import('../../report/accuracy-lines.ts');
  const answer = await withClient(config, (client) => client.accuracy({ window: flags.window as string }));
  yield* flags.json === true ? [terminalJson(answer)] : accuracyReport(answer);
}
