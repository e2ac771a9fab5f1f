import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type Scalar,
} from 'yaml';
import { MonitorError } from '../../core/error.ts';
import { didYouMean } from '../../platform/nearest.ts';
import { readText } from './text-file.ts';

/** A value of the file as texts, and where it stands. */
export interface FileValue {
  texts: string[];
  /** `FILE:LINE` */
  source: string;
}

/**
 * The values of a YAML file by key; a key without a value is as if it were not there.
 * @param keys those there are
 * @throws MonitorError `invalid` that says file, line and column
 */
export function readConfigFile(path: string, keys: readonly string[]): Map<string, FileValue> {
  const lines = new LineCounter();
  const document = parseDocument(readText(path, '--config'), { lineCounter: lines, schema: 'failsafe' });
  const at = (node: unknown) => {
    const { line, col } = lines.linePos((node as Node | null)?.range?.[0] ?? 0);
    return { line, text: `${path}:${line}:${col}` };
  };
  refuseBroken(document, lines, path);
  if (document.contents === null) return new Map();
  if (!isMap(document.contents))
    throw new MonitorError('invalid', `--config ${path} must hold keys and values, such as 'interval: 10s'`);
  const values = new Map<string, FileValue>();
  for (const { key, value } of document.contents.items as Pair<Node, Node | null>[]) {
    const name = String((key as Scalar).value);
    if (!keys.includes(name))
      throw new MonitorError(
        'invalid',
        `${at(key).text}: there is no key '${name}'${didYouMean(name, keys, `the keys are ${keys.join(', ')}`)}`,
      );
    const texts = textsOf(value, name, (node) => at(node).text, document);
    if (texts.length > 0) values.set(name, { texts, source: `${path}:${at(key).line}` });
  }
  return values;
}

/** A tag or an anchor in front of a value takes part of it away: a warning is an error here. */
function refuseBroken(document: Document, lines: LineCounter, path: string): void {
  const [broken] = [...document.errors, ...document.warnings];
  if (broken === undefined) return;
  const { line, col } = lines.linePos(broken.pos[0]);
  throw new MonitorError(
    'invalid',
    `${path}:${line}:${col} is not YAML: ${broken.message.split(/:| at line |\n/, 1)[0]}`,
  );
}

/** Settings that are lists of maps. */
const mapKeys = ['sources', 'mapping'];

/** `cpu: 90` and `memory: {red: 80, for: 30s}` are what `cpu=90` and `memory:red=80,for=30s` are. */
function textsOf(given: Node | null, name: string, at: (node: unknown) => string, document: Document): string[] {
  const node = isAlias(given) ? given.resolve(document) : given;
  if (node == null || (isScalar(node) && (node.value === null || node.value === ''))) return [];
  if (isScalar(node)) return [String(node.value)];
  if (isSeq(node)) return node.items.flatMap((item) => textsOf(item as Node, name, at, document));
  if (isMap(node) && mapKeys.includes(name)) return [mapText(node, name, at, document)];
  if (isMap(node) && name === 'threshold')
    return (node.items as Pair<Node, Node | null>[]).map(({ key, value }) => thresholdText(key, value, at));
  throw new MonitorError('invalid', `${at(node)}: '${name}' takes a value or a list of them`);
}

/** A map as the JSON that its setting reads: of texts, and of lists and maps of them. */
function mapText(map: Node, name: string, at: (node: unknown) => string, document: Document): string {
  const problem = () => new MonitorError('invalid', `${at(map)}: '${name}' takes maps of texts and lists of them`);
  const plain = (given: unknown): unknown => {
    const node = isAlias(given) ? given.resolve(document) : given;
    if (isScalar(node) && node.value !== null) return String(node.value);
    if (isSeq(node)) return node.items.map(plain);
    if (isMap(node))
      return Object.fromEntries(node.items.map(({ key, value }) => [String((key as Scalar).value), plain(value)]));
    throw problem();
  };
  return JSON.stringify(plain(map));
}

function thresholdText(key: Node, value: Node | null, at: (node: unknown) => string): string {
  const metric = String((key as Scalar).value);
  if (isScalar(value) && value.value !== null) return `${metric}=${value.value}`;
  if (isMap(value) && value.items.every((item) => isScalar(item.value)))
    return `${metric}:${value.items.map((item) => `${item.key}=${(item.value as Scalar).value}`).join(',')}`;
  throw new MonitorError(
    'invalid',
    `${at(key)}: write a number, or red, clear, for, hold, of, basis, for the threshold of '${metric}'`,
  );
}
