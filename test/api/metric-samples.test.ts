import { describe, expect, test } from 'vitest';
import { emptyBook, issueToken } from '../../src/access/token.ts';
import { openStore } from '../../src/store/open.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { iso, makeApp, retentionMs } from './make-app.ts';

const url = '/v1/metrics';
const sample = (given: object = {}) => ({ name: 'queue_length', labels: { queue: 'mail' }, value: 5, ...given });

async function setUp(options: Parameters<typeof makeApp>[0] = {}) {
  const made = await makeApp(options);
  const send = async (payload: unknown) => {
    const answer = await made.put(payload, url);
    return { status: answer.statusCode, body: answer.body === '' ? null : answer.json() };
  };
  const series = async (selector: string, query = '') =>
    (await made.get(`/v1/series?series=${encodeURIComponent(selector)}&window=1h&step=1m${query}`)).body.series;
  return { ...made, send, series };
}

describe('PUT /v1/metrics', () => {
  test('one or many, each once, at its time or now; an empty label is none', async () => {
    const { send, series, store } = await setUp();
    expect(await send(sample({ labels: { queue: 'mail', empty: '' } }))).toEqual({ status: 204, body: null });
    const many = [0, 60_000, 120_000].map((ms) => sample({ value: ms / 1000, time: iso(noon - ms) }));
    expect((await send(many)).status).toBe(204);
    expect((await send([...many, sample({ value: 9, time: iso(noon) })])).status).toBe(204);
    expect(await series('queue_length')).toEqual([
      {
        series: 'queue_length{queue="mail"}',
        metric: 'queue_length',
        labels: { queue: 'mail' },
        points: [
          { time: iso(noon - 120_000), value: 120 },
          { time: iso(noon - 60_000), value: 60 },
          { time: iso(noon), value: 5 },
        ],
      },
    ]);
    const raw = {
      from: noon - 1,
      to: noon,
      series: [{ metric: 'queue_length', labels: { queue: 'mail' } }],
      stepMs: null,
    };
    expect((await store.select(raw))[0]?.samples).toEqual([{ time: noon, value: 5 }]);
  });

  test('5,000 of as many series in one body', async () => {
    const { send, series } = await setUp();
    const many = Array.from({ length: 5000 }, (_, i) => sample({ labels: { host: 'a', n: String(i) }, value: i }));
    expect((await send(many)).status).toBe(204);
    expect(await series('queue_length{n=~"499."}')).toHaveLength(10);
    const short = Array.from({ length: 5001 }, () => ({ name: 'a', value: 1 }));
    expect((await send(short)).body.detail).toMatch(/must NOT have more than 5000 items/);
  });

  test.each<[string, object, RegExp]>([
    ['no name', { name: undefined }, /name/],
    ['a name that is none', { name: 'queue length' }, /body\/name must match pattern/],
    ["one of amberwatch's own", { name: 'process_cpu' }, /'process_cpu' is amberwatch's own/],
    ['no value', { value: undefined }, /value/],
    ['null', { value: null }, /value must be number/],
    ['a text', { value: '5' }, /value must be number/],
    ['a kind that is none', { kind: 'histogram' }, /kind/],
    ['a day that does not exist', { time: '2026-02-30T00:00:00Z' }, /time/],
    ['a label that is none', { labels: { 'a-b': 'x' } }, /labels/],
    ["Prometheus' own labels", { labels: { __name__: 'x' } }, /labels/],
    ['a label that is no text', { labels: { a: 5 } }, /labels\/a must be string/],
    ['a value too long', { labels: { a: 'x'.repeat(501) } }, /labels\/a/],
    [
      'labels too long together',
      { labels: Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`l${i}`, 'x'.repeat(500)])) },
      /longer than 4000 characters together/,
    ],
    ['too many labels', { labels: Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`l${i}`, 'x'])) }, /labels/],
  ])('%s is refused with a sentence', async (_, given, message) => {
    const { send } = await setUp();
    const { status, body } = await send(sample(given));
    expect([status, body.code]).toEqual([400, 'invalid']);
    expect(body.detail).toMatch(message);
  });

  test('a number that is none for a computer is refused', async () => {
    const { app } = await setUp();
    const payload = '{"name":"a","value":1e400}';
    const answer = await app.inject({ method: 'PUT', url, payload, headers: { 'content-type': 'application/json' } });
    expect(answer.statusCode).toBe(400);
  });

  test('older than the retention is counted, a day ahead is 425 and nothing is stored', async () => {
    const { send, series } = await setUp();
    const old = sample({ time: iso(noon - retentionMs - 1000), value: 1 });
    expect(await send([old, sample()])).toEqual({ status: 200, body: { stored: 1, expired: 1, beyondBudget: 0 } });
    const answer = await send([sample({ labels: { q: 'b' } }), sample({ time: iso(noon + 86_500_000) })]);
    expect([answer.status, answer.body.code]).toEqual([425, 'too_early']);
    expect(answer.body.detail).toMatch(/^the sample of /);
    expect(await series('queue_length')).toHaveLength(1);
  });

  test('a counter is told by how much it grows in a second, and may begin anew', async () => {
    const { send, series } = await setUp();
    const values = [100, 160, 160, 30, 90];
    await send(values.map((value, i) => sample({ kind: 'counter', value, time: iso(noon - (4 - i) * 60_000) })));
    const [found] = await series('queue_length');
    expect(found.points.map((point: { value: number }) => point.value)).toEqual([1, 0, 0.5, 1]);
  });
});

