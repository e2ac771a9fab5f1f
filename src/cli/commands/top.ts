import type { Command } from 'commander';
import pc from 'picocolors';
import { terminalJson } from '../../platform/terminal-text.ts';
import type { TopState } from '../../report/top-screen.ts';
import { addCommand, type Flags } from '../add-command.ts';
import type { Config } from '../config/settings.ts';
import { isLiveTerminal, LiveTop, Looker } from '../live-top.ts';
import { withClient } from '../wiring/client-access.ts';

const examples = `
Keys: c m n sort by CPU, memory, name; / filters; up and down (or k and j) choose, Enter shows the last hour; q ends.

Examples:
  amberwatch top --host web-01
  amberwatch top --json | head -3     one look, for a script`;

/** Where the output is no terminal. */
const plainRows = 50;

export function addTop(program: Command): void {
  addCommand(program, 'top', "every host's processes, live; asks the server", top)
    .option('--host <name>', 'only this host')
    .option('--json', 'one look as JSON, a line for each process')
    .addHelpText('after', examples);
}

async function top(config: Config, flags: Flags): Promise<void> {
  const host = flags.host as string | undefined;
  const isLive = isLiveTerminal() && flags.json !== true;
  await withClient(config, async (client) => {
    const looker = new Looker(client, config.server, host);
    if (isLive) return new LiveTop(looker, client).run();
    await looker.look();
    const { shownRows } = await import('../../report/process-rows.ts');
    const rows = shownRows(looker.state.rows, '', 'cpu');
    if (flags.json === true) for (const { trend: _, ...row } of rows) process.stdout.write(`${terminalJson(row)}\n`);
    else process.stdout.write(`${await plainText(looker.state)}\n`);
  });
}

async function plainText(state: TopState): Promise<string> {
  const { frameRows, topScreen } = await import('../../report/top-screen.ts');
  const lines = topScreen(
    { ...state, selected: -1 },
    120,
    Math.min(plainRows, state.rows.length) + frameRows,
    pc.createColors(false),
  );
  return lines
    .slice(0, -1)
    .map((line) => line.trimEnd())
    .filter((line, index) => index !== 1 || line !== '')
    .join('\n');
}
