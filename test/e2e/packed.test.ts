import { execFile, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { freePort } from '../influxd.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const run = promisify(execFile);
const project = fileURLToPath(new URL('../..', import.meta.url));

/** It takes the registry, and a minute: in CI alone. */
describe.skipIf(!process.env.AMBERWATCH_TEST_REQUIRE_SERVICES)('the packed file', () => {
  test('is one, installs without compilers and development packages, and runs', { timeout: 300_000 }, async () => {
    const folder = temporaryFolder();
    // What it is made of is built; to build it again would take it away under other tests.
    await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: project });
    const packed = readdirSync(folder);
    expect(packed).toEqual([expect.stringMatching(/^amberwatch-[\d.]+\.tgz$/)]);

    const bin = join(folder, 'bin');
    mkdirSync(bin);
    const node = dirname(process.execPath);
    for (const [name, at] of [
      ['node', process.execPath],
      ['npm', join(node, 'npm')],
      ['sh', '/bin/sh'],
    ] as const)
      symlinkSync(at, join(bin, name));
    const environment = { ...process.env, PATH: bin, npm_config_cache: join(folder, 'cache') };
    const prefix = join(folder, 'installed');
    const install = ['install', '--global', '--prefix', prefix, join(folder, packed[0] as string)];
    await run('npm', install, { env: environment, cwd: folder, timeout: 200_000 });
    const modules = join(prefix, 'lib/node_modules/amberwatch/node_modules');
    expect(readdirSync(modules)).not.toContain('typescript');

    const amberwatch = join(prefix, 'bin/amberwatch');
    const listen = `127.0.0.1:${await freePort()}`;
    const args = ['up', '--listen', listen, '--data', join(folder, 'data'), '--interval', '1s'];
    const up = spawn(amberwatch, args, { env: { ...environment, NO_COLOR: '1' } });
    let said = '';
    up.stdout.on('data', (text) => {
      said += text;
    });
    for (let tries = 0; tries < 300 && !/GREEN|RED|AMBER/.test(said); tries++)
      await new Promise((resolve) => setTimeout(resolve, 100));
    const ended = new Promise((resolve) => up.once('close', resolve));
    up.kill('SIGINT');
    expect(await ended).toBe(0);
    expect(said).toMatch(/PROCESS +PID +COUNT[\s\S]*snapshots: (\d+) taken = \1 stored/);
  });
});
