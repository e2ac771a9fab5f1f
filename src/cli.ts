#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { Command, CommanderError, Option } from 'commander';
import picocolors from 'picocolors';
import type { AlerterOutput } from './alerter/alerter.ts';
import { renderJson, renderLine } from './alerter/render.ts';
import { withClient } from './client-access.ts';
import { type Closable, closeOnSignal } from './close-on-signal.ts';
import type { Called, Flags } from './commands.ts';
import * as commands from './commands.ts';
import {
  type CommandName,
  type Config,
  describeConfig,
  environmentNameOf,
  flagOf,
  givenSettings,
  readConfig,
  settingKeys,
  settings,
  unknownVariables,
} from './config.ts';
import type { Clock } from './core/clock.ts';
import { clockTime } from './core/clock-time.ts';
import { formatDuration } from './core/duration.ts';
import { MonitorError, messageOf } from './core/error.ts';
import { terminalJson, terminalText } from './core/terminal-text.ts';
import { roles } from './core/token.ts';
import { precisionRule } from './forecast/score.ts';
import { makeLog } from './log.ts';
import { type RunningServer, startAlerter, startCollector, startServer } from './start.ts';
import { wordWrap } from './word-wrap.ts';

/** What scripts can rely on. */
const exitCodes = { ok: 0, failure: 1, usage: 2, amber: 3, red: 4, unreachable: 5 } as const;

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sinceBoot: () => uptime() * 1000,
};
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const firstTableMs = 10_000;
const topRows = 12;
/** Of the time before a note. */
const timeColumns = 21;

const exitCodeHelp = `
Exit codes: 0 green or a clean end, 1 failure, 2 wrong usage or configuration, 3 AMBER or STALE, 4 RED,
5 the server cannot be reached. 3 to 5 come from 'alert --once'.`;

function makeProgram(): Command {
  const program = new Command('amberwatch')
    .description('See which process on which host is over the line (RED), and which is about to be (AMBER).')
    .version(version)
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(plainLines(text)) })
    .addHelpText(
      'after',
      `
Examples:
  amberwatch up                                       server, collector and alerter of this machine
  amberwatch collect --server http://10.0.0.1:8000    report this machine to a server elsewhere
  amberwatch alert --once --json                      what is wrong now, for a script
  amberwatch accuracy                                 how right its forecasts have been
  amberwatch token invite                             let another host report to this server
${exitCodeHelp}`,
    );
  addCommand(program, 'up', 'run server, collector of this host and alerter in one process', up);
  addCommand(program, 'serve', 'run the server: takes snapshots, answers queries, computes alarms', serve);
  addCommand(program, 'collect', 'run the collector: reports the processes of this host to a server', collect);
  addCommand(program, 'alert', 'run the alerter: prints what goes RED, AMBER, STALE and OK again', alert)
    .option('--once', 'say what is wrong now and exit; the exit code tells the level')
    .option('--json', 'one JSON object per line instead of text')
    .addHelpText('after', exitCodeHelp);
  addCommand(program, 'accuracy', 'say how right the forecasts have been', printed(commands.accuracy))
    .option('--window <duration>', 'how far back', '24h')
    .option('--json', 'the answer of the server as JSON')
    .addHelpText('after', `\n${precisionRule}`);
  addCommand(
    program,
    'backtest',
    'say what would have been forecast of recorded series, and how right it was',
    printed(commands.backtest),
  )
    .option('--manifest <file>', 'series in CSV files that a JSON manifest lists; prints one JSON line for each')
    .option('--host <name>', "or one's own history: of this host")
    .option('--process <name>', 'of this process; without it of the host itself')
    .option(
      '--metric <metric>',
      'cpu or memory of a process, system.cpu, ... of a host, also with its line: cpu=90 (default: cpu, or system.cpu without --process)',
    )
    .option('--since <duration>', 'how far back', '2d')
    .addOption(
      new Option('--policy <name>', 'what becomes an alarm').choices(['balanced', 'quiet']).default('balanced'),
    )
    .addHelpText(
      'after',
      `
Examples:
  amberwatch backtest --host web-01 --process java --metric memory --since 2d
  amberwatch backtest --manifest series/manifest.json --policy quiet > said.jsonl`,
    );
  addAccessCommands(program);
  addHostCommands(program);
  addSpoolCommands(program);
  addStoreCommands(program);
  addConfigCommands(program);
  return program;
}

