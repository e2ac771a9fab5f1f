import { MonitorError, messageOf } from '../../core/error.ts';
import type { FileValue } from './config-file.ts';
import type { Environment } from './setting.ts';
import { type Config, environmentNameOf, flagOf, type SettingKey, settingKeys, settings } from './settings.ts';
import { readText } from './text-file.ts';

type FileValues = ReadonlyMap<string, FileValue>;

/**
 * Of a YAML file with settings. What reads YAML is loaded only where there is one.
 * @throws MonitorError `invalid` that says file, line and column
 */
export async function valuesOfFile(path: string | undefined): Promise<FileValues> {
  if (path === undefined) return new Map();
  return (await import('./config-file.ts')).readConfigFile(path, settingKeys);
}

/**
 * The configuration: flags over environment over file over default.
 * @param flags texts by key, as given on the command line
 * @param fromFile of `valuesOfFile`
 * @throws MonitorError `invalid` that names the key and where it was set
 */
export function readConfig(
  flags: Partial<Record<string, string | string[] | boolean>>,
  environment: Environment,
  fromFile: FileValues = new Map(),
): Config {
  const given = givenSettings(flags, environment, fromFile);
  return Object.fromEntries(
    given.map(({ key, texts, source }) => [key, readSetting(key, texts, environment, source)]),
  ) as Config;
}

export interface GivenSetting {
  key: SettingKey;
  texts: readonly string[];
  /** Where it was set; empty: nowhere. */
  source: string;
}

/** Every setting as text, as far as it was given. */
export function givenSettings(
  flags: Partial<Record<string, string | string[] | boolean>>,
  environment: Environment,
  fromFile: FileValues = new Map(),
): GivenSetting[] {
  return settingKeys.map((key) => {
    const flag = flags[key];
    if (flag !== undefined) return { key, texts: [flag].flat().map(String), source: flagOf(key) };
    const variable = fromEnvironment(key, environment);
    if (variable !== undefined) return { key, texts: variable, source: environmentNameOf(key) };
    const { texts, source } = fromFile.get(key) ?? { texts: [], source: '' };
    if (texts.length > 1 && !settings[key].repeatable)
      throw new MonitorError('invalid', `${source}: '${key}' takes one value, not ${texts.length}`);
    return { key, texts, source };
  });
}

function readSetting(key: SettingKey, texts: readonly string[], environment: Environment, source: string): unknown {
  try {
    return settings[key].read(texts, environment);
  } catch (error) {
    throw new MonitorError('invalid', source === '' ? messageOf(error) : `${source}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** A secret may also stand in a file that `..._FILE` names, as containers hand them over. */
function fromEnvironment(key: SettingKey, environment: Environment): string[] | undefined {
  const name = environmentNameOf(key);
  const file = environment[`${name}_FILE`];
  const text = environment[name] ?? (file ? readText(file, `${name}_FILE`).trim() : undefined);
  if (text === undefined || text === '') return undefined;
  return settings[key].repeatable ? words(text) : [text];
}

/** What blanks separate, but for those between quotes or braces: a selector may have some. */
function words(text: string): string[] {
  const quoted = '"(?:\\\\.|[^"\\\\])*"|\'(?:\\\\.|[^\'\\\\])*\'';
  return text.match(new RegExp(`(?:\\{(?:${quoted}|[^}"'])*\\}|${quoted}|\\S)+`, 'g')) ?? [];
}
