import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const dist = fileURLToPath(new URL('../dist', import.meta.url));

/** The packages that a module of the built program loads with it, and those that its own modules load. */
function packagesOf(entry: string): Set<string> {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const walk = (path: string) => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const [, name = ''] of readFileSync(path, 'utf8').matchAll(
      /^(?:import|export) (?:[^'"]* from )?['"]([^'"]+)['"]/gm,
    )) {
      if (name.startsWith('.')) walk(join(dirname(path), name));
      else if (!name.startsWith('node:'))
        packages.add(
          name
            .split('/')
            .slice(0, name.startsWith('@') ? 2 : 1)
            .join('/'),
        );
    }
  };
  walk(join(dist, entry));
  return packages;
}

test.each([
  ['the program itself', 'cli.js', ['commander', 'wrap-ansi']],
  ['amberwatch collect', 'cli/commands/collect.js', ['close-with-grace']],
  ['the collector', 'collector/collector.js', []],
  ['the sender', 'collector/sender.js', []],
  ['the alerter', 'alerter/alerter.js', []],
  ['the client', 'client/monitor-client.js', ['undici']],
])('%s loads no more than it needs: schemas, server and engines cost memory and half a second', (_, entry, needed) => {
  const loaded = packagesOf(entry);
  expect([...loaded]).toEqual(expect.arrayContaining(needed));
  const heavy = [...loaded].filter((name) =>
    /typebox|fastify|ajv|duckdb|influx|systeminformation|prom-client/.test(name),
  );
  expect(heavy).toEqual([]);
});