function addCommand(
  program: Command,
  name: CommandName | [group: CommandName, name: string],
  description: string,
  run: (config: Config, flags: Flags, args: readonly string[]) => Promise<void>,
): Command {
  const [group, own] = [name].flat() as [CommandName, string | undefined];
  const command = program
    .command(own ?? group)
    .description(description)
    .allowExcessArguments(false);
  for (const key of settingKeys) {
    const { argument, description: what, defaultText, repeatable } = settings[key];
    if (argument === undefined || !isSettingOf(group, key)) continue;
    const option = new Option(
      `${flagOf(key)} ${argument}`.trim(),
      `${what} (default: ${defaultText}; ${environmentNameOf(key)})`,
    );
    command.addOption(
      repeatable ? option.argParser((text: string, before: string[] = []) => [...before, text]) : option,
    );
  }
  command.option('--config <file>', 'YAML file with these settings; flags and environment win over it');
  return command.action(async () => {
    const flags = command.opts<Flags>();
    const config = readConfig(settingFlags(group, flags), process.env, flags.config as string | undefined);
    await run(config, flags, command.args);
  });
}

/** Those that are settings of a command; it has others of its own, as `backtest --host`. */
function settingFlags(group: CommandName, flags: Flags): Record<string, string | string[] | undefined> {
  const keys = settingKeys.filter((key) => isSettingOf(group, key));
  return Object.fromEntries(keys.map((key) => [key, flags[key] as string | string[] | undefined]));
}

function isSettingOf(group: CommandName, key: (typeof settingKeys)[number]): boolean {
  return group === 'config' || settings[key].commands.includes(group);
}

function addAccessCommands(program: Command): void {
  addCommand(program, 'join', 'get a token for this host with a one-time code', printed(commands.join))
    .argument('<url>', 'the server')
    .argument('<code>', "what 'amberwatch token invite' printed there")
    .addHelpText('after', '\nExample:\n  amberwatch join https://monitor.example.com:8000 K7QF-M2XP-9ABC');
  const token = program.command('token').description('who may use a server; run on the server, with its --data');
  const id = ['<id>', "the first column of 'amberwatch token list'"] as const;
  addCommand(
    token,
    ['token', 'invite'],
    'print a code with which one host can join, once and within ten minutes',
    printed(commands.invite),
  ).option('--host <name>', 'only this host');
  addCommand(token, ['token', 'create'], 'print a new token', printed(commands.createToken))
    .addOption(
      new Option('--role <role>', 'write: report one host, or series of one source; read: ask; admin: both')
        .choices(roles)
        .makeOptionMandatory(),
    )
    .option('--host <name>', 'the host that a write token reports')
    .option('--source <name>', 'the source whose series a write token sends: those with the label source')
    .option('--expires <duration>', 'valid for so long; without it until it is revoked');
  addCommand(token, ['token', 'list'], 'list tokens; the tokens themselves are not kept', printed(commands.listTokens));
  addCommand(
    token,
    ['token', 'rotate'],
    'print a new token like another, which stays valid for a while',
    printed(commands.rotateToken),
  )
    .argument(...id)
    .option('--overlap <duration>', 'how long both are valid', '1d');
  addCommand(token, ['token', 'revoke'], 'end a token, within a second', printed(commands.revokeToken)).argument(...id);
}

function addHostCommands(program: Command): void {
  const host = program.command('host').description('who reports; asks the server');
  addCommand(host, ['host', 'ls'], 'list hosts, and when each was last heard of', printed(commands.listHosts));
  addCommand(
    host,
    ['host', 'forget'],
    'a host that is gone for good: not STALE any more; what is stored of it stays until it expires',
    printed(commands.forgetHost),
  ).argument('<name>', "as 'amberwatch host ls' prints it");
}

function addConfigCommands(program: Command): void {
  const config = program.command('config').description('look at the configuration');
  addCommand(config, ['config', 'print'], 'print what is in force and where it was set; never a secret', printConfig);
  // Not of this machine's environment: of the file alone.
  config
    .command('check')
    .description('say whether a YAML file of settings is right; exit code 2 where it is not')
    .argument('<file>', 'the file')
    .allowExcessArguments(false)
    .action((file: string) => {
      readConfig({}, {}, file);
      const set = givenSettings({}, {}, file).filter(({ source }) => source !== '');
      process.stdout.write(
        `${terminalText(`${file} is right; it sets ${set.map(({ key }) => key).join(', ') || 'nothing'}`, 1000)}\n`,
      );
    });
}

