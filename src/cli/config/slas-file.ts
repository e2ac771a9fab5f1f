import { statSync } from 'node:fs';
import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml';
import { MonitorError, messageOf } from '../../core/error.ts';
import { didYouMean } from '../../platform/nearest.ts';
import { checkDefinition, defaultWindows, type SlaDefinition } from '../../sla/sla.ts';
import type { SlaDefinitionsFile } from '../../sla/sla-definitions.ts';
import { slaIdPattern } from '../../wire/sla.ts';
import { readText } from './text-file.ts';

const keys = ['selector', 'min', 'max', 'objective', 'windows'];

/** The YAML file that `--slas` names: definitions by id. */
export function slasFile(path: string): SlaDefinitionsFile {
  return {
    version() {
      try {
        const { mtimeMs, size, ino } = statSync(path);
        return `${mtimeMs} ${size} ${ino}`;
      } catch {
        return null;
      }
    },
    read: () => readSlas(path),
  };
}

/** @throws MonitorError `invalid` that says file, line and what is wrong there */
export function readSlas(path: string): Map<string, SlaDefinition> {
  const lines = new LineCounter();
  const document = parseDocument(readText(path, '--slas'), { lineCounter: lines });
  const problem = (offset: number | undefined, why: string) =>
    new MonitorError('invalid', `${path}:${lines.linePos(offset ?? 0).line}: ${why}`);
  const [broken] = [...document.errors, ...document.warnings];
  if (broken) throw problem(broken.pos[0], `that is not YAML: ${broken.message.split('\n', 1)[0]}`);
  // Some editors empty a file before they write it.
  if (document.contents === null) throw problem(0, 'it is empty; for no SLAs write {}');
  if (!isMap(document.contents))
    throw problem(0, "it must hold ids and what each promises, such as 'web: {selector: ...}'");
  const slas = new Map<string, SlaDefinition>();
  for (const { key, value } of document.contents.items as Pair<Node, Node | null>[]) {
    const id = String(isScalar(key) ? key.value : '');
    const at = (key.range ?? [0])[0];
    if (!new RegExp(slaIdPattern).test(id))
      throw problem(at, `'${id}' is no id; write letters, digits, _ . : and -, at most 200`);
    try {
      slas.set(id, definitionOf(value));
    } catch (error) {
      throw problem(at, `${id}: ${messageOf(error)}`);
    }
  }
  return slas;
}

function definitionOf(node: Node | null): SlaDefinition {
  if (!isMap(node)) throw new MonitorError('invalid', `it needs ${keys.join(', ')}`);
  const given = new Map((node.items as Pair<Node, Node | null>[]).map(({ key, value }) => [String(key), value]));
  for (const key of given.keys())
    if (!keys.includes(key))
      throw new MonitorError('invalid', `there is no '${key}'${didYouMean(key, keys, `it has ${keys.join(', ')}`)}`);
  const windows = given.get('windows');
  const definition = {
    selector: textOf(given.get('selector'), 'selector'),
    min: numberOf(given.get('min'), 'min'),
    max: numberOf(given.get('max'), 'max'),
    objective: objectiveOf(given.get('objective')),
    windows: isSeq(windows) ? windows.items.map((each) => textOf(each as Node, 'windows')) : [...defaultWindows],
  };
  checkDefinition(definition);
  return definition;
}

function objectiveOf(node: Node | null | undefined): number {
  const objective = numberOf(node, 'objective');
  if (objective === null)
    throw new MonitorError('invalid', "'objective' is missing: percent of the time, such as 99.5");
  return objective;
}

function textOf(node: Node | null | undefined, key: string): string {
  if (isScalar(node) && typeof node.value === 'string') return node.value;
  throw new MonitorError('invalid', `'${key}' has to be a text`);
}

function numberOf(node: Node | null | undefined, key: string): number | null {
  if (node == null || (isScalar(node) && node.value === null)) return null;
  if (isScalar(node) && typeof node.value === 'number' && Number.isFinite(node.value)) return node.value;
  throw new MonitorError('invalid', `'${key}' has to be a number`);
}
