import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { givenAdminToken } from '../../access/token.ts';
import { parseDuration } from '../../core/duration.ts';
import { formatThreshold, parseThreshold, type Threshold, withDefaults } from '../../core/threshold.ts';
import {
  parseHostName,
  parseListen,
  parseNetwork,
  parseWebhook,
  parseWebhookSecret,
  serverUrl,
  storeRemedy,
  withoutSecrets,
} from './address.ts';
import { dataFolder, storeUrl } from './data-folder.ts';
import { asking, collecting, daemons, orNotSet, type SettingValue, serving, setting } from './setting.ts';
import { parseCount, parseHorizon, parseLogLevel, parsePace, parseSwitch } from './value.ts';

/** Every key, once: flag `--key`, environment `AMBERWATCH_KEY`, and `key:` in the YAML file. */
export const settings = {
  listen: setting({
    argument: '<address:port>',
    description: 'address and port the server listens on',
    defaultText: '127.0.0.1:8000',
    commands: serving,
    read: ([text = '127.0.0.1:8000']) => parseListen(text),
  }),
  store: setting({
    argument: '<url>',
    description: 'where snapshots are kept: duckdb:PATH, influxdb://host:8086/database, influxdbs://..., memory:',
    defaultText: 'duckdb: in the data folder',
    commands: serving,
    read: ([text]) => (text === undefined ? null : withoutSecrets(text, 'store', storeRemedy)),
    format: (url, data) => storeUrl(url, data),
  }),
  storeCa: setting({
    argument: '<file>',
    description: 'the only authority (PEM) whose certificate InfluxDB may have, with influxdbs://',
    defaultText: "the system's",
    commands: serving,
    read: ([text]) => text,
    format: orNotSet,
  }),
  retention: setting({
    argument: '<duration>',
    description: 'how long snapshots are kept',
    defaultText: '2d',
    commands: serving,
    read: ([text = '2d']) => parseDuration(text, 'retention'),
  }),
  threshold: setting({
    argument: '<metric=red>',
    description:
      'when something is RED, such as cpu=90 or memory:red=80,clear=75,for=30s,hold=1m,of=group; may be repeated',
    defaultText: 'cpu=80 memory=80 system.cpu=80 system.memory=80',
    commands: serving,
    repeatable: true,
    read: (texts): Threshold[] => withDefaults(texts.map(parseThreshold)),
    format: (thresholds) => thresholds.map(formatThreshold),
  }),
  horizon: setting({
    argument: '<duration>',
    description: 'how far ahead AMBER looks; a value is the mean over a tenth of it',
    defaultText: '10m',
    commands: serving,
    read: ([text = '10m']) => parseHorizon(text),
  }),
  queryTimeout: setting({
    argument: '<duration>',
    description: 'what is asked of the server is answered within this, or stopped and refused with 504',
    defaultText: '10s',
    commands: serving,
    read: ([text = '10s']) => parsePace(text, 'query-timeout', '1s'),
  }),
  newNames: setting({
    argument: '<count>',
    description:
      'process names nobody had before that a host may bring along in a day; the rest are counted in __other__',
    defaultText: '5000',
    commands: serving,
    read: ([text = '5000']) => parseCount(text, 'new-names'),
  }),
  server: setting({
    argument: '<url>',
    description: 'the amberwatch server',
    defaultText: 'http://127.0.0.1:8000',
    commands: ['collect', 'alert', 'accuracy', 'backtest', 'host', 'store', 'token'],
    read: ([text = 'http://127.0.0.1:8000']) => serverUrl(text),
  }),
  interval: setting({
    argument: '<duration>',
    description: 'time between two snapshots',
    defaultText: '10s',
    commands: collecting,
    read: ([text = '10s']) => parsePace(text, 'interval', '500ms'),
  }),
  io: setting({
    argument: '',
    description:
      'also collect what each process reads from and writes to disks; of the processes of other users only root may know',
    defaultText: 'false',
    commands: collecting,
    read: ([text = 'false']) => parseSwitch(text, 'io'),
  }),
  host: setting({
    argument: '<name>',
    description: 'the name this host reports under',
    defaultText: "the system's host name",
    commands: ['up', 'collect', 'join'],
    read: ([text]) => (text === undefined ? hostname() : parseHostName(text)),
    format: (name) => name,
  }),
  data: setting({
    argument: '<folder>',
    description: 'folder for the embedded store, the spool, tokens and what the alerter has said',
    defaultText: "the platform's data folder",
    commands: [...serving, ...asking, 'token', 'spool'],
    read: ([text], environment) => resolve(text ?? dataFolder(environment)),
    format: (folder) => folder,
  }),
  poll: setting({
    argument: '<duration>',
    description: 'how often the alerter asks the server',
    defaultText: '5s',
    commands: ['up', 'alert'],
    read: ([text = '5s']) => parsePace(text, 'poll', '100ms'),
  }),
  logLevel: setting({
    argument: '<level>',
    description:
      'fatal, error, warn, info, debug or trace; logs are JSON on stderr, and lines for people where that is a terminal',
    defaultText: 'info',
    commands: daemons,
    read: ([text = 'info']) => parseLogLevel(text),
  }),
  allowHost: setting({
    argument: '<name>',
    description: 'a name, besides addresses, that clients call the server by; may be repeated',
    defaultText: "localhost and the system's host name",
    commands: serving,
    repeatable: true,
    read: (texts) => ['localhost', hostname(), ...texts].map((text) => text.toLowerCase()),
    format: (names) => names,
  }),
  tlsCert: setting({
    argument: '<file>',
    description: 'certificate chain (PEM) to listen with TLS; read again when it changes',
    defaultText: 'none: plain HTTP',
    commands: ['serve'],
    read: ([text]) => text,
    format: orNotSet,
  }),
  tlsKey: setting({
    argument: '<file>',
    description: 'its private key (PEM)',
    defaultText: 'none',
    commands: ['serve'],
    read: ([text]) => text,
    format: orNotSet,
  }),
  tlsClientCa: setting({
    argument: '<file>',
    description: 'refuse clients without a certificate of this authority (PEM)',
    defaultText: 'none: clients need no certificate',
    commands: ['serve'],
    read: ([text]) => text,
    format: orNotSet,
  }),
  adminToken: setting({
    description: 'a token with the role admin besides those made on the server, as containers hand over secrets',
    defaultText: 'none',
    commands: serving,
    secret: true,
    read: ([text]) => (text === undefined ? undefined : givenAdminToken(text)),
  }),
  token: setting({
    description: "token for the server; 'amberwatch join' puts it into the data folder",
    defaultText: 'that of join',
    commands: asking,
    secret: true,
    read: ([text]) => text,
  }),
  ca: setting({
    argument: '<file>',
    description: 'the only authority (PEM) whose certificate a server may have',
    defaultText: "the system's",
    commands: asking,
    read: ([text]) => text,
    format: orNotSet,
  }),
  clientCert: setting({
    argument: '<file>',
    description: 'certificate (PEM) to show to the server',
    defaultText: 'none',
    commands: asking,
    read: ([text]) => text,
    format: orNotSet,
  }),
  clientKey: setting({
    argument: '<file>',
    description: 'its private key (PEM)',
    defaultText: 'none',
    commands: asking,
    read: ([text]) => text,
    format: orNotSet,
  }),
  webhook: setting({
    argument: '<url>',
    description: 'where to POST what the alerter says; may be repeated',
    defaultText: 'none',
    commands: ['up', 'alert'],
    repeatable: true,
    read: (texts) => texts.map(parseWebhook),
    // Its path is often a secret.
    format: (urls) => urls.map(({ origin }) => `${origin}/...`),
  }),
  webhookSecret: setting({
    description: 'key that webhooks are signed with (HMAC-SHA256), at least 16 characters',
    defaultText: 'none; needed for --webhook',
    commands: ['up', 'alert'],
    secret: true,
    read: ([text]) => parseWebhookSecret(text),
  }),
  webhookAllow: setting({
    argument: '<address>',
    description: 'address or network (10.0.0.0/8) that webhooks may reach although it is private; may be repeated',
    defaultText: 'public addresses only',
    commands: ['up', 'alert'],
    repeatable: true,
    read: (texts) => texts.map(parseNetwork),
    format: (networks) => networks.map(({ address, bits }) => `${address}/${bits}`),
  }),
  influxToken: setting({
    description: 'API token of InfluxDB 2.x and 3.x',
    defaultText: 'none',
    commands: serving,
    secret: true,
    read: ([text]) => text,
  }),
  influxUser: setting({
    description: 'user of InfluxDB 1.x',
    defaultText: 'none',
    commands: serving,
    read: ([text]) => text,
    format: orNotSet,
  }),
  influxPassword: setting({
    description: 'password of that user',
    defaultText: 'none',
    commands: serving,
    secret: true,
    read: ([text]) => text,
  }),
  influxOrg: setting({
    description: 'organisation of InfluxDB 2.x that the bucket is in, where the token sees several',
    defaultText: "the token's own",
    commands: serving,
    read: ([text]) => text,
    format: orNotSet,
  }),
};

export type SettingKey = keyof typeof settings;
export type Config = { [K in SettingKey]: SettingValue<(typeof settings)[K]> };

export const settingKeys = Object.keys(settings) as SettingKey[];

/** `logLevel` -> `--log-level` */
export function flagOf(key: SettingKey): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `logLevel` -> `AMBERWATCH_LOG_LEVEL` */
export function environmentNameOf(key: SettingKey): string {
  return `AMBERWATCH_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}
