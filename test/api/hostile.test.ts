import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { emptyColumns } from '../../src/core/snapshot.ts';
import { noon } from '../make-snapshot.ts';
import { body, iso, makeApp } from './make-app.ts';

const made = await makeApp();
const { app, get, put } = made;
const address = await app.listen({ host: '127.0.0.1', port: 0 });
afterAll(() => app.close());

const raw = (payload: string | Buffer, headers: Record<string, string> = {}) =>
  app.inject({ method: 'PUT', url: '/v1/usage', headers: { 'content-type': 'application/json', ...headers }, payload });
const nothingStored = async () => expect((await get('/v1/hosts')).body.hosts).toEqual([]);
const processOf = (given: object) =>
  body({
    processes: [
      { name: 'good', cpu: 1, memory: 1 },
      { name: 'bad', cpu: 1, memory: 1, ...given },
    ],
  });

describe('bad bodies are refused whole, with a sentence', () => {
  test.each<[string, unknown, RegExp]>([
    ['a string for a number', processOf({ cpu: '12' }), /body\/processes\/1\/cpu must be number/],
    ['a boolean', processOf({ memory: true }), /processes\/1\/memory/],
    ['negative', processOf({ cpu: -1 }), /cpu must be >= 0/],
    ['1e308', processOf({ memory: 1e308 }), /memory must be <= 1000000/],
    ['a fractional pid', processOf({ pid: 1.5 }), /pid must be integer/],
    ['a huge pid', processOf({ pid: 2 ** 32 }), /pid must be <=/],
    ['rss beyond what a number holds', processOf({ rssBytes: 2 ** 60 }), /rssBytes must be <=/],
    ['count 0', processOf({ count: 0 }), /count must be >= 1/],
    ['an empty name', processOf({ name: '' }), /name must NOT have fewer than 1 char/],
    ['a name too long', processOf({ name: 'x'.repeat(261) }), /name must NOT have more than 260/],
    ['a name twice', processOf({ name: 'good' }), /"good" twice/],
    ['a missing name', body({ processes: [{ cpu: 1, memory: 1 }] }), /must have required property 'name'/],
    ['a missing cpu', body({ processes: [{ name: 'x', memory: 1 }] }), /must have required property 'cpu'/],
    ['a missing host', { ...body(), host: undefined }, /must have required property 'host'/],
    ['a missing time', { ...body(), time: undefined }, /must have required property 'time'/],
    ['no processes', { ...body(), processes: undefined }, /must have required property 'processes'/],
    ['processes of a wrong type', body({ processes: 'many' }), /processes must be array,object/],
    ['a day that does not exist', body({ time: '2026-02-30T12:00:00Z' }), /time/],
    ['a year beyond 2200', body({ time: '9999-12-31T23:59:59Z' }), /between 1970 and 2200/],
    ['a year before 1970', body({ time: '0001-01-01T00:00:00Z' }), /between 1970 and 2200/],
    ['a time that is none', body({ time: 'now' }), /time must match format "date-time"/],
    ['an address that is none', body({ ip: '300.1.1.1' }), /ip '300.1.1.1' is not/],
    ['an interval of 0', body({ interval: 0 }), /interval must be > 0/],
    [
      'columns of unequal length',
      body({ processes: { ...emptyColumns(), name: ['a', 'b'], cpu: [1, 2], memory: [1] } }),
      /all columns must be equally long/,
    ],
    ['columns without one', body({ processes: { name: ['a'], cpu: [1] } }), /must have required property 'memory'/],
    ['a null for all', null, /body must be (object|array)|Body cannot be empty/],
    ['a number for all', 5, /body must be/],
    ['an empty array', [], /must NOT have fewer than 1 items/],
  ])('%s', async (_, payload, detail) => {
    const answer = await raw(JSON.stringify(payload));
    expect(answer.json()).toMatchObject({ status: 400, code: 'invalid', detail: expect.stringMatching(detail) });
    await nothingStored();
  });

  test.each([
    ['NaN', '{"host":"a","time":"2026-11-20T12:00:00Z","processes":[{"name":"x","cpu":NaN,"memory":1}]}'],
    ['cut JSON', '{"host":"a","time":"2026'],
    ['nothing', ''],
    ['a prototype', '{"__proto__":{"x":1},"host":"a"}'],
    ['not JSON', '<xml/>'],
  ])('%s', async (_, payload) => {
    expect((await raw(payload)).statusCode).toBe(400);
    await nothingStored();
  });

  test('one bad snapshot of a backlog: none is stored', async () => {
    expect((await put([body({ host: 'a' }), body({ host: 'b', time: 'x' }), body({ host: 'c' })])).statusCode).toBe(
      400,
    );
    expect((await put([body({ host: 'a' }), body({ host: 'b', ip: 'x' }), body({ host: 'c' })])).statusCode).toBe(400);
    await nothingStored();
  });

  test.each<[string, unknown]>([
    [
      '10,000 processes',
      body({ processes: Array.from({ length: 10_000 }, (_, i) => ({ name: `p${i}`, cpu: 1, memory: 1 })) }),
    ],
    [
      '10,000 processes in columns',
      body({
        processes: {
          name: Array.from({ length: 10_000 }, (_, i) => `p${i}`),
          cpu: Array(10_000).fill(1),
          memory: Array(10_000).fill(1),
        },
      }),
    ],
    ['101 snapshots', Array.from({ length: 101 }, () => body({ processes: [] }))],
    ['3 MB', body({ host: 'x'.repeat(3_000_000) })],
  ])('%s is too large', async (_, payload) => {
    expect((await raw(JSON.stringify(payload))).json()).toMatchObject({ status: 413, code: 'too_large' });
    await nothingStored();
  });

  test('5,000 processes are not', async () => {
    const processes = {
      name: Array.from({ length: 5000 }, (_, i) => `p${i}`),
      cpu: Array(5000).fill(1.5),
      memory: Array(5000).fill(0),
    };
    const own = await makeApp();
    expect((await own.put(body({ processes }))).statusCode).toBe(204);
  });

  test('gzip that is cut, false, or a bomb', async () => {
    const gzip = { 'content-encoding': 'gzip' };
    const whole = gzipSync(JSON.stringify(body()));
    expect((await raw(whole.subarray(0, whole.length - 12), gzip)).statusCode).toBe(400);
    expect((await raw('plain text', gzip)).statusCode).toBe(400);
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '));
    const before = process.memoryUsage().rss;
    expect((await raw(bomb, gzip)).statusCode).toBe(413);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    expect((await raw(whole, { 'content-encoding': 'br' })).statusCode).toBeGreaterThanOrEqual(400);
    expect((await raw(whole, { 'content-encoding': 'br' })).statusCode).toBeLessThan(500);
    await nothingStored();
  });

  test('over real sockets too: a cut gzip, a body that never comes, no HTTP at all', async () => {
    const whole = gzipSync(JSON.stringify(body()));
    const cut = await fetch(`${address}/v1/usage`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: whole.subarray(0, 40),
    });
    expect(cut.status).toBe(400);
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(address).port), '127.0.0.1', () => socket.write('hello\r\n\r\n'));
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('close', () => resolve(text));
      socket.on('error', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1.1 400/);
    expect((await fetch(`${address}/health/live`)).status).toBe(200);
    await nothingStored();
  });
});

