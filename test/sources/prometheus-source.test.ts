import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { MetricSample } from '../../src/core/sample.ts';
import { seriesKey } from '../../src/core/series.ts';
import { type Fetched, nextMissing, nothingFetched, resumed, since, withPart } from '../../src/sources/fetched.ts';
import { PrometheusApi } from '../../src/sources/prometheus-api.ts';
import { PrometheusSource, type PrometheusSourceOptions } from '../../src/sources/prometheus-source.ts';

const minute = 60_000;
const local = [{ address: '127.0.0.1', bits: 32 }];
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** What is no Prometheus: for what a real one cannot be made to do. */
async function fake(
  answer: (request: IncomingMessage, response: ServerResponse, form: URLSearchParams) => void,
): Promise<URL> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    answer(request, response, new URLSearchParams(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

const matrix = (result: object[]) => JSON.stringify({ status: 'success', data: { resultType: 'matrix', result } });

function apiOf(url: URL, more: object = {}): PrometheusApi {
  const api = new PrometheusApi({ url, allowed: local, ...more });
  closing.push(() => api.close());
  return api;
}

async function ask(api: PrometheusApi): Promise<object[]> {
  const found: object[] = [];
  await api.samples('up', { from: 1_000_000, to: 1_060_000 }, async (series) => void found.push(series));
  return found;
}

describe('a Prometheus', () => {
  test('is asked for a range, and its answer read in any pieces', async () => {
    const asked: unknown[] = [];
    const series = Array.from({ length: 50 }, (_, k) => ({
      metric: { __name__: 'up', text: `}{"[]\\ ${k}` },
      values: [[1000.5, '1']],
    }));
    const url = await fake((request, response, form) => {
      asked.push([request.url, request.headers.authorization, form.get('query'), form.get('time')]);
      response.setHeader('content-encoding', 'gzip');
      const body = gzipSync(matrix(series));
      for (let at = 0; at < body.length; at += 7) response.write(body.subarray(at, at + 7));
      response.end();
    });
    expect(await ask(apiOf(new URL('prom/', url), { user: 'me', password: 'secret' }))).toEqual(series);
    expect(asked).toEqual([
      ['/prom/api/v1/query', `Basic ${Buffer.from('me:secret').toString('base64')}`, 'up[60000ms]', '1060'],
    ]);
  });

  test.each<[string, (response: ServerResponse) => void, object]>([
    [
      'sends on to elsewhere',
      (response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
      { code: 'unavailable', message: /sends on to http:\/\/169.254.169.254\/, which is not followed/ },
    ],
    [
      'wants a password',
      (response) => response.writeHead(401).end('no'),
      { code: 'unauthorized', message: /wants another token/ },
    ],
    [
      'refuses the selector',
      (response) => response.writeHead(400).end('{"status":"error","error":"parse error: x"}'),
      { code: 'invalid', message: /does not take the selector: parse error: x/ },
    ],
    [
      'has too much',
      (response) => response.writeHead(422).end('{"error":"too many samples"}'),
      { code: 'too_large', message: /too many samples/ },
    ],
    [
      'is something else',
      (response) => response.end('<html>hello</html>'.repeat(10_000)),
      { code: 'invalid', message: /something else than a Prometheus/ },
    ],
    [
      'breaks off',
      (response) => response.end(matrix([{ metric: {}, values: [] }]).slice(0, -3)),
      { code: 'unavailable', message: /ends in the middle/ },
    ],
    [
      'hangs up',
      (response) => {
        response.write('{"status":"success","data":{"resultType":"matrix","result":[');
        response.destroy();
      },
      { code: 'unavailable' },
    ],
    [
      'answers no JSON',
      (response) => response.end('{"data":{"result":[{"metric":{},"values":[[}]}}'),
      { code: 'invalid' },
    ],
  ])('that %s is one sentence', async (_, answer, error) => {
    const url = await fake((_request, response) => answer(response));
    const { message, ...rest } = error as { message?: RegExp };
    await expect(ask(apiOf(url))).rejects.toMatchObject({
      ...rest,
      ...(message && { message: expect.stringMatching(message) }),
    });
  });

  test('whose answer becomes too large is left, packed or not', { timeout: 30_000 }, async () => {
    const bomb = gzipSync(Buffer.concat([Buffer.from('{"data":{"result":['), Buffer.alloc(200 * 1024 * 1024, ' ')]));
    const url = await fake((_request, response) => response.setHeader('content-encoding', 'gzip').end(bomb));
    await expect(ask(apiOf(url))).rejects.toMatchObject({
      code: 'too_large',
      message: expect.stringMatching(/more than 128 MiB/),
    });
  });

  test('at a private address is asked only where that is listed', async () => {
    let asked = 0;
    const url = await fake((_request, response) => {
      asked++;
      response.end(matrix([]));
    });
    await expect(ask(apiOf(url, { allowed: [] }))).rejects.toMatchObject({
      message: expect.stringMatching(/127.0.0.1 is a private address; if it may be asked, list it: allow: 127.0.0.1/),
    });
    const named = new URL(url.href.replace('127.0.0.1', 'localhost'));
    await expect(ask(apiOf(named, { allowed: [] }))).rejects.toMatchObject({
      message: expect.stringMatching(/localhost is a private address/),
    });
    expect(asked).toBe(0);
  });
});

describe('a source', () => {
  /** Samples every second of one series, and what is asked for of them. */
  async function setUp(
    options: Partial<PrometheusSourceOptions> = {},
    kept: Fetched | null = null,
    write?: () => Promise<number>,
  ) {
    const state = {
      isAway: false,
      windows: [] as [number, number][],
      kept,
      samples: [] as MetricSample[],
      said: [] as string[],
    };
    const url = await fake((_request, response, form) => {
      if (state.isAway) return void response.writeHead(503).end();
      if (form.get('query') === 'time()') return void response.end('{}');
      const to = Number(form.get('time')) * 1000;
      const from = to - Number(/\[(\d+)ms\]$/.exec(form.get('query') ?? '')?.[1]);
      state.windows.push([from, to]);
      const values: [number, string][] = [];
      for (let time = Math.ceil(from / 1000); time <= Math.min(to, Date.now()) / 1000; time++)
        values.push([time, String(time % 100)]);
      response.end(
        matrix([
          { metric: { __name__: 'up', source: 'its own', job: 'a' }, values },
          { metric: { __name__: 'no.name' }, values: [[to / 1000, '1']] },
        ]),
      );
    });
    const log = (text: unknown) => void state.said.push(String(text));
    const source = new PrometheusSource(
      { name: 'lab', url, selectors: ['up'], intervalMs: 1000, backfillMs: 10 * minute, allowed: local, ...options },
      {
        write: async (samples) => {
          const count = (await write?.()) ?? 0;
          state.samples.push(...samples);
          return { count, why: null };
        },
        clock: { now: () => Date.now(), monotonic: () => performance.now() },
        log: { info: log, warn: log, error: log },
        kept: {
          fetched: kept,
          keep: async (fetched) => {
            state.kept = fetched;
          },
        },
        oldestKept: () => Date.now() - 86_400_000,
        random: () => 0.1,
      },
    );
    closing.push(() => source.close());
    return { source, state };
  }

  test('fetches what is new and its past, each sample once, and says so', { timeout: 20_000 }, async () => {
    const begin = Date.now();
    const { source, state } = await setUp();
    source.start();
    await sleep(2500);
    await source.close();
    const times = state.samples.map(({ time }) => time);
    expect(new Set(times).size).toBeGreaterThan(600);
    expect(Math.min(...times)).toBeLessThan(begin - 10 * minute);
    expect(Math.max(...times)).toBeGreaterThan(begin);
    // A part of the past may begin where what is new did.
    expect(times.length - new Set(times).size).toBeLessThanOrEqual(70);
    expect(new Set(state.samples.map(({ series }) => seriesKey(series)))).toEqual(
      new Set(['up{exported_source="its own",job="a",source="lab"}']),
    );
    expect(state.samples[0]?.owner).toBe('prometheus lab');
    expect(state.said[0]).toMatch(/^source lab: fetching 10m of its past$/);
    expect(state.said[1]).toMatch(/^source lab: its past is here: \d+ samples in /);
    expect(source.status()).toMatchObject({
      failure: null,
      series: 2,
      missingMs: 0,
      notKept: { count: 1, why: expect.stringMatching(/"no.name" is not kept/) },
    });
    expect(state.kept).toMatchObject({ missing: [] });
  });

  test('goes on after a restart where it was', { timeout: 20_000 }, async () => {
    const until = Date.now() - 3 * 3_600_000;
    const { source, state } = await setUp({}, { until, missing: [{ from: until - 2 * minute, to: until - minute }] });
    source.start();
    await vi.waitFor(() => expect(source.status().missingMs).toBe(0), { timeout: 15_000 });
    const times = new Set(state.samples.map(({ time }) => Math.round(time / 1000)));
    for (let at = Math.ceil(until / 1000) - 119; at < Date.now() / 1000 - 2; at++)
      if (!times.has(at)) throw new Error(`${at} is missing`);
  });

  test('that is away is asked again, is silent, and is fetched when it is back', { timeout: 30_000 }, async () => {
    const { source, state } = await setUp({ backfillMs: 1000 }, { until: Date.now() - 3_600_000, missing: [] });
    state.isAway = true;
    source.start();
    await sleep(3200);
    // It was silent already before the start: no moment in which it seems to be back.
    expect(source.silentFrom).toBeLessThan(performance.now());
    expect(source.status()).toMatchObject({ failure: 'it answers 503', answeredAt: null });
    expect(state.said).toEqual([
      expect.stringMatching(/^source lab \(http:.*\): it answers 503; it is asked again and again$/),
    ]);
    state.isAway = false;
    await vi.waitFor(() => expect(source.status().failure).toBeNull(), { timeout: 15_000 });
    expect(source.silentFrom).toBeGreaterThan(performance.now());
    expect(state.said.at(-1)).toMatch(/answers again, after/);
  });

  test('whose samples cannot be stored has nothing fetched', { timeout: 20_000 }, async () => {
    let isAway = true;
    const { source, state } = await setUp({ backfillMs: 1000 }, null, async () => {
      if (isAway) throw new Error('the store is away');
      return 0;
    });
    source.start();
    await vi.waitFor(() => expect(source.status().failure).toBe('what it gives cannot be stored: the store is away'));
    const begin = Date.now();
    await sleep(1500);
    isAway = false;
    await vi.waitFor(() => expect(source.status().failure).toBeNull(), { timeout: 15_000 });
    expect(Math.min(...state.samples.map(({ time }) => time))).toBeLessThan(begin - 30_000);
  });
});

describe('a source whose clock is behind', () => {
  test('has nothing of an outage lost', { timeout: 30_000 }, async () => {
    const behindMs = 3_600_000;
    const time = { now: Date.now() };
    let isAway = false;
    const url = await fake((_request, response, form) => {
      if (isAway) return void response.writeHead(503).end();
      const theirs = time.now - behindMs;
      response.setHeader('date', new Date(theirs).toUTCString());
      const to = Number(form.get('time')) * 1000;
      const from = to - Number(/\[(\d+)ms\]$/.exec(form.get('query') ?? '')?.[1] ?? 0);
      const values: [number, string][] = [];
      for (let at = Math.ceil(from / 10_000) * 10; at <= Math.min(to, theirs) / 1000; at += 10) values.push([at, '1']);
      response.end(matrix([{ metric: { __name__: 'up' }, values }]));
    });
    const times = new Set<number>();
    const begin = time.now - behindMs;
    const log = () => undefined;
    const source = new PrometheusSource(
      { name: 'lab', url, selectors: ['up'], intervalMs: 1000, backfillMs: 60_000, allowed: local },
      {
        write: async (samples) => {
          for (const sample of samples) times.add(sample.time);
          return { count: 0, why: null };
        },
        clock: { now: () => time.now, monotonic: () => performance.now() },
        log: { info: log, warn: log, error: log },
        kept: { fetched: null, keep: async () => undefined },
        oldestKept: () => 0,
        random: () => 0.01,
      },
    );
    closing.push(() => source.close());
    source.start();
    await vi.waitFor(() => expect(times.size).toBeGreaterThan(3));
    isAway = true;
    time.now += 30 * minute;
    await sleep(1500);
    isAway = false;
    await vi.waitFor(() => expect(Math.max(...times)).toBeGreaterThan(begin + 29 * minute), { timeout: 10_000 });
    await vi.waitFor(() => expect(source.status().missingMs).toBe(0), { timeout: 10_000 });
    for (let at = Math.ceil(begin / 10_000) * 10_000; at < begin + 29 * minute; at += 10_000)
      if (!times.has(at)) throw new Error(`${(at - begin) / 1000} s after the beginning is missing`);
  });
});

describe('a source, when the clock of this machine jumps', () => {
  test.each([3 * 86_400_000, -3 * 86_400_000])(
    'by %i ms, is asked for what is new and nothing else',
    async (jumpMs) => {
      const windows: number[] = [];
      const url = await fake((_request, response, form) => {
        const ms = Number(/\[(\d+)ms\]$/.exec(form.get('query') ?? '')?.[1] ?? 0);
        if (ms > 0) windows.push(ms, Math.abs(Number(form.get('time')) * 1000 - Date.now()));
        response.end(matrix([]));
      });
      let jumped = 0;
      const log = () => undefined;
      const source = new PrometheusSource(
        { name: 'lab', url, selectors: ['up'], intervalMs: 300, backfillMs: 1000, allowed: local },
        {
          write: async () => ({ count: 0, why: null }),
          clock: { now: () => Date.now() + jumped, monotonic: () => performance.now() },
          log: { info: log, warn: log, error: log },
          kept: { fetched: null, keep: async () => undefined },
          oldestKept: () => 0,
        },
      );
      closing.push(() => source.close());
      source.start();
      await vi.waitFor(() => expect(windows.length).toBeGreaterThan(4));
      jumped = jumpMs;
      await sleep(1500);
      expect(windows.length).toBeGreaterThan(8);
      expect(Math.max(...windows)).toBeLessThan(3 * minute);
      expect(source.status()).toMatchObject({ failure: null, missingMs: 0 });
    },
  );
});

describe('what is fetched', () => {
  const now = 10_000 * minute;

  test('begins with the past, and goes on after a gap with what is new', () => {
    expect(nothingFetched(now, 60 * minute)).toEqual({
      until: now - minute,
      missing: [{ from: now - 61 * minute, to: now - minute }],
    });
    const fetched = { until: now - 2 * minute, missing: [] };
    expect(resumed(fetched, now, 15_000)).toEqual(fetched);
    const after = resumed(fetched, now + 60 * minute, 15_000);
    expect(after).toEqual({ until: now + 59 * minute, missing: [{ from: now - 3 * minute, to: now + 59 * minute }] });
    expect(resumed(fetched, now - 10 * minute, 15_000).until).toBe(now - 10 * minute);
  });

  test('of the past comes in parts, and not what is too old', () => {
    let fetched: Fetched = {
      until: now,
      missing: [
        { from: 0, to: 10 },
        { from: 100, to: 125 },
      ],
    };
    const parts = [];
    for (let part = nextMissing(fetched, 10); part !== null; part = nextMissing(fetched, 10)) {
      parts.push([part.from, part.to]);
      fetched = withPart(fetched, part);
    }
    expect(parts).toEqual([
      [100, 110],
      [110, 120],
      [120, 125],
      [0, 10],
    ]);
    expect(
      since(
        {
          until: now,
          missing: [
            { from: 0, to: 10 },
            { from: 0, to: 30 },
          ],
        },
        20,
      ).missing,
    ).toEqual([{ from: 20, to: 30 }]);
  });
});