function addSpoolCommands(program: Command): void {
  const spool = program.command('spool').description("what this host's collector has not delivered yet");
  addCommand(spool, ['spool', 'ls'], 'list spools with what became of all snapshots', printed(commands.listSpools));
  addCommand(
    spool,
    ['spool', 'verify'],
    'read every snapshot and name those that are damaged',
    printed(commands.verifySpools),
  );
  addCommand(
    spool,
    ['spool', 'drop'],
    'give up what waits in one spool; its collector must not run',
    printed(commands.dropSpool),
  ).argument('<name>', "as 'amberwatch spool ls' prints it");
}

function addStoreCommands(program: Command): void {
  const store = program.command('store').description('what a server keeps; asks the server');
  addCommand(
    store,
    ['store', 'expire'],
    'say whether old snapshots are forgotten, or what that waits for',
    printed(commands.expireStore),
  ).option(
    '--confirm',
    "I have looked: the server's clock is right, so forget what is older than the retention (an admin's word, where there are tokens)",
  );
}

async function serve(config: Config): Promise<void> {
  const log = logOf(config.logLevel);
  const server = await startServer(config, clock, log, version);
  closeOnSignal([server], { clock, complain });
}

async function collect(config: Config): Promise<void> {
  (await import('./collector/small-heap.ts')).keepHeapSmall();
  const log = logOf(config.logLevel);
  const collector = await startCollector(config, config.server, clock, log);
  log.info(
    { server: config.server, host: config.host, interval: formatDuration(config.interval) },
    'collector is running',
  );
  closeOnSignal([collector], { clock, complain });
}

async function alert(config: Config, flags: Flags): Promise<void> {
  const output = makeOutput(flags.json === true);
  if (flags.once === true) {
    process.exitCode = await alertOnce(config, output, flags.json === true);
    return;
  }
  closeOnSignal([await startAlerter(config, config.server, clock, output)], { clock, complain });
}

async function alertOnce(config: Config, output: AlerterOutput, json: boolean): Promise<number> {
  const { announceAll } = await import('./alerter/alerter.ts');
  try {
    const { level, announcements, hosts, summary } = await withClient(config, announceAll);
    for (const announcement of announcements) output.announce(announcement);
    if (!json) output.note(clock.now(), summary);
    else if (announcements.length === 0)
      process.stdout.write(
        `${terminalJson({ time: new Date(clock.now()).toISOString(), level, hosts, reason: summary })}\n`,
      );
    return { RED: exitCodes.red, AMBER: exitCodes.amber, STALE: exitCodes.amber, GREEN: exitCodes.ok }[level];
  } catch (error) {
    if (!(error instanceof MonitorError) || error.code !== 'unavailable') throw error;
    complain(error.message);
    return exitCodes.unreachable;
  }
}

async function printConfig(config: Config, flags: Flags): Promise<void> {
  const given = givenSettings(settingFlags('config', flags), process.env, flags.config as string | undefined);
  for (const line of describeConfig(given, config)) process.stdout.write(`${terminalText(line, 1000)}\n`);
}

/** A command that prints its lines as they come. */
function printed(command: (called: Called) => AsyncIterable<string>) {
  return async (config: Config, flags: Flags, args: readonly string[]): Promise<void> => {
    const called = { config, flags, args, now: clock.now(), progress: sayProgress };
    // Tables and commands to copy are indented, or come as they are.
    const isText = (line: string) => flags.json !== true && !/^\s|\s{3}/.test(line);
    for await (const line of command(called))
      process.stdout.write(`${isText(line) ? wordWrap(line, columnsOf(process.stdout)) : line}\n`);
  };
}

/** On a terminal only: in a log it would be noise. */
function sayProgress(done: number, total: number, name: string): void {
  if (process.stderr.isTTY) process.stderr.write(`${done + 1} of ${total}: ${terminalText(name)}\n`);
}

/** One process for a first look: the same daemons, talking over loopback as they would over a network. */
async function up(config: Config): Promise<void> {
  const say = (message: string) => process.stdout.write(`${wordWrap(message, columnsOf(process.stdout))}\n`);
  const plain = {
    info: (message: string) => say(terminalText(message, 500)),
    warn: (message: string) => say(terminalText(message, 500)),
  };
  if (config.tlsCert ?? config.tlsKey ?? config.tlsClientCa)
    throw new MonitorError('invalid', "'up' talks to itself without TLS; use 'serve', 'collect' and 'alert' with it");
  warnWhenTooShort(config, plain.warn);
  const server = await startServer(
    config,
    clock,
    logOf(config.logLevel === 'info' ? 'warn' : config.logLevel),
    version,
  );
  const closing: Closable[] = [server];
  closeOnSignal(closing, { clock, complain, before: () => say('stopping: storing what has been taken') });
  say(`amberwatch ${version}: ${server.announced}, API at ${server.url}/docs, data in ${config.data}`);
  say(`looking at ${config.host} every ${formatDuration(config.interval)}; Ctrl-C ends it\n`);
  try {
    const since = clock.now();
    closing.unshift(await startCollector(config, server.url, clock, plain, server.own));
    await sayTopTable(config, server, since, say);
    const alerter = await startAlerter(config, server.url, clock, makeOutput(false), server.own);
    closing.unshift(alerter);
  } catch (error) {
    for (const daemon of closing) await daemon.close();
    throw error;
  }
}

