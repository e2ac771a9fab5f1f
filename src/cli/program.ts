import { Command } from 'commander';
import { exitCodeHelp } from './exit-code.ts';
import { plainLines } from './terminal.ts';
import { version } from './version.ts';

/** What adds each command, in the order in which --help lists them. Only the one that is asked for is loaded. */
const commands: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  up: async () => (await import('./commands/up.ts')).addUp,
  serve: async () => (await import('./commands/serve.ts')).addServe,
  collect: async () => (await import('./commands/collect.ts')).addCollect,
  alert: async () => (await import('./commands/alert.ts')).addAlert,
  top: async () => (await import('./commands/top.ts')).addTop,
  history: async () => (await import('./commands/history.ts')).addHistory,
  sla: async () => (await import('./commands/sla.ts')).addSla,
  stats: async () => (await import('./commands/stats.ts')).addStats,
  accuracy: async () => (await import('./commands/accuracy.ts')).addAccuracy,
  backtest: async () => (await import('./commands/backtest.ts')).addBacktest,
  join: async () => (await import('./commands/join.ts')).addJoin,
  token: async () => (await import('./commands/token.ts')).addToken,
  host: async () => (await import('./commands/host.ts')).addHost,
  spool: async () => (await import('./commands/spool.ts')).addSpool,
  source: async () => (await import('./commands/source.ts')).addSource,
  disk: async () => (await import('./commands/disk.ts')).addDisk,
  store: async () => (await import('./commands/store.ts')).addStore,
  move: async () => (await import('./commands/move.ts')).addMove,
  config: async () => (await import('./commands/config.ts')).addConfig,
};

const examples = `
Examples:
  amberwatch up                                       server, collector and alerter of this machine
  amberwatch collect --server http://10.0.0.1:8000    report this machine to a server elsewhere
  amberwatch alert --once --json                      what is wrong now, for a script
  amberwatch top                                      every process of every host, live
  amberwatch stats process_cpu --by process           what each process has used in 1, 3 and 12 hours
  amberwatch accuracy                                 how right its forecasts have been
  amberwatch token invite                             let another host report to this server
${exitCodeHelp}`;

/**
 * The command line.
 * @param asked its first word: of a command that there is no other is loaded, else all of them
 */
export async function makeProgram(asked: string | undefined): Promise<Command> {
  const program = new Command('amberwatch')
    .description('See which process on which host is over the line (RED), and which is about to be (AMBER).')
    .version(version)
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(plainLines(text)) })
    .addHelpText('after', examples);
  const wanted = Object.entries(commands).filter(([name]) => name === asked);
  for (const [, load] of wanted.length > 0 ? wanted : Object.entries(commands)) (await load())(program);
  return program;
}