describe('generated bodies', () => {
  const value = fc.oneof(
    fc.constantFrom<unknown>(
      0,
      1,
      -1,
      0.1,
      1e308,
      -0,
      null,
      true,
      '',
      '12',
      'now',
      iso(noon),
      [],
      {},
      '\u0000',
      '__proto__',
      'x'.repeat(300),
      2 ** 53,
    ),
    fc.double(),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  const usage = fc.dictionary(
    fc.constantFrom('name', 'cpu', 'memory', 'count', 'cpuMax', 'pid', 'rssBytes', 'x', 'constructor'),
    value,
  );
  const columns = fc.dictionary(
    fc.constantFrom('name', 'cpu', 'memory', 'count', 'pid'),
    fc.oneof(value, fc.array(value, { maxLength: 4 })),
  );
  const snapshot = fc.record(
    {
      host: fc.oneof(value, fc.constant('h')),
      time: fc.oneof(value, fc.constant(iso(noon))),
      ip: value,
      interval: value,
      cores: value,
      system: fc.oneof(value, fc.dictionary(fc.constantFrom('cpu', 'memory', 'disk'), value)),
      processes: fc.oneof(value, fc.array(usage, { maxLength: 4 }), columns),
    },
    { requiredKeys: [] },
  );
  const wild = fc.oneof(snapshot, fc.array(snapshot, { maxLength: 3 }), fc.anything());

  test('never get a 5xx, and what is not acknowledged is not stored', async () => {
    const own = await makeApp();
    const rows = async () =>
      (await own.store.page({ from: 0, to: 1e15, limit: 1e6, skip: 0 })).time.length +
      (await own.store.latest(1e15)).length;
    await fc.assert(
      fc.asyncProperty(wild, async (payload) => {
        const before = await rows();
        const text = JSON.stringify(payload) ?? 'undefined';
        const answer = await own.app.inject({
          method: 'PUT',
          url: '/v1/usage',
          headers: { 'content-type': 'application/json' },
          payload: text,
        });
        expect(answer.statusCode).toBeLessThan(500);
        if (answer.statusCode !== 204) expect(await rows()).toBe(before);
        const older = await own.app.inject({
          method: 'PUT',
          url: '/ressources-usage/save-all',
          headers: { 'content-type': 'application/json' },
          payload: text,
        });
        expect(older.statusCode).toBe(400);
      }),
      { numRuns: 1500 },
    );
  });

  test('valid ones are always stored', async () => {
    const own = await makeApp();
    let host = 0;
    const percent = fc.option(fc.double({ min: 0, max: 1_000_000, noNaN: true }));
    const good = fc.uniqueArray(
      fc.record({ name: fc.string({ unit: 'binary', minLength: 1, maxLength: 260 }), cpu: percent, memory: percent }),
      { selector: (each) => each.name.toWellFormed(), maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(good, async (processes) => {
        const payload = body({ host: `h${++host}`, processes });
        expect((await own.put(payload)).statusCode).toBe(204);
        const stored = (await own.get(`/v1/usage/detailed?host=h${host}`)).body.processes;
        expect(Object.keys(stored).sort()).toEqual(processes.map((each) => each.name.toWellFormed()).sort());
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    [0, 2 ** 53 - 1, 0],
    [0, 1, 1e9],
    [2, 1, 0],
    [-1, 1, 0],
    [0, 1],
    ['a', 1, 0],
  ])('a forged cursor %j is refused', async (...values) => {
    const cursor = Buffer.from(JSON.stringify(values)).toString('base64url');
    expect((await get(`/v1/usage/detailed?cursor=${cursor}`)).status).toBe(400);
  });

  test('query strings never get a 5xx', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.constantFrom(
        '5m',
        '-1',
        '1e9',
        '10.0.0.1',
        '::1',
        iso(noon),
        '9999-12-31T23:59:59Z',
        '0000-01-01T00:00:00Z',
        '2026-12-31T23:59:60Z',
        'cpu',
        'cpuMax',
        'system.cpu',
        "x'; DROP TABLE usage; --",
      ),
    );
    const query = fc.dictionary(
      fc.constantFrom(
        'window',
        'at',
        'host',
        'ip',
        'process',
        'top',
        'limit',
        'cursor',
        'level',
        'metric',
        'step',
        'selector',
        'windows',
        'by',
        'exact',
        'format',
      ),
      text,
    );
    const path = fc.constantFrom(
      '/v1/usage/mean',
      '/v1/usage/mean/10.0.0.1',
      '/v1/usage/detailed',
      '/v1/alarms',
      '/v1/forecasts',
      '/v1/forecasts/accuracy',
      '/v1/series',
      '/v1/series/analysis',
      '/v1/statistics',
      '/v1/hosts',
      '/ressources-usage/get-all/',
    );
    await fc.assert(
      fc.asyncProperty(path, query, async (url, given) => {
        const answer = await app.inject({
          url,
          query: Object.fromEntries(Object.entries(given).map(([key, each]) => [key, each.toWellFormed()])),
        });
        expect(answer.statusCode).toBeLessThan(500);
      }),
      { numRuns: 800 },
    );
  });
});
