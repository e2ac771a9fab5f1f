import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { AlarmsAnswer } from '../../src/wire/alarm.ts';
import type { HostAnswer } from '../../src/wire/host.ts';
import { freePort } from '../influxd.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { getJson, Program } from './program.ts';

const [serverData, collectorData, elsewhere] = [temporaryFolder(), temporaryFolder(), temporaryFolder()];
const waiting = { timeout: 15_000, interval: 50 };
let url: string;
let server: Program;
let collector: Program;

async function startServer(): Promise<void> {
  server = new Program(['serve', '--listen', new URL(url).host, '--data', serverData]);
  await vi.waitFor(async () => expect((await fetch(`${url}/health/ready`)).status).toBe(200), waiting);
}

function startCollector(): void {
  collector = new Program(['collect', '--server', url, '--data', collectorData, '--host', 'h', '--interval', '1s']);
}

async function run(args: string[], environment: Record<string, string> = {}): Promise<Program> {
  const program = new Program([...args, '--server', url], environment);
  await program.exit;
  return program;
}

const host = () => getJson<HostAnswer>(`${url}/v1/hosts/h`);
const hostIs = (expected: object, options: { timeout: number } = waiting) =>
  vi.waitFor(async () => expect(await host()).toMatchObject(expected), { ...waiting, ...options });

beforeAll(async () => {
  url = `http://127.0.0.1:${await freePort()}`;
  await startServer();
  startCollector();
  await hostIs({ state: 'fresh', interval: 1 });
});
afterAll(() => Promise.all([server.stop('SIGKILL'), collector.stop('SIGKILL')]));

test('a real collector does within one interval as it is told, and goes on so over restarts of either', async () => {
  const set = await run(['host', 'set', 'h', '--interval', '2s']);
  expect(set.stdout).toBe('h is to report every 2s; its collector learns it with its next snapshot, within 1s\n');
  // Learned with the next answer, at most a second on, and said with the snapshot after that, another second on.
  await hostIs({ interval: 2 }, { timeout: 2500 });
  await collector.stop('SIGKILL');
  await server.stop('SIGKILL');
  await startServer();
  expect((await host()).desired).toEqual({ interval: 2, paused: false });
  const seen = (await host()).lastSeen;
  startCollector();
  await vi.waitFor(async () => expect((await host()).lastSeen).not.toBe(seen), waiting);
  expect((await host()).interval).toBe(2);
});

test('a paused one says that it lives, is PAUSED, and is looked at again when it is told so', async () => {
  expect((await run(['host', 'set', 'h', '--pause'])).stdout).toMatch(
    /^h is to pause, and to say every 2s that it lives;/,
  );
  await hostIs({ state: 'paused', system: {} });
  const alarms = await getJson<AlarmsAnswer>(`${url}/v1/alarms`);
  expect(alarms).toMatchObject({ level: 'PAUSED', alarms: [], stale: [], paused: [{ host: 'h' }] });
  const once = await run(['alert', '--once', '--data', elsewhere]);
  expect([await once.exit, once.stdout]).toEqual([0, expect.stringMatching(/PAUSED h {2}paused: it lives/)]);
  expect((await run(['host', 'ls'])).stdout).toMatch(/h +\S+ +PAUSED .* 2s\n/);
  await server.stop('SIGKILL');
  await startServer();
  await collector.stop('SIGKILL');
  startCollector();
  const seen = (await host()).lastSeen;
  await vi.waitFor(async () => expect((await host()).lastSeen).not.toBe(seen), waiting);
  expect(await host()).toMatchObject({ state: 'paused', interval: 2 });
  await run(['host', 'set', 'h', '--resume', '--interval', 'own']);
  await hostIs({ state: 'fresh', interval: 1, desired: { interval: null, paused: false } });
});

test('it is refused without the role, and nonsense with a sentence', async () => {
  for (const [args, sentence] of [
    [['h'], /say what is wanted/],
    [['h', '--pause', '--resume'], /not both/],
    [['h', '--interval', '2h'], /between 500ms and 1h/],
  ] as const) {
    const refused = await run(['host', 'set', ...args]);
    expect([await refused.exit, refused.stderr]).toEqual([2, expect.stringMatching(sentence)]);
  }
  expect((await run(['host', 'set', 'nobody', '--pause'])).stderr).toMatch(/no host 'nobody' has reported/);
  const create = async (...args: string[]) => {
    const made = new Program(['token', 'create', '--data', serverData, ...args]);
    await made.exit;
    return /aw_\S+/.exec(made.stdout)?.[0] ?? '';
  };
  const [read, write, admin] = [
    await create('--role', 'read'),
    await create('--role', 'write', '--host', 'h'),
    await create('--role', 'admin'),
  ];
  const pause = (token: string) =>
    run(['host', 'set', 'h', '--interval', '1s', '--data', elsewhere], token === '' ? {} : { AMBERWATCH_TOKEN: token });
  await vi.waitFor(async () => expect((await pause('')).stderr).toMatch(/wants a token/), waiting);
  for (const token of [read, write])
    expect((await pause(token)).stderr).toMatch(/has the role \w+; PATCH .* needs admin/);
  expect((await pause(admin)).stdout).toMatch(/^h is to report every 1s/);
});