async function sayTopTable(
  config: Config,
  { url, own }: RunningServer,
  since: number,
  say: (text: string) => void,
): Promise<void> {
  const [{ topTable }, { MonitorClient }] = await Promise.all([
    import('./alerter/top-table.ts'),
    import('./client.ts'),
  ]);
  const client = new MonitorClient(url, own);
  const deadline = clock.monotonic() + firstTableMs;
  while (clock.monotonic() < deadline) {
    const table = await topTable(client, config.host, since, topRows);
    if (table !== null) {
      say(`${table}\n`);
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await client.close();
}

function warnWhenTooShort({ horizon, interval }: Config, warn: (message: string) => void): void {
  if (horizon >= 10 * interval) return;
  warn(
    `no AMBER to rely on: a tenth of the horizon (${formatDuration(horizon)}) does not hold a snapshot every ${formatDuration(interval)}; use --horizon ${formatDuration(10 * interval)} or longer`,
  );
}

function logOf(level: string) {
  return makeLog(level, () => ({ write: (text) => process.stderr.write(text), columns: columnsOf(process.stderr) }));
}

/** Null: no terminal, or one that does not tell. */
function columnsOf({ isTTY, columns }: NodeJS.WriteStream): number | null {
  return isTTY && columns > 0 ? columns : null;
}

function makeOutput(json: boolean): AlerterOutput {
  const forced = process.env.FORCE_COLOR !== undefined && process.env.FORCE_COLOR !== '0';
  const colors = picocolors.createColors(!process.env.NO_COLOR && (forced || process.stdout.isTTY === true));
  const write = (line: string) => process.stdout.write(`${line}\n`);
  const columns = () => columnsOf(process.stdout);
  return {
    announce: (announcement) => write(json ? renderJson(announcement) : renderLine(announcement, colors, columns())),
    note: (time, message) => {
      if (json) write(terminalJson({ time: new Date(time).toISOString(), note: message }));
      else write(wordWrap(colors.dim(terminalText(message, 500)), columns(), timeColumns, `${clockTime(time)}  `));
    },
  };
}

function complain(what: string): void {
  process.stderr.write(`${wordWrap(`amberwatch: ${terminalText(what, 1000)}`, columnsOf(process.stderr))}\n`);
}

function plainLines(text: string): string {
  return text
    .split('\n')
    .map((line) => terminalText(line, 500))
    .join('\n');
}

/**
 * `npm start --listen ...` without `--` in between: npm takes the flag for one of its own, says nothing, and the
 * program would start as if it had never been given.
 */
function refuseSwallowedFlags(environment: Readonly<Record<string, string | undefined>>): void {
  if (environment.npm_lifecycle_event !== 'start') return;
  for (const key of settingKeys) {
    const flag = flagOf(key);
    const value = environment[`npm_config_${flag.slice(2).replaceAll('-', '_')}`];
    if (value === undefined || settings[key].argument === undefined || key === 'ca') continue;
    // Some versions of npm take the value along, others leave it behind.
    const shown = value === 'true' ? process.argv.slice(3).join(' ') : value;
    // An address may hold a secret.
    const given = ['webhook', 'store', 'server'].includes(key) ? '...' : shown;
    throw new MonitorError(
      'invalid',
      `npm has taken ${flag} for itself; put -- before it: npm start -- ${flag} ${given}`,
    );
  }
}

async function main(): Promise<void> {
  // Whatever is made, also by DuckDB, is for this user alone.
  process.umask(0o077);
  // A terminal that was closed, or a pipe: what cannot be said must not keep what was taken from being stored.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  try {
    refuseSwallowedFlags(process.env);
    for (const wrong of unknownVariables(process.env)) complain(wrong);
    await makeProgram().parseAsync();
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    // Commander has said its own errors already.
    if (!(error instanceof CommanderError)) complain(messageOf(error));
    if (process.exitCode !== exitCodes.ok) process.exit();
  }
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  return error instanceof MonitorError && error.code === 'invalid' ? exitCodes.usage : exitCodes.failure;
}

await main();
