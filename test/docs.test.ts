import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { environmentNameOf, flagOf, settingKeys, settings } from '../src/cli/config/settings.ts';
import { errorCodes } from '../src/core/error.ts';
import { Program } from './e2e/program.ts';
import { freePort } from './influxd.ts';
import { makeSnapshot } from './make-snapshot.ts';
import { metricTable } from './metric-table.ts';

const run = promisify(execFile);
const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const readme = read('README.md');
const scripts = JSON.parse(read('package.json')).scripts as Record<string, string>;

/** Commands of all `sh` blocks; one that goes on over several lines is one command. */
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) =>
  block.trim().split(/\n(?! )/),
);

describe('the README', () => {
  test("its configuration table is the code's", () => {
    const rows = settingKeys.map((key) => {
      const { argument, defaultText, description } = settings[key];
      return `| \`${key}\` | ${argument === undefined ? '' : `\`${flagOf(key)}\` `}| \`${environmentNameOf(key)}\` | ${defaultText} | ${description} |`;
    });
    const [, configuration = ''] = readme.split('\n## Configuration\n');
    const table = configuration.split('\n').filter((line) => /^\| `/.test(line));
    expect(table).toEqual(rows);
  });

  test("its error codes are the code's", () => {
    const [, list = ''] = /with a `code`: ([^.]*)\./.exec(readme) ?? [];
    expect([...list.matchAll(/`(\w+)`/g)].map(([, code]) => code).sort()).toEqual([...errorCodes].sort());
  });

  test('npm commands exist', () => {
    const npm = commands.filter((command) => command.startsWith('npm '));
    expect(npm).toContain('npm ci');
    for (const command of npm) {
      const [, name = '', script] = command.split(' ');
      expect(
        ['ci', 'pack', 'i'].includes(name) || scripts[name === 'run' ? (script ?? '') : name] !== undefined,
        command,
      ).toBe(true);
    }
  });

  test('every amberwatch command and flag in it exists', async () => {
    const mentioned = commands
      .filter((command) => /^(npx )?amberwatch /.test(command))
      .map((command) => command.replace(/^(npx )?/, 'npx '));
    expect(mentioned.length).toBeGreaterThanOrEqual(4);
    for (const command of [
      ...mentioned,
      ...commands
        .filter((each) => each.startsWith('npm start -- '))
        .map((each) => each.replace('npm start --', 'npx amberwatch up')),
    ]) {
      const [, , name = '', ...rest] = command.split(' ');
      const group = ['token', 'host', 'spool', 'store', 'source', 'sla', 'config'].includes(name)
        ? rest.slice(0, 1)
        : [];
      const program = new Program([name, ...group, '--help']);
      expect(await program.exit, command).toBe(0);
      for (const flag of rest.filter((part) => part.startsWith('--')))
        expect(program.stdout, command).toContain(`${flag} `);
    }
  });

  test('no command has a date that is past tomorrow', () => {
    for (const command of commands) expect(command).not.toMatch(/\d{4}-\d\d-\d\d/);
  });

  test('files it links to are there', () => {
    for (const [, path = ''] of readme.matchAll(/\]\(([\w./-]+)\)/g)) expect(() => read(path), path).not.toThrow();
  });

  describe('its curl examples', () => {
    let server: Program;
    let url: string;
    beforeAll(async () => {
      const listen = `127.0.0.1:${await freePort()}`;
      url = `http://${listen}`;
      server = new Program(['serve', '--listen', listen, '--store', 'memory:', '--retention', '3650d']);
      for (
        let tries = 0;
        tries < 100 &&
        !(await fetch(url).then(
          () => true,
          () => false,
        ));
        tries++
      )
        await new Promise((resolve) => setTimeout(resolve, 50));
      const { processes, time, ...header } = makeSnapshot({ time: Date.now() });
      const body = { host: header.host, ip: header.ip, time: new Date(time).toISOString(), processes };
      await fetch(`${url}/v1/usage`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    });
    afterAll(() => server.stop('SIGKILL'));

    test.each(commands.filter((command) => command.startsWith('curl ')))('%s', async (command) => {
      const { stdout } = await run('sh', [
        '-c',
        `${command.replaceAll('http://127.0.0.1:8000', url)} -w '\\n%{http_code}'`,
      ]);
      const [code, ...body] = stdout.split('\n').reverse();
      if (command.includes('-X PUT') && !command.includes('/v1/slas/')) expect(code).toBe('204');
      else {
        expect(code).toBe('200');
        const text = body.reverse().join('\n');
        if (command.includes('format=csv'))
          expect(text).toMatch(/^(host,process,time,cpu|window,from,to|series,from,to),/);
        else expect(() => JSON.parse(text)).not.toThrow();
      }
    });
  });
});

