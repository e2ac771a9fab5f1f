import { describe, expect, test } from 'vitest';
import { emptyBook, issueToken } from '../../src/access/token.ts';
import type { Store } from '../../src/core/store.ts';
import { openStore } from '../../src/store/open.ts';
import { noon } from '../make-snapshot.ts';
import { openAccess } from '../open-access.ts';
import { overStore } from '../over-store.ts';
import { packedWriteRequest, remoteWriteHeaders, type SentSeries, sent } from '../write-request.ts';
import { makeApp, retentionMs } from './make-app.ts';

const url = '/v1/prometheus/write';
const day = 86_400_000;

async function makeReceiver(options: Parameters<typeof makeApp>[0] = {}) {
  const { app, store, get, time } = await makeApp(options);
  const write = (payload: readonly SentSeries[] | Buffer, headers: Record<string, string> = {}) =>
    app.inject({
      method: 'POST',
      url,
      headers: { ...remoteWriteHeaders, ...headers },
      payload: Buffer.isBuffer(payload) ? payload : packedWriteRequest(payload as readonly SentSeries[]),
    });
  const stored = async (metric: string) => {
    const series = { metric, matchers: [] };
    const found = await store.select({ from: 0, to: noon + 3 * day, series, stepMs: null });
    return found.map(({ series, samples }) => [series.labels, samples.map(({ time, value }) => [time - noon, value])]);
  };
  return { app, write, stored, get, time, store };
}

