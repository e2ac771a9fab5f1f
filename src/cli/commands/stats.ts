import type { Command } from 'commander';
import { terminalJson } from '../../platform/terminal-text.ts';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { withClient } from '../wiring/client-access.ts';

const examples = `
Examples:
  amberwatch stats process_cpu                            every process of every host, the busiest first
  amberwatch stats process_memory --by process --top 20   by name, all hosts together
  amberwatch stats 'system_load1{host="web-01"}' --windows 1d,7d`;

export function addStats(program: Command): void {
  addCommand(
    program,
    'stats',
    'least, most, mean, deviation and percentiles over windows; asks the server',
    printed(stats),
  )
    .argument('<selector>', 'as process_cpu{host="web-01"}')
    .option('--windows <list>', 'how far back', '1h,3h,12h')
    .option('--by <labels>', "take together what has these labels in common, as process or host,process; '': all")
    .option('--at <instant>', 'up to when, as 2026-11-20T12:00:00Z; default: now')
    .option('--top <count>', 'those with the highest means; 0: all', '30')
    .option('--exact', 'percentiles of the samples themselves, or an error where there are too many')
    .option('--json', 'the answer of the server as JSON')
    .addHelpText('after', examples);
}

async function* stats({ config, flags, args }: CommandContext): AsyncIterable<string> {
  const { statisticsLines } = await import('../../report/statistics-lines.ts');
  const { windows, by, at, top, exact } = flags as Record<string, string | undefined>;
  const query = { selector: args[0], windows, by, at, top, ...(exact && { exact: 'true' }) };
  const answer = await withClient(config, (client) => client.statistics(query));
  if (flags.json === true) yield terminalJson(answer);
  else yield* statisticsLines(answer);
}
