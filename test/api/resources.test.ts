import { describe, expect, test } from 'vitest';
import { MonitorError } from '../../src/core/error.ts';
import { openStore } from '../../src/store/open.ts';
import { noon } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';
import { makeApp, retentionMs } from './make-app.ts';

/** As the older agents send it: one entry per instance and metric, each a few milliseconds later. */
function sweep(entries: [name: string | null, type: 'cpu' | 'mem', value: number][], at = noon) {
  const data = entries.map(([process_name, type_data, value], i) => ({
    timestamp: at / 1000 + i * 0.003,
    value,
    process_name,
    type_data,
  }));
  return JSON.stringify({ ipaddress: '216.58.213.68', data });
}

const chrome: Parameters<typeof sweep>[0] = [
  ['chrome', 'cpu', 10],
  ['chrome', 'cpu', 30.5],
  ['chrome', 'mem', 4],
  ['chrome', 'mem', 2],
  ['System Idle', 'mem', 0.1],
];

async function setUp() {
  const made = await makeApp();
  const send = (payload: string, slash = '') =>
    made.app.inject({
      method: 'PUT',
      url: `/ressources-usage/save-all${slash}`,
      headers: { 'content-type': 'application/json' },
      payload,
    });
  return { ...made, send };
}

describe('the older wire format', () => {
  test.each(['', '/'])('is answered byte for byte, path ending in "%s"', async (slash) => {
    const { send } = await setUp();
    const ok = await send(sweep(chrome), slash);
    expect([ok.statusCode, ok.body]).toEqual([200, '{"Response":"Ok"}']);
    for (const bad of [
      '{"ipaddress":"1.2.3.4"}',
      '{',
      '',
      '[]',
      sweep(chrome).replace('30.5', '-1'),
      sweep([
        ['x', 'cpu', 1_000_000],
        ['x', 'cpu', 1_000_000],
      ]),
      sweep(chrome).replace('"mem"', '"disk"'),
    ]) {
      const refused = await send(bad, slash);
      expect([refused.statusCode, refused.body]).toEqual([400, '{"Response":"NOk"}']);
    }
  });

  test('one PUT is one snapshot, and instances of a name are one row', async () => {
    const { send, get } = await setUp();
    await send(sweep(chrome));
    await send(sweep(chrome));
    const { processes } = (await get('/v1/usage/mean/216-58-213-68')).body;
    expect(processes).toMatchObject({
      chrome: { cpu: 40.5, memory: 6, cpuMax: 30.5, memoryMax: 4, count: 2, hosts: 1, snapshots: 1 },
      'System Idle': { cpu: null, memory: 0.1, cpuMax: null, memoryMax: 0.1, count: 1, hosts: 1, snapshots: 1 },
    });
  });

  test.each(['get-all', 'get-all/', 'get-all/216-58-213-68', 'get-all/216.58.213.68/'])(
    '%s gives [memory, cpu] per instance',
    async (path) => {
      const { send, get } = await setUp();
      await send(sweep(chrome, noon - 10_000));
      await send(
        sweep([
          ['chrome', 'cpu', 0],
          ['chrome', 'mem', 9],
        ]),
      );
      const { body, headers } = await get(`/ressources-usage/${path}`);
      expect(headers['content-type']).toMatch(/^application\/json/);
      expect(JSON.parse(body)).toEqual({ chrome: [5, 13.5], 'System Idle': [0.1, 0] });
    },
  );

  test('get-all looks back five minutes', async () => {
    const { send, get, time } = await setUp();
    await send(sweep(chrome));
    time.now = noon + 5 * 60_000 + 1;
    expect((await get('/ressources-usage/get-all')).body).toBe('{}');
  });

  test('get-all-detailed gives the values, oldest first', async () => {
    const { send, get } = await setUp();
    await send(
      sweep(
        [
          ['a', 'mem', 2],
          ['a', 'mem', 4],
        ],
        noon - 10_000,
      ),
    );
    await send(sweep([['a', 'mem', 5]]));
    expect((await get('/ressources-usage/get-all-detailed/')).body).toEqual({ a: [4, 2, 5] });
  });

  test('a client of the original, as it is: it decodes twice, and compares every value with 80', async () => {
    const { app, put, send } = await setUp();
    await send(
      sweep([
        ['chrome.exe', 'cpu', 3],
        ['chrome.exe', 'mem', 5],
        ['chrome.exe', 'mem', 3],
        ['chrome.exe', 'mem', 1],
        ['vmmem', 'cpu', 0],
        ['vmmem', 'mem', 82.99],
      ]),
    );
    // One of our own collectors, on its first sweep: no CPU yet, and rows that are no processes.
    await put({
      host: 'linux',
      ip: '10.0.0.7',
      time: new Date(noon).toISOString(),
      processes: [
        { name: 'nginx', cpu: null, memory: 6, memoryMax: 3, count: 3 },
        { name: '__kernel__', cpu: 1, memory: 0, count: 90 },
        { name: '__unattributed__', cpu: 4, memory: null },
      ],
    });
    /** `requests.get(url).json()`, then `json.loads` of that, as its alarm client does. */
    const loads = async (path: string) => {
      const answer = await app.inject({ url: `/ressources-usage/${path}` });
      expect(answer.statusCode).toBe(200);
      const text: unknown = answer.json();
      expect(typeof text).toBe('string');
      return JSON.parse(text as string) as Record<string, number[]>;
    };
    const all = await loads('get-all/');
    expect(all).toEqual({ 'chrome.exe': [3, 1], vmmem: [82.99, 0], nginx: [2, 0] });
    const red = Object.entries(all).filter(([, [memory = Number.NaN, cpu = Number.NaN]]) => memory > 80 || cpu > 80);
    expect(red.map(([name]) => name)).toEqual(['vmmem']);
    expect(await loads('get-all/216-58-213-68')).toEqual({ 'chrome.exe': [3, 1], vmmem: [82.99, 0] });
    for (const unknown of ['10-9-9-9', 'nobody']) expect(await loads(`get-all/${unknown}`)).toEqual({});

    const detailed = (await app.inject({ url: '/ressources-usage/get-all-detailed' })).json();
    expect(detailed).toEqual({ 'chrome.exe': [5, 2, 2], vmmem: [82.99], nginx: [3, 1.5, 1.5] });
  });

  test('get-all-detailed stays small, whatever counts somebody writes', async () => {
    const { put, get } = await setUp();
    const names = Array.from({ length: 5000 }, (_, k) => `p${k}`);
    for (const ms of [0, 1, 2]) {
      const answer = await put({
        host: 'h',
        time: new Date(noon - ms).toISOString(),
        processes: { name: names, cpu: names.map(() => 1), memory: names.map(() => 1), count: names.map(() => 1e6) },
      });
      expect(answer.statusCode).toBe(204);
    }
    const { body } = await get('/ressources-usage/get-all-detailed');
    const counts = Object.values(body as Record<string, number[]>).map((values) => values.length);
    expect(counts).toHaveLength(5000);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThan(220_000);
  });

  test('query-alarm gives the level and the alarms', async () => {
    const { send, get } = await setUp();
    await send(sweep([['runaway', 'cpu', 99]]));
    expect((await get('/ressources-usage/query-alarm/')).body).toMatchObject({
      level: 'RED',
      alarms: [{ subject: { name: 'runaway' }, value: 99 }],
    });
  });

  test('a name that is null is kept as such', async () => {
    const { send, get } = await setUp();
    await send(
      sweep([
        [null, 'cpu', 1],
        ['', 'cpu', 2],
      ]),
    );
    expect(JSON.parse((await get('/ressources-usage/get-all')).body)).toEqual({ null: [0, 1.5] });
  });

  test("a store that is away is not the sender's fault", async () => {
    const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
    const store = overStore(memory, { append: () => Promise.reject(new MonitorError('unavailable', 'gone')) });
    const { app } = await makeApp({ store });
    const answer = await app.inject({
      method: 'PUT',
      url: '/ressources-usage/save-all',
      headers: { 'content-type': 'application/json' },
      payload: sweep(chrome),
    });
    expect([answer.statusCode, answer.body]).toEqual([503, '{"Response":"NOk"}']);
  });
});
