import type { Command } from 'commander';
import { parseDuration } from '../../core/duration.ts';
import { terminalJson } from '../../platform/terminal-text.ts';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { columnsOf } from '../terminal.ts';
import { withClient } from '../wiring/client-access.ts';

const examples = `
Examples:
  amberwatch history web-01 java                        its CPU of the last hour
  amberwatch history web-01 java --metric memoryMax --since 1d
  amberwatch history web-01 --metric system.load1 --csv > load.csv`;

/** Where the output is no terminal. */
const defaultColumns = 80;

export function addHistory(program: Command): void {
  addCommand(program, 'history', 'a process, or a host, over time, as a plot in characters', printed(history))
    .argument('<host>', 'its name')
    .argument('[process]', "a process's name; without it the host itself")
    .option('--metric <metric>', 'cpuMax, memoryMax, ... of a process, system.cpu, ... of a host')
    .option('--since <duration>', 'how far back', '1h')
    .option('--at <instant>', 'up to when, as 2026-11-20T12:00:00Z; default: now')
    .option('--csv', 'time and value for a spreadsheet')
    .option('--json', 'the answer of the server')
    .addHelpText('after', examples);
}

async function* history({ config, flags, args }: CommandContext): AsyncIterable<string> {
  const { historyCsv, historyPlot } = await import('../../report/history-plot.ts');
  const [host, process_] = args as [string, string | undefined];
  const { since = '1h', at } = flags as Record<string, string | undefined>;
  const metric = (flags.metric as string | undefined) ?? (process_ === undefined ? 'system.cpu' : 'cpuMax');
  const columns = columnsOf(process.stdout) ?? defaultColumns;
  const step = `${Math.max(1, Math.ceil(parseDuration(since, 'since') / 1000 / (columns * 2)))}s`;
  const query = { host, process: process_, metric, window: since, step, at };
  const [answer, forecasts] = await withClient(config, (client) =>
    Promise.all([client.series(query), client.forecasts({ host, process: process_, at })]),
  );
  const [series] = answer.series;
  if (flags.json === true) yield terminalJson(answer);
  else if (flags.csv === true) yield* historyCsv(answer);
  else
    yield* historyPlot(
      answer,
      forecasts.forecasts.find((each) => each.series === series?.series),
      columns,
    );
}