describe('remote write', () => {
  test('is stored once, in any order, and a series that has ended has', async () => {
    const { write, stored } = await makeReceiver();
    const labels = { job: 'summary', instance: '106' };
    const samples = [
      [45, noon - 2000],
      [50, noon - 1000],
      ['stale', noon],
    ] as const;
    for (const each of [
      samples,
      samples.slice(1),
      [
        [45, noon - 2000],
        [40, noon - 5000],
      ] as const,
    ])
      expect((await write([sent('cpuTemp', labels, each)])).statusCode).toBe(204);
    expect(await stored('cpuTemp')).toEqual([
      [
        labels,
        [
          [-5000, 40],
          [-2000, 45],
          [-1000, 50],
          [0, 'exited'],
        ],
      ],
    ]);
  });

  test('goes RED on its instance, and ends with its series', async () => {
    const { app, write, get } = await makeReceiver({ thresholds: ['cpuTemp{job="summary"}=80'] });
    const labels = { job: 'summary', instance: '106' };
    await write([
      sent('cpuTemp', labels, [
        [95, noon - 20_000],
        [96, noon - 10_000],
      ]),
    ]);
    const { alarms } = (await get('/v1/alarms')).body;
    expect(alarms).toMatchObject([
      { level: 'RED', host: '106', metric: 'cpuTemp', value: 96, series: 'cpuTemp{instance="106",job="summary"}' },
    ]);
    await write([sent('cpuTemp', labels, [['stale', noon]])]);
    expect((await get('/v1/alarms')).body).toMatchObject({ level: 'GREEN', alarms: [] });
    const [{ id, host, series }] = alarms;
    const asked = { alarms: [{ id, host, series }], hosts: [] };
    const answer = await app.inject({ method: 'POST', url: '/v1/alarms/endings', payload: asked });
    expect(answer.json().ended).toMatchObject([{ id, how: 'exited', value: null }]);
    await write([sent('cpuTemp', labels, [[97, noon + 1000]])]);
    expect((await get(`/v1/alarms?at=${new Date(noon - 5000).toISOString()}`)).body.alarms).toHaveLength(1);
  });

  test('of nothing is well', async () => {
    const { write } = await makeReceiver();
    expect((await write([])).statusCode).toBe(204);
  });

  test('with a series that cannot be kept says so, and keeps the others', async () => {
    const { write, stored, get } = await makeReceiver();
    const answer = await write([
      sent('old', {}, [[1, noon - 3 * day]]),
      sent('good', {}, [[1, noon]]),
      sent('far.out', {}, [[1, noon]]),
      sent('ahead', {}, [[1, noon + 2 * day]]),
    ]);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({
      code: 'invalid',
      detail: expect.stringMatching(
        /^3 samples are not stored, and the other 1 are: 1 cannot be kept: "far.out" is not kept: .*; 1 are older than what is kept \(--retention\); 1 are more than a day ahead/,
      ),
    });
    expect(await stored('good')).toHaveLength(1);
    expect(await stored('ahead')).toEqual([]);
    expect((await get('/health/ready')).status).toBe(200);
  });

  test('that is none is refused, and nothing of it is stored', async () => {
    const { write, stored } = await makeReceiver();
    const good = sent('whole', {}, [[1, noon]]);
    const bad = { labels: [['a', 'b']] as const, samples: [[1, noon]] as const };
    for (const body of [
      packedWriteRequest([good, bad]),
      packedWriteRequest([good]).subarray(0, -3),
      Buffer.from('hello'),
      Buffer.alloc(0),
    ]) {
      const answer = await write(body);
      expect(answer.statusCode, answer.body).toBe(400);
      expect(answer.json()).toMatchObject({ code: 'invalid' });
    }
    expect(await stored('whole')).toEqual([]);
  });

  test.each([
    ['another message', { 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request' }],
    ['version 2', { 'x-prometheus-remote-write-version': '2.0.0' }],
    ['another packing', { 'content-encoding': 'zstd' }],
    ['JSON', { 'content-type': 'text/plain' }],
  ])('with %s is 415', async (_, headers) => {
    const { write } = await makeReceiver();
    const answer = await write([sent('up', {}, [[1, noon]])], headers);
    expect(answer.statusCode, answer.body).toBe(415);
    expect(answer.json()).toMatchObject({ code: 'unsupported' });
  });

  test('of the first message by name is taken', async () => {
    const { write } = await makeReceiver();
    const headers = { 'content-type': 'application/x-protobuf;proto=prometheus.WriteRequest' };
    expect((await write([sent('up', {}, [[1, noon]])], headers)).statusCode).toBe(204);
  });

  test('that would become too large is refused before it is unpacked', async () => {
    const { write } = await makeReceiver();
    const bomb = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07, 0x00, 0x61]);
    const answer = await write(bomb);
    expect(answer.statusCode).toBe(413);
    expect(answer.json().detail).toMatch(/max_samples_per_send/);
  });

  test('is of a token: its source, and no other', async () => {
    const { book, secret } = issueToken(emptyBook(), 'write', { source: 'lab' }, noon, null);
    const { write, stored } = await makeReceiver({ access: openAccess(book) });
    const headers = { authorization: `Bearer ${secret}` };
    const of = (source: string) => [sent('up', { source }, [[1, noon]])];
    expect((await write(of('lab'), headers)).statusCode).toBe(204);
    expect((await write(of('other'), headers)).statusCode).toBe(403);
    expect((await write(of('lab'))).statusCode).toBe(401);
    expect((await write([sent('up', {}, [[1, noon]])], headers)).json().detail).toMatch(/external_labels/);
    expect(await stored('up')).toHaveLength(1);
  });

  test('of more new series than it may bring along goes on with those that are there', async () => {
    const said: string[] = [];
    const store = await openStore('memory:', {
      retentionMs,
      newSeriesPerDay: 3,
      now: () => noon,
      warn: (text) => said.push(text),
    });
    const { write, stored } = await makeReceiver({ store });
    const all = (time: number) => Array.from({ length: 5 }, (_, k) => sent('many', { k: String(k) }, [[k, time]]));
    for (const time of [noon - 1000, noon]) {
      const answer = await write(all(time));
      expect(answer.statusCode).toBe(400);
      expect(answer.json().detail).toMatch(
        /^2 samples are not stored, and the other 3 are: 2 are of new series, .*--new-series/,
      );
    }
    expect(await stored('many')).toHaveLength(3);
    expect(said).toEqual([expect.stringMatching(/^prometheus has sent more than 3 new series today.*--new-series$/)]);
  });

  test('of which too much comes at once is to come again', async () => {
    const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
    let release: () => void = () => undefined;
    let held = Promise.resolve();
    const hold = () => {
      held = new Promise((resolve) => {
        release = resolve;
      });
    };
    const append: Store['append'] = (records) => held.then(() => memory.append(records));
    const { write } = await makeReceiver({ store: overStore(memory, { append }) });
    const samples = Array.from({ length: 70_000 }, () => [1, noon] as const);
    const body = packedWriteRequest([sent('up', {}, samples)]);
    // Of what is new one body is written at a time.
    expect((await write(body)).statusCode).toBe(204);
    hold();
    const answers = Array.from({ length: 20 }, () => write(body));
    const told = await Promise.race(answers);
    expect(told.statusCode).toBe(503);
    expect(told.headers['retry-after']).toBe('1');
    release();
    const statuses = (await Promise.all(answers)).map(({ statusCode }) => statusCode);
    expect(statuses.filter((status) => status === 204).length).toBeGreaterThan(5);
    expect((await write(body)).statusCode).toBe(204);
  });
});
