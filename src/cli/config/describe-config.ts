import { nearest } from '../../platform/nearest.ts';
import type { GivenSetting } from './read-config.ts';
import type { Environment, Setting } from './setting.ts';
import { type Config, environmentNameOf, settingKeys, settings } from './settings.ts';
import { sourceVariable } from './source-settings.ts';

/** The effective settings as YAML, one line each, with where they come from; no secret is among them. */
export function describeConfig(given: readonly GivenSetting[], config: Config): string[] {
  return given.map(({ key, texts, source }) => {
    const { secret, format, defaultText } = settings[key] as Setting<unknown>;
    const from = source === '' ? 'default' : source;
    if (secret) return source === '' ? `# ${key}: not set (${defaultText})` : `${key}: (set, not shown)  # ${from}`;
    const value = format === undefined ? (texts[0] ?? defaultText) : format(config[key], config.data);
    if (value === null || value.length === 0) return `# ${key}: not set (${defaultText})`;
    return `${key}: ${JSON.stringify(value)}  # ${from}`;
  });
}

const prefix = 'AMBERWATCH_';
/** Those of the tests, and those that Kubernetes makes of a service with our name. */
const notOurs = /^AMBERWATCH_(?:TEST_.*|(?:.*_)?(?:SERVICE_(?:HOST|PORT)(?:_.*)?|PORT(?:_\d+_(?:TCP|UDP).*)?))$/;

/** What is wrong with these variables' names: one that nothing reads is a setting that somebody thinks is set. */
export function unknownVariables(environment: Environment): string[] {
  const known = settingKeys.map(environmentNameOf);
  return Object.keys(environment)
    .filter((name) => name.startsWith(prefix) && !notOurs.test(name) && !sourceVariable.test(name))
    .filter((name) => !known.includes(name) && !known.includes(name.replace(/_FILE$/, '')))
    .map((name) => {
      const near = nearest(
        name.slice(prefix.length),
        known.map((each) => each.slice(prefix.length)),
      );
      const remedy = near ? `did you mean '${prefix}${near}'?` : "'amberwatch config print' lists what can be set";
      return `the environment variable ${name} is not read by anything; ${remedy}`;
    });
}
