import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bundle } from '../bundle.ts';

const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bundle-'));
afterAll(() => rmSync(folder, { recursive: true }));
const { outputs } = (await bundle(folder)).metafile;

/** The packages that come with a module of the built program as it is loaded. */
function packagesOf(module: string): Set<string> {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const walk = (path: string) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { kind, path: next, external } of outputs[path]?.imports ?? []) {
      if (external) packages.add(next);
      else if (kind === 'import-statement') walk(next);
    }
  };
  const entry = Object.keys(outputs).find((path) => outputs[path]?.entryPoint === module);
  if (entry === undefined) throw new Error(`${module} is not loaded by itself`);
  walk(entry);
  const inputs = [...seen].flatMap((path) => Object.keys(outputs[path]?.inputs ?? { [path]: 1 }));
  for (const path of inputs) packages.add(/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? 'our own');
  return packages;
}

test.each([
  ['the program itself', 'src/cli.ts', ['commander']],
  ['amberwatch collect', 'src/cli/commands/collect.ts', ['close-with-grace']],
  ['the collector', 'src/collector/collector.ts', []],
  ['the sender', 'src/collector/sender.ts', []],
  ['the alerter', 'src/alerter/alerter.ts', []],
  ['the client', 'src/client/monitor-client.ts', []],
])('%s loads no more than it needs: schemas, server and engines cost memory and half a second', (_, module, needed) => {
  const loaded = packagesOf(module);
  expect([...loaded]).toEqual(expect.arrayContaining(needed));
  const heavy = [...loaded].filter((name) =>
    /typebox|fastify|ajv|duckdb|influx|systeminformation|prom-client|undici|yaml/.test(name),
  );
  expect(heavy).toEqual([]);
});
