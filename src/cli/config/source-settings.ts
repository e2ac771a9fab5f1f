import { parseDuration } from '../../core/duration.ts';
import { MonitorError } from '../../core/error.ts';
import type { Mapping } from '../../mapping/mapping.ts';
import { parseMapping } from '../../mapping/parse-mapping.ts';
import { shippedMapping, shippedNames } from '../../mapping/shipped-mappings.ts';
import { didYouMean } from '../../platform/nearest.ts';
import type { PrometheusSourceOptions } from '../../sources/prometheus-source.ts';
import { parseNetwork } from './address.ts';
import { type Environment, serving, setting } from './setting.ts';
import { readText } from './text-file.ts';
import { parsePace } from './value.ts';

const keys = ['name', 'url', 'selector', 'interval', 'backfill', 'allow', 'ca'] as const;
type Given = Partial<Record<(typeof keys)[number], string | string[]>>;
const example = '{"name": "lab", "url": "http://10.0.0.7:9090", "selector": "{job=\\"node\\"}", "allow": "10.0.0.7"}';

/** Others that the server asks for what they have. */
export const sourceSettings = {
  sources: setting({
    description:
      "every Prometheus to ask for what it has: a list of maps with name, url, selector, interval (15s), backfill (1d), allow and ca; see 'From a Prometheus'",
    defaultText: 'none',
    commands: serving,
    repeatable: true,
    read: (texts, environment) => distinct(texts.map((text) => parseSource(text, environment))),
    format: (sources) => sources.map(formatSource),
  }),
  mapping: setting({
    argument: '<name>',
    description:
      'whose series are the usage of hosts and processes: process-exporter, node-exporter, cadvisor, kubelet, or in the file a map of your own; may be repeated',
    defaultText: 'none',
    commands: serving,
    repeatable: true,
    read: (texts) => texts.map(readMapping),
    format: (mappings) => mappings.map(({ name }) => name),
  }),
};

/**
 * A source as the file has it, as JSON; `ca` names a file. What it is let in with comes from the environment.
 * @throws MonitorError `invalid`
 */
export function parseSource(text: string, environment: Environment): PrometheusSourceOptions {
  const given = readMap(text);
  const name = one(given, 'name');
  if (!/^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/i.test(name))
    throw invalid(name, 'its name must be letters, digits and hyphens, at most 40');
  const selectors = list(given.selector).filter((selector) => selector.trim() !== '');
  if (selectors.length === 0) throw invalid(name, `it needs a selector, such as {job="node"}`);
  const ca = given.ca === undefined ? undefined : one(given, 'ca');
  return {
    name,
    url: parseUrl(one(given, 'url'), name),
    selectors,
    intervalMs: parsePace(list(given.interval)[0] ?? '15s', `interval of source ${name}`, '1s'),
    backfillMs: parseDuration(list(given.backfill)[0] ?? '1d', `backfill of source ${name}`),
    allowed: list(given.allow).map(parseNetwork),
    ...(ca !== undefined && { ca }),
    ...credentialsOf(name, environment),
  };
}

/** One of those that are shipped, or one of one's own as JSON. @throws MonitorError `invalid` */
function readMapping(text: string): Mapping {
  const shipped = shippedMapping(text);
  if (shipped !== undefined) return shipped;
  const own = text.startsWith('{') ? parseJson(text) : null;
  if (own !== null) return parseMapping(own);
  const otherwise = `write ${shippedNames.join(', ')}, or a map of your own`;
  throw new MonitorError('invalid', `there is no mapping '${text}'${didYouMean(text, shippedNames, otherwise)}`);
}

/** Null: it is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Variables of a source: `AMBERWATCH_SOURCE_LAB_TOKEN`; one that ends in `_FILE` names a file. */
export const sourceVariable = /^AMBERWATCH_SOURCE_[A-Z0-9_]+_(?:TOKEN|USER|PASSWORD)(?:_FILE)?$/;

function variableOf(name: string, what: string): string {
  return `AMBERWATCH_SOURCE_${name.toUpperCase().replaceAll('-', '_')}_${what}`;
}

function credentialsOf(
  name: string,
  environment: Environment,
): Pick<PrometheusSourceOptions, 'token' | 'user' | 'password'> {
  const read = (what: string) => {
    const variable = variableOf(name, what);
    const file = environment[`${variable}_FILE`];
    return environment[variable] || (file ? readText(file, `${variable}_FILE`).trim() : undefined);
  };
  const [token, user, password] = [read('TOKEN'), read('USER'), read('PASSWORD')];
  if (password !== undefined && user === undefined) throw invalid(name, 'a password needs a user');
  if (token === '') throw invalid(name, 'its token is empty');
  if (token !== undefined && user !== undefined) throw invalid(name, 'either a token, or user and password, not both');
  return {
    ...(token !== undefined && { token }),
    ...(user !== undefined && { user }),
    ...(password !== undefined && { password }),
  };
}

function readMap(text: string): Given {
  const given = parseJson(text);
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new MonitorError('invalid', `that is no source; write a map such as ${example}`);
  for (const [key, value] of Object.entries(given)) {
    if (!(keys as readonly string[]).includes(key))
      throw new MonitorError(
        'invalid',
        `a source has no key '${key}'${didYouMean(key, keys, `its keys are ${keys.join(', ')}`)}`,
      );
    if (![value].flat().every((each) => typeof each === 'string'))
      throw new MonitorError('invalid', `'${key}' of a source takes a text or a list of them`);
  }
  return given;
}

function one(given: Given, key: (typeof keys)[number]): string {
  const [value, ...more] = list(given[key]);
  if (value === undefined || value === '' || more.length > 0)
    throw new MonitorError(
      'invalid',
      `a source${given.name === undefined ? '' : ` (${String(given.name).slice(0, 40)})`} needs one ${key}, and has ${more.length > 0 ? 'more' : 'none'}`,
    );
  return value;
}

function list(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : [value].flat();
}

function parseUrl(text: string, name: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw invalid(
      name,
      `its url is no address${text.includes('@') ? '' : `: '${text.slice(0, 100)}'`}; write it like http://10.0.0.7:9090`,
    );
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw invalid(
      name,
      `its url must hold no user, password or part after ? or #; set ${variableOf(name, 'USER')} and ..._PASSWORD, or ..._TOKEN`,
    );
  return url;
}

function distinct(sources: readonly PrometheusSourceOptions[]): readonly PrometheusSourceOptions[] {
  const names = sources.map(({ name }) => name.toLowerCase());
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) throw invalid(twice, 'that name is there twice');
  return sources;
}

/** As the file has it; never what it is let in with. */
function formatSource({ name, url, selectors, intervalMs, backfillMs, allowed, ca }: PrometheusSourceOptions) {
  return {
    name,
    url: url.href,
    selector: selectors,
    interval: `${intervalMs / 1000}s`,
    backfill: `${backfillMs / 1000}s`,
    allow: allowed.map(({ address, bits }) => `${address}/${bits}`),
    ...(ca !== undefined && { ca }),
  };
}

function invalid(name: string, why: string): MonitorError {
  return new MonitorError('invalid', `source ${name}: ${why}`);
}
