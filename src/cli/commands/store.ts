import type { Command } from 'commander';
import { clockTime } from '../../platform/clock-time.ts';
import { addCommand, type CommandContext, printed } from '../add-command.ts';
import { withClient } from '../wiring/client-access.ts';

export function addStore(program: Command): void {
  const store = program.command('store').description('what a server keeps; asks the server');
  addCommand(
    store,
    ['store', 'expire'],
    'say whether old snapshots are forgotten, or what that waits for',
    printed(expireStore),
  ).option(
    '--confirm',
    "say that the server's clock is right, so that what is older than the retention is forgotten (needs an admin's token where there are tokens)",
  );
}

/** Without --confirm it only says what would be. */
async function* expireStore({ config, flags }: CommandContext): AsyncIterable<string> {
  const confirm = flags.confirm === true;
  const answer = await withClient(config, (client) => (confirm ? client.confirmExpiry() : client.expiry()));
  const oldest = answer.oldestKept === null ? 'nothing' : clockTime(Date.parse(answer.oldestKept));
  if (answer.expiresItself) yield 'InfluxDB forgets by its own clock and its own retention: nothing is done here';
  else if (answer.waiting !== null) yield answer.waiting;
  else if (confirm) yield `what was older than ${oldest} is forgotten`;
  else yield `nothing waits: every ten minutes what is older than the retention is forgotten, now before ${oldest}`;
}
