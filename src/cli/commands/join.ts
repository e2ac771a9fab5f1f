import type { Command } from 'commander';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { serverUrl } from '../config/address.ts';
import { clientOptions, placeForToken } from '../wiring/client-access.ts';

export function addJoin(program: Command): void {
  addCommand(program, 'join', 'get a token for this host with a one-time code', printed(join))
    .argument('<url>', 'the server')
    .argument('<code>', "what 'amberwatch token invite' printed there")
    .addHelpText('after', '\nExample:\n  amberwatch join https://monitor.example.com:8000 K7QF-M2XP-9ABC');
}

async function* join({ config, args: [given = '', code = ''] }: CommandContext): AsyncIterable<string> {
  const url = serverUrl(given);
  const { MonitorClient } = await import('../../client/monitor-client.ts');
  // Over the network, as the collector will: whoever has neither is told so now.
  const { token: _, local: __, ...tls } = await clientOptions(config, url);
  const client = new MonitorClient(url, tls);
  try {
    const place = await placeForToken(config.data, client.server);
    const path = await place.keep(await client.join(code, config.host));
    yield `${config.host} may report to ${client.server} now; its token is in ${path}`;
    yield `  amberwatch collect --server ${client.server} --host ${config.host}`;
  } finally {
    await client.close();
  }
}