describe('who may write which series', () => {
  const write = issueToken(emptyBook(), 'write', 'web-01', noon, null);
  const source = issueToken(write.book, 'write', { source: 'billing' }, noon, null);
  const access = {
    tokens: { book: () => source.book, issue: () => Promise.reject(new Error('not here')) },
    alwaysRequired: true,
    hostNames: ['localhost'],
  };
  const as = async (secret: string, payload: object, path = url) => {
    const { app } = await makeApp({ access });
    const answer = await app.inject({
      method: 'PUT',
      url: path,
      payload,
      headers: { authorization: `Bearer ${secret}` },
    });
    return [answer.statusCode, answer.body === '' ? '' : answer.json().detail];
  };

  test('a host its own, a source its own', async () => {
    expect(await as(write.secret, sample({ labels: { host: 'web-01', source: 'x' } }))).toEqual([204, '']);
    expect(await as(source.secret, sample({ labels: { host: 'any', source: 'billing' } }))).toEqual([204, '']);
    for (const [secret, labels, message] of [
      [write.secret, { host: 'web-02' }, /may write series with host="web-01" and not queue_length\{host="web-02"\}/],
      [write.secret, {}, /and not queue_length\{\}/],
      [source.secret, { source: 'other' }, /may write series with source="billing"/],
      [source.secret, { host: 'billing' }, /may write series with source="billing"/],
    ] as const) {
      const [status, detail] = await as(secret, [
        sample({ labels: { host: 'web-01', source: 'billing' } }),
        sample({ labels }),
      ]);
      expect(status).toBe(403);
      expect(detail).toMatch(message);
    }
  });

  test('the budget of new series is that of the token, whatever labels it sends', async () => {
    const store = await openStore('memory:', { retentionMs, newNamesPerDay: 3, warn: () => undefined });
    const { app } = await makeApp({ access, store });
    const send = async (secret: string, labels: object[]) => {
      const headers = { authorization: `Bearer ${secret}` };
      const payload = labels.map((each) => sample({ labels: each }));
      return (await app.inject({ method: 'PUT', url, payload, headers })).statusCode;
    };
    const made = (given: object) => Array.from({ length: 5 }, (_, i) => ({ ...given, n: String(i) }));
    expect(await send(source.secret, made({ source: 'billing', host: 'web-01' }))).toBe(200);
    expect(await send(write.secret, [{ host: 'web-01', a: 'b' }])).toBe(204);
    expect(await send(write.secret, made({ host: 'web-01', source: 'other' }))).toBe(200);
  });

  test('a source reports no hosts', async () => {
    const snapshot = { host: 'billing', time: iso(noon), processes: [] };
    expect(await as(source.secret, snapshot, '/v1/usage')).toEqual([
      403,
      expect.stringMatching(/is of the source 'billing' and reports no hosts/),
    ]);
  });
});

