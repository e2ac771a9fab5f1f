import type { Command } from 'commander';
import { formatDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import { terminalText } from '../../platform/terminal-text.ts';
import type { HostBody } from '../../wire/host.ts';
import { addCommand, type CommandContext, type Flags, printed } from '../add-command.ts';
import { parsePace } from '../config/value.ts';
import { withClient } from '../wiring/client-access.ts';

export function addHost(program: Command): void {
  const host = program.command('host').description('who reports; asks the server');
  addCommand(host, ['host', 'ls'], 'list hosts, and when each was last heard of', printed(listHosts));
  addCommand(
    host,
    ['host', 'set'],
    'how often a host is to report, or that it is to pause; its collector (0.6.0 or later) learns it within one interval, and keeps to it over restarts',
    printed(setHost),
  )
    .argument('<name>', "as 'amberwatch host ls' prints it")
    .option(
      '--interval <duration>',
      "time between two snapshots, from 500ms to 1h; 'own': as its collector was started",
    )
    .option('--pause', 'only say that it lives: PAUSED, neither STALE nor GREEN')
    .option('--resume', 'report again')
    .addHelpText('after', setExamples);
  addCommand(
    host,
    ['host', 'forget'],
    'a host that is gone for good: not STALE any more; what is stored of it stays until it expires',
    printed(forgetHost),
  ).argument('<name>', "as 'amberwatch host ls' prints it");
}

async function* listHosts({ config, now }: CommandContext): AsyncIterable<string> {
  const { hostLines } = await import('../../report/host-lines.ts');
  yield* hostLines(await withClient(config, (client) => client.hosts()), now);
}

const setExamples = `
Examples:
  amberwatch host set web-01 --interval 30s
  amberwatch host set web-01 --interval own
  amberwatch host set web-01 --pause`;

async function* setHost({ config, flags, args: [name = ''] }: CommandContext): AsyncIterable<string> {
  const body = hostBody(flags);
  const { host, state, interval, desired } = await withClient(config, (client) => client.setHost(name, body));
  const pace = desired.interval === null ? 'at its own interval' : `every ${formatDuration(desired.interval * 1000)}`;
  const what = desired.paused ? `is to pause, and to say ${pace} that it lives` : `is to report ${pace}`;
  const silent = 'when it is back: it is STALE now';
  const when = state === 'stale' ? silent : `with its next snapshot, within ${formatDuration(interval * 1000)}`;
  yield `${terminalText(host)} ${what}; its collector learns it ${when}`;
}

/** @throws MonitorError `invalid` */
function hostBody({ interval, pause, resume }: Flags): HostBody {
  if (pause === true && resume === true) throw new MonitorError('invalid', 'either --pause or --resume, not both');
  if (interval === undefined && pause === undefined && resume === undefined)
    throw new MonitorError('invalid', 'say what is wanted: --interval 30s, --pause or --resume');
  const seconds = interval === 'own' ? null : parsePace(String(interval ?? '1s'), 'interval', '500ms') / 1000;
  return {
    ...(interval !== undefined && { interval: seconds }),
    ...((pause ?? resume) !== undefined && { paused: pause === true }),
  };
}

async function* forgetHost({ config, args: [name = ''] }: CommandContext): AsyncIterable<string> {
  const { host } = await withClient(config, (client) => client.forgetHost(name));
  yield `${terminalText(host)} is forgotten: not listed and not STALE any more, unless it reports again. What is stored of it stays until it expires; if it had a token, end that with: amberwatch token revoke`;
}
