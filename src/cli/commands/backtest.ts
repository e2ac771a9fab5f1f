import { type Command, Option } from 'commander';
import type { MonitorClient } from '../../client/monitor-client.ts';
import { parseDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import { isOfOtherSource } from '../../core/series.ts';
import { isProcessThreshold, parseThreshold, type Threshold } from '../../core/threshold.ts';
import type { PolicyName } from '../../forecast/amber-policy.ts';
import { terminalJson } from '../../platform/terminal-text.ts';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { withClient } from '../wiring/client-access.ts';

const examples = `
Examples:
  amberwatch backtest --host web-01 --process java --metric memory --since 2d
  amberwatch backtest --manifest series/manifest.json --policy quiet > said.jsonl`;

export function addBacktest(program: Command): void {
  const policy = new Option('--policy <name>', 'what becomes an alarm').choices(['balanced', 'quiet']);
  const what = 'say what would have been forecast of recorded series, and how right it was';
  addCommand(program, 'backtest', what, printed(backtest))
    .option('--manifest <file>', 'series in CSV files that a JSON manifest lists; prints one JSON line for each')
    .option('--host <name>', "or one's own history: of this host")
    .option('--process <name>', 'of this process; without it of the host itself')
    .option(
      '--metric <metric>',
      'cpu or memory of a process, system.cpu, ... of a host, also with its line: cpu=90 (default: cpu, or system.cpu without --process)',
    )
    .option('--since <duration>', 'how far back', '2d')
    .addOption(policy.default('balanced'))
    .addHelpText('after', examples);
}

async function* backtest({ config, flags, now, progress }: CommandContext): AsyncIterable<string> {
  const policy = flags.policy as PolicyName;
  if (typeof flags.manifest === 'string') {
    const { backtestManifest } = await import('../../report/manifest-backtest.ts');
    for await (const line of backtestManifest(flags.manifest, policy, progress)) yield terminalJson(line);
    return;
  }
  if (typeof flags.host !== 'string')
    throw new MonitorError('invalid', "backtest needs --manifest FILE, or --host NAME for one's own history");
  const { backtestHistory } = await import('../../report/history-backtest.ts');
  const process = typeof flags.process === 'string' ? flags.process : null;
  const threshold = backtestThreshold(flags.metric as string | undefined, process);
  const sinceMs = parseDuration(flags.since as string, 'since');
  const asked = { host: flags.host, process, threshold, policy, sinceMs };
  yield* await withClient(config, (client: MonitorClient) => backtestHistory(client, asked, now));
}

function backtestThreshold(text: string | undefined, process: string | null): Threshold {
  const metric = text ?? (process === null ? 'system.cpu' : 'cpu');
  const threshold = parseThreshold(/[=:]/.test(metric) ? metric : `${metric}=80`);
  if (isOfOtherSource(threshold.selector.metric) || threshold.selector.matchers.length > 0)
    throw new MonitorError(
      'invalid',
      'backtest replays metrics of hosts and processes: name one, and --host, --process',
    );
  if (isProcessThreshold(threshold) !== (process !== null)) {
    const remedy = process === null ? 'process: name it with --process' : 'host: leave out --process';
    throw new MonitorError('invalid', `${threshold.metric} is a metric of a ${remedy}`);
  }
  if (/\b(?:basis|for|clear|hold)\s*=/.test(metric))
    throw new MonitorError('invalid', 'backtest knows red= and of= of a threshold; leave out the other options');
  return threshold;
}
