import { type Command, Option } from 'commander';
import { wordWrap } from '../platform/word-wrap.ts';
import { readConfig, valuesOfFile } from './config/read-config.ts';
import type { CommandName } from './config/setting.ts';
import { type Config, environmentNameOf, flagOf, type SettingKey, settingKeys, settings } from './config/settings.ts';
import { clock } from './real-clock.ts';
import { columnsOf, sayProgress } from './terminal.ts';

/** A command with the settings it has. `name` with a group is one of several under it, as `token list`. */
export function addCommand(
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
  for (const key of settingKeys) if (isSettingOf(group, key)) addOption(command, key);
  command.option('--config <file>', 'YAML file with these settings; flags and environment win over it');
  return command.action(async () => {
    const flags = command.opts<Flags>();
    const fromFile = await valuesOfFile(flags.config as string | undefined);
    const config = readConfig(settingFlags(group, flags), process.env, fromFile);
    await run(config, flags, command.args);
  });
}

/** Of what may only stand in the environment and in files there is none. */
function addOption(command: Command, key: SettingKey): void {
  const { argument, description, defaultText, repeatable } = settings[key];
  if (argument === undefined) return;
  const what = `${description} (default: ${defaultText}; ${environmentNameOf(key)})`;
  const option = new Option(`${flagOf(key)} ${argument}`.trim(), what);
  command.addOption(repeatable ? option.argParser((text: string, before: string[] = []) => [...before, text]) : option);
}

/** Those that are settings of a command; it has others of its own, as `backtest --host`. */
export function settingFlags(group: CommandName, flags: Flags): Record<string, string | string[] | undefined> {
  const keys = settingKeys.filter((key) => isSettingOf(group, key));
  return Object.fromEntries(keys.map((key) => [key, flags[key] as string | string[] | undefined]));
}

function isSettingOf(group: CommandName, key: SettingKey): boolean {
  return group === 'config' || settings[key].commands.includes(group);
}

/** A command that prints its lines as they come. */
export function printed(command: (context: CommandContext) => AsyncIterable<string>) {
  return async (config: Config, flags: Flags, args: readonly string[]): Promise<void> => {
    const context = { config, flags, args, now: clock.now(), progress: sayProgress };
    // Tables and commands to copy are indented, or come as they are.
    const isText = (line: string) => flags.json !== true && !/^\s|\s{3}/.test(line);
    for await (const line of command(context))
      process.stdout.write(`${isText(line) ? wordWrap(line, columnsOf(process.stdout)) : line}\n`);
  };
}

/** The commands that say something and end: each gives its lines as they come. */

export type Flags = Record<string, string | string[] | boolean | undefined>;

/** What a command was called with. `now` is wall time. */
export interface CommandContext {
  config: Config;
  flags: Flags;
  args: readonly string[];
  now: number;
  /** Long work under way. */
  progress: (done: number, total: number, name: string) => void;
}
