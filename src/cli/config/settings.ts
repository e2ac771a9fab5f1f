import { agentSettings } from './agent-settings.ts';
import { alerterSettings } from './alerter-settings.ts';
import { clickhouseSettings } from './clickhouse-settings.ts';
import { clientSettings } from './client-settings.ts';
import { collectorSettings } from './collector-settings.ts';
import { commonSettings } from './common-settings.ts';
import { influxdbSettings } from './influxdb-settings.ts';
import { serverSettings } from './server-settings.ts';
import type { SettingValue } from './setting.ts';
import { sourceSettings } from './source-settings.ts';

/** Every key, once: flag `--key`, environment `AMBERWATCH_KEY`, and `key:` in the YAML file. */
export const settings = {
  ...serverSettings,
  ...agentSettings,
  ...sourceSettings,
  ...clientSettings,
  ...collectorSettings,
  ...commonSettings,
  ...alerterSettings,
  ...influxdbSettings,
  ...clickhouseSettings,
};

export type SettingKey = keyof typeof settings;
export type Config = { [K in SettingKey]: SettingValue<(typeof settings)[K]> };

export const settingKeys = Object.keys(settings) as SettingKey[];

const wordStart = /[A-Z]|(?<=[a-z])\d/g;

/** `logLevel` -> `--log-level`, `retention1m` -> `--retention-1m` */
export function flagOf(key: SettingKey): string {
  return `--${key.replace(wordStart, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `logLevel` -> `AMBERWATCH_LOG_LEVEL` */
export function environmentNameOf(key: SettingKey): string {
  return `AMBERWATCH_${key.replace(wordStart, (letter) => `_${letter}`).toUpperCase()}`;
}