test('the metrics are documented as the catalogue has them', async () => {
  await expect(metricTable()).toMatchFileSnapshot('../docs/METRICS.md');
});

describe('what is deployed', () => {
  const compose = parse(read('docker-compose.yml'), { merge: true }) as {
    services: Record<
      string,
      { image?: string; command?: string[]; healthcheck?: object; environment?: Record<string, string> }
    >;
  };

  test('compose pins InfluxDB, and its commands and variables exist', async () => {
    expect(compose.services.influxdb?.image).toBe('influxdb:2.9');
    expect(Object.keys(compose.services).sort()).toEqual(['alerter', 'collector', 'influxdb', 'server']);
    const known = settingKeys.flatMap((key) => [environmentNameOf(key), `${environmentNameOf(key)}_FILE`]);
    for (const { command, healthcheck, environment = {} } of Object.values(compose.services)) {
      expect(healthcheck).toBeDefined();
      for (const name of Object.keys(environment)) if (name.startsWith('AMBERWATCH_')) expect(known).toContain(name);
      if (!command) continue;
      const program = new Program([command[0] as string, '--help']);
      await program.exit;
      for (const flag of command.filter((part) => part.startsWith('--'))) expect(program.stdout).toContain(`${flag} `);
    }
  });

  test('the image does not run as root', () => expect(read('Dockerfile')).toMatch(/^USER node$/m));

  const analyze = spawnSync('systemd-analyze', ['--version']).status === 0;
  test.skipIf(!analyze)('the unit of the collector is exposed less than 2.0', () => {
    const { stdout } = spawnSync(
      'systemd-analyze',
      ['security', '--offline=true', '--no-pager', 'deploy/amberwatch-collector.service'],
      { encoding: 'utf8' },
    );
    const score = Number(/Overall exposure level for [^:]*: ([\d.]+)/.exec(stdout)?.[1]);
    expect(score).toBeLessThan(2);
  });
});

describe('the documents', () => {
  const documents = ['README.md', 'CONTRIBUTING.md', 'training/README.md'].concat(
    readdirSync(new URL('../docs', import.meta.url), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  );

  test.each(documents)('%s: what it links to and names is there', (path) => {
    const text = read(path);
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link = '']) => join(dirname(path), link));
    const named = [...text.matchAll(/`((?:src|test|torture|bench|docs|deploy)\/[\w./-]+)`/g)].map(
      ([, name = '']) => name,
    );
    const missing = [...links, ...named].filter((each) => !existsSync(new URL(`../${each}`, import.meta.url)));
    expect(missing).toEqual([]);
  });

  test('every folder of src has a lint rule, and the table of rooms says what it allows', () => {
    const { overrides } = JSON.parse(read('biome.json')) as { overrides: Override[] };
    const rules = overrides
      .filter(({ includes: [folder = ''] }) => folder.startsWith('src/'))
      .flatMap(({ includes: [folder = ''], linter }) => {
        const group = linter.rules.style.noRestrictedImports?.options.patterns[0]?.group;
        return group === undefined ? [] : [[folder.split('/')[1] as string, allowedRooms(group)] as const];
      });
    const entries = readdirSync(new URL('../src', import.meta.url), { withFileTypes: true });
    const rooms = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    expect(rules.map(([room]) => room).sort()).toEqual(rooms.sort());
    const rows = [...read('docs/ARCHITECTURE.md').matchAll(/^\| `(\w+)` \|.*\| ?(.*?) ?\|$/gm)];
    const table = rows.map(([, room = '', may = '']) => [room, may === '' ? [] : may.split(', ').sort()]);
    expect(Object.fromEntries(table)).toEqual(Object.fromEntries(rules));
  });
});

interface Override {
  includes: string[];
  linter: {
    rules: { style: { noRestrictedImports?: { options: { patterns: { group: string[] }[] } } } };
  };
}

/** Other rooms that an allow-list lets in; those within a room of its own are not told. */
function allowedRooms(group: readonly string[]): string[] {
  const rooms = group.flatMap((pattern) => /^!\.\.\/\.\.\/(\w+)\/\*\*$/.exec(pattern)?.[1] ?? []);
  return rooms.sort();
}