describe('alarms on series of other sources', () => {
  const at = (seconds: number) => noon + seconds * 1000;

  test('RED, held while it is down for a moment, and back; live as it is replayed', async () => {
    const { send, get, time } = await setUp({ thresholds: ['queue_length{queue=~"m.*"}:red=100,clear=80'] });
    const seen: string[] = [];
    const values = [10, 120, 90, 70, 130, 70, 70, 70, 70, 70];
    for (const [index, value] of values.entries()) {
      time.now = at(index * 10);
      await send([sample({ value }), sample({ labels: { queue: 'other' }, value: 500 })]);
      const { level, alarms } = (await get('/v1/alarms')).body;
      seen.push(level);
      if (index === 1)
        expect(alarms).toMatchObject([
          {
            level: 'RED',
            state: 'firing',
            host: '',
            subject: { kind: 'series' },
            metric: 'queue_length',
            series: 'queue_length{queue="mail"}',
            value: 120,
            threshold: 100,
            since: iso(at(10)),
            reason: 'queue_length is 120, over 100',
          },
        ]);
      const replayed = (await get(`/v1/alarms?at=${iso(time.now)}`)).body;
      expect(replayed.alarms).toEqual(alarms);
    }
    expect(seen).toEqual(['GREEN', ...Array(7).fill('RED'), 'GREEN', 'GREEN']);
  });

  test('one that falls silent is stale, and after an hour forgotten', async () => {
    const { send, get, time } = await setUp({ thresholds: ['queue_length{}=100'] });
    await send(sample({ value: 120, labels: { host: 'web-01' } }));
    for (const [minutes, state] of [
      [4, 'firing'],
      [6, 'stale'],
      [59, 'stale'],
      [61, undefined],
    ] as const) {
      time.now = at(minutes * 60);
      expect((await get('/v1/alarms?host=web-01')).body.alarms[0]?.state).toBe(state);
    }
  });

  test('one that reports rarely is not stale between two samples, and its run is one', async () => {
    const { send, get, time } = await setUp({ thresholds: ['queue_length{}=100'] });
    for (let k = 0; k < 5; k++) {
      time.now = at(k * 2400);
      await send(sample({ value: 120 }));
    }
    for (const minutes of [1, 30, 59]) {
      time.now = at(4 * 2400 + minutes * 60);
      const { alarms } = (await get('/v1/alarms')).body;
      expect(alarms).toMatchObject([{ state: 'firing', since: iso(noon) }]);
    }
  });

  test("a host that is forgotten or silent: the first ends its series' alarms, the second says nothing of them", async () => {
    const { send, get, app, store, time } = await setUp({ thresholds: ['queue_length{}=100'] });
    await store.append({ snapshots: [makeSnapshot({ host: 'web-01', time: noon })] });
    time.now = at(120);
    await send(sample({ value: 120, labels: { host: 'web-01' } }));
    const { stale, alarms } = (await get('/v1/alarms')).body;
    expect([stale.length, alarms[0].state]).toEqual([1, 'firing']);
    expect((await app.inject({ method: 'DELETE', url: '/v1/hosts/web-01' })).statusCode).toBe(200);
    expect((await get('/v1/alarms')).body.alarms).toEqual([]);
  });

  test('a counter by its rate', async () => {
    const { send, get, time } = await setUp({ thresholds: ['errors_total{}:red=2,hold=0'] });
    const levels: string[] = [];
    for (const [index, value] of [0, 10, 40, 50].entries()) {
      time.now = at(index * 10);
      await send(sample({ name: 'errors_total', kind: 'counter', value }));
      levels.push((await get('/v1/alarms')).body.level);
    }
    expect(levels).toEqual(['GREEN', 'GREEN', 'RED', 'GREEN']);
  });
});
