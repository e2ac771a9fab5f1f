import type { Command } from 'commander';
import { terminalText } from '../../platform/terminal-text.ts';
import { addCommand, type Flags, settingFlags } from '../add-command.ts';
import { describeConfig } from '../config/describe-config.ts';
import { givenSettings, readConfig, valuesOfFile } from '../config/read-config.ts';
import type { Config } from '../config/settings.ts';

export function addConfig(program: Command): void {
  const config = program.command('config').description('look at the configuration');
  addCommand(config, ['config', 'print'], 'print what is in force and where it was set; never a secret', printConfig);
  // Not of this machine's environment: of the file alone.
  config
    .command('check')
    .description('say whether a YAML file of settings is right; exit code 2 where it is not')
    .argument('<file>', 'the file')
    .allowExcessArguments(false)
    .action(async (file: string) => {
      const values = await valuesOfFile(file);
      readConfig({}, {}, values);
      const set = givenSettings({}, {}, values).filter(({ source }) => source !== '');
      process.stdout.write(
        `${terminalText(`${file} is right; it sets ${set.map(({ key }) => key).join(', ') || 'nothing'}`, 1000)}\n`,
      );
    });
}

async function printConfig(config: Config, flags: Flags): Promise<void> {
  const values = await valuesOfFile(flags.config as string | undefined);
  const given = givenSettings(settingFlags('config', flags), process.env, values);
  for (const line of describeConfig(given, config)) process.stdout.write(`${terminalText(line, 1000)}\n`);
}
