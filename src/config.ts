import { homedir, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import ipaddr from 'ipaddr.js';
import { type FileValue, readConfigFile, readText } from './config-file.ts';
import { parseDuration } from './core/duration.ts';
import { MonitorError, messageOf } from './core/error.ts';
import type { Network } from './core/ip.ts';
import { nearest } from './core/nearest.ts';
import { formatThreshold, parseThreshold, type Threshold, withDefaults } from './core/threshold.ts';
import { givenAdminToken } from './core/token.ts';

export type CommandName =
  | 'up'
  | 'serve'
  | 'collect'
  | 'alert'
  | 'accuracy'
  | 'backtest'
  | 'join'
  | 'token'
  | 'host'
  | 'spool'
  | 'store'
  | 'config';

/** One setting: how it is written everywhere, and what it means. */
interface Setting<T> {
  /** What stands after the flag in --help; '': it is a switch; undefined: environment and file only. */
  argument?: string;
  description: string;
  /** Shown in --help and in the README. */
  defaultText: string;
  commands: readonly CommandName[];
  repeatable?: true;
  /** Never printed, never a flag: a process list shows flags to everyone. */
  secret?: true;
  /** What `config print` shows, where that is not the text itself or the default's; null: it is not set. */
  format?: (value: T, dataFolder: string) => string | readonly string[] | null;
  read(text: readonly string[], environment: Environment): T;
}

type Environment = Readonly<Record<string, string | undefined>>;
type SettingValue<S> = S extends Setting<infer T> ? T : never;

const daemons = ['up', 'serve', 'collect', 'alert'] as const;
const serving = ['up', 'serve'] as const;
const collecting = ['up', 'collect'] as const;
/** They talk to a server. */
const asking = ['collect', 'alert', 'accuracy', 'backtest', 'host', 'join', 'store'] as const;

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

/**
 * The configuration: flags over environment over file over default.
 * @param flags texts by key, as given on the command line
 * @param file path of a YAML file with the same keys, or undefined
 * @throws MonitorError `invalid` that names the key and where it was set
 */
export function readConfig(
  flags: Partial<Record<string, string | string[] | boolean>>,
  environment: Environment,
  file?: string,
): Config {
  const given = givenSettings(flags, environment, file);
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
  file?: string,
): GivenSetting[] {
  const fromFile = file === undefined ? new Map<string, FileValue>() : readConfigFile(file, settingKeys);
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
    .filter((name) => name.startsWith(prefix) && !notOurs.test(name))
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

function setting<T>(definition: Setting<T>): Setting<T> {
  return definition;
}

export interface ListenAddress {
  host: string;
  port: number;
}

/** `127.0.0.1:8000`, `[::1]:8000` or `localhost:8000`. */
function parseListen(text: string): ListenAddress {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new MonitorError(
      'invalid',
      `'${text}' is not an address and port; write it like 127.0.0.1:8000 or [::1]:8000`,
    );
  }
  return { host: match[1] ?? (match[2] as string), port };
}

/** Whether only this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function orNotSet(text: string | undefined): string | null {
  return text ?? null;
}

/** Where snapshots are kept if nothing else is said. */
export function storeUrl(url: string | null, dataFolder: string): string {
  return url ?? `duckdb:${join(dataFolder, 'amberwatch.db')}`;
}

const storeRemedy = 'set AMBERWATCH_INFLUX_TOKEN, or AMBERWATCH_INFLUX_USER and AMBERWATCH_INFLUX_PASSWORD';
const serverRemedy = 'set AMBERWATCH_TOKEN';

/** What stands in an address is seen by everybody who sees a process list, a log or a configuration. */
function withoutSecrets(given: string, what: string, remedy: string): string {
  const text = given.trim();
  if (/^(?:duckdb|memory):/.test(text)) return text;
  if (text.includes('@'))
    throw new MonitorError(
      'invalid',
      `the ${what} url must not hold a user or password (it is not shown here); ${remedy}`,
    );
  if (/[?#]/.test(text))
    throw new MonitorError(
      'invalid',
      `the ${what} url must not have a part after ? or # (it is not shown here); ${remedy}`,
    );
  return text;
}

/** @throws MonitorError `invalid` for one that holds a secret */
export function serverUrl(text: string): string {
  return withoutSecrets(text, 'server', serverRemedy);
}

/**
 * The wire takes any name, since others report too; who chooses one has to be able to type it again.
 * @throws MonitorError `invalid`
 */
export function parseHostName(text: string): string {
  if (!/^[\p{L}\p{N}_][\p{L}\p{N}._:-]{0,252}$/u.test(text))
    throw new MonitorError(
      'invalid',
      `'${text}' is no host name; write letters, digits, dots, hyphens and underscores, such as web-01.example.com`,
    );
  return text;
}

function parseWebhook(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    // Its path is often a secret.
    throw new MonitorError('invalid', 'the webhook is not a URL; write it like https://example.com/hook');
  if (url.username !== '' || url.password !== '')
    throw new MonitorError('invalid', 'the webhook must not hold a user or password: messages are signed instead');
  return url;
}

function parseWebhookSecret(text: string | undefined): string | undefined {
  if (text !== undefined && text.length < 16)
    throw new MonitorError(
      'invalid',
      'the webhook secret is shorter than 16 characters; make one with: openssl rand -hex 24',
    );
  return text;
}

/** An address is the network of itself. */
function parseNetwork(text: string): Network {
  try {
    const [address, bits] = text.includes('/') ? ipaddr.parseCIDR(text) : [ipaddr.parse(text), null];
    return { address: address.toString(), bits: bits ?? (address.kind() === 'ipv4' ? 32 : 128) };
  } catch {
    throw new MonitorError('invalid', `'${text}' is not an address or network; write it like 10.0.0.5 or 10.0.0.0/8`);
  }
}

function parsePace(text: string, what: string, shortest: string): number {
  const pace = parseDuration(text, what);
  if (pace < parseDuration(shortest, what) || pace > 3_600_000) {
    throw new MonitorError('invalid', `${what} '${text}' must lie between ${shortest} and 1h`);
  }
  return pace;
}

/** Of a switch: as a flag it has no text of its own. */
function parseSwitch(text: string, what: string): boolean {
  if (text !== 'true' && text !== 'false') throw new MonitorError('invalid', `${what} '${text}' must be true or false`);
  return text === 'true';
}

function parseCount(text: string, what: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 1_000_000)
    throw new MonitorError('invalid', `${what} '${text}' must be a whole number from 1 to 1000000`);
  return count;
}

/** A step, a tenth of it, is whole milliseconds; it should hold a snapshot or more. */
function parseHorizon(text: string): number {
  const horizon = parseDuration(text, 'horizon');
  if (horizon < 10_000 || horizon > 86_400_000 || horizon % 10 !== 0)
    throw new MonitorError('invalid', `horizon '${text}' must lie between 10s and 1d`);
  return horizon;
}

function parseLogLevel(text: string): string {
  const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'];
  if (!levels.includes(text))
    throw new MonitorError('invalid', `log level '${text}' must be one of ${levels.join(', ')}`);
  return text;
}

/** Where the platform wants data that must last. */
function dataFolder(environment: Environment): string {
  // A systemd unit with StateDirectory= says so here.
  if (environment.STATE_DIRECTORY) return environment.STATE_DIRECTORY.split(':', 1)[0] as string;
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'amberwatch');
  if (process.platform === 'win32')
    return join(environment.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'amberwatch');
  return join(environment.XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'amberwatch');
}
