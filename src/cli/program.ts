import { Command } from 'commander';
import { addAccuracy } from './commands/accuracy.ts';
import { addAlert } from './commands/alert.ts';
import { addBacktest } from './commands/backtest.ts';
import { addCollect } from './commands/collect.ts';
import { addConfig } from './commands/config.ts';
import { addHost } from './commands/host.ts';
import { addJoin } from './commands/join.ts';
import { addServe } from './commands/serve.ts';
import { addSpool } from './commands/spool.ts';
import { addStore } from './commands/store.ts';
import { addToken } from './commands/token.ts';
import { addUp } from './commands/up.ts';
import { exitCodeHelp } from './exit-code.ts';
import { plainLines } from './terminal.ts';
import { version } from './version.ts';

/** In the order in which --help lists them. */
const commands = [
  addUp,
  addServe,
  addCollect,
  addAlert,
  addAccuracy,
  addBacktest,
  addJoin,
  addToken,
  addHost,
  addSpool,
  addStore,
  addConfig,
];

const examples = `
Examples:
  amberwatch up                                       server, collector and alerter of this machine
  amberwatch collect --server http://10.0.0.1:8000    report this machine to a server elsewhere
  amberwatch alert --once --json                      what is wrong now, for a script
  amberwatch accuracy                                 how right its forecasts have been
  amberwatch token invite                             let another host report to this server
${exitCodeHelp}`;

/** The whole command line. */
export function makeProgram(): Command {
  const program = new Command('amberwatch')
    .description('See which process on which host is over the line (RED), and which is about to be (AMBER).')
    .version(version)
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(plainLines(text)) })
    .addHelpText('after', examples);
  for (const add of commands) add(program);
  return program;
}
