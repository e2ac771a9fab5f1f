import type { Command } from 'commander';
import { terminalText } from '../../platform/terminal-text.ts';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { withClient } from '../wiring/client-access.ts';

export function addHost(program: Command): void {
  const host = program.command('host').description('who reports; asks the server');
  addCommand(host, ['host', 'ls'], 'list hosts, and when each was last heard of', printed(listHosts));
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

async function* forgetHost({ config, args: [name = ''] }: CommandContext): AsyncIterable<string> {
  const { host } = await withClient(config, (client) => client.forgetHost(name));
  yield `${terminalText(host)} is forgotten: not listed and not STALE any more, unless it reports again. What is stored of it stays until it expires; if it had a token, end that with: amberwatch token revoke`;
}
