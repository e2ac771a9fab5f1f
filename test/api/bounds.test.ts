import { EventEmitter, once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import type { AlarmReader } from '../../src/alarms/alarm-reader.ts';
import { AlarmStream } from '../../src/api/alarm-stream.ts';
import { MonitorError } from '../../src/core/error.ts';
import { isAmber } from '../../src/core/forecast.ts';
import { ReadLane } from '../../src/core/read-lane.ts';
import type { Reading } from '../../src/core/store.ts';
import { ForecastScores } from '../../src/forecast/forecast-scores.ts';
import { saidOf, tallyOf } from '../../src/forecast/score.ts';
import { openStore } from '../../src/store/open.ts';
import type { AccuracyAnswer } from '../../src/wire/forecast.ts';
import type { MeanAnswer } from '../../src/wire/history.ts';
import { makeForecast } from '../make-forecast.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';
import { body, iso, makeApp, retentionMs } from './make-app.ts';

const minute = 60_000;
const hour = 60 * minute;

/** A store whose means never come; it says what became of the reads. */
async function slowStore() {
  const store = await openStore('memory:', { retentionMs, warn: () => undefined });
  const ends: string[] = [];
  const slow = overStore(store, {
    means: (_query, { signal }: Reading = {}) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          ends.push((signal.reason as MonitorError).message);
          reject(signal.reason);
        });
      }),
  });
  return { store: slow, ends };
}

test('what takes too long is stopped, and the answer says what would be cheaper', async () => {
  const { store, ends } = await slowStore();
  const { get } = await makeApp({ store, queryTimeoutMs: 50 });
  for (const url of ['/v1/usage/mean?window=2d', '/v1/usage/mean/10.0.0.5?window=2d']) {
    const { status, body: problem, headers } = await get(url);
    expect(headers['content-type']).toContain('application/problem+json');
    expect(status).toBe(504);
    expect(problem).toMatchObject({ code: 'timeout', title: 'Timed out' });
    expect(problem.detail).toMatch(
      /^GET \/v1\/usage\/mean.* was not done within 50ms and was stopped; ask for a shorter window \(window=\), one host \(host=\) or one process \(process=\), or let the server take longer with --query-timeout$/,
    );
  }
  expect(ends).toHaveLength(2);
});

test('as many reads as an answer needs may listen to its end: nobody is told of a leak', async () => {
  const store = await openStore('memory:', { retentionMs, warn: () => undefined });
  const warnings: string[] = [];
  const onWarning = (warning: Error) => warnings.push(warning.message);
  process.on('warning', onWarning);
  const { get } = await makeApp({
    store: overStore(store, {
      means: async (_query, { signal }: Reading = {}) => {
        for (let k = 0; k < 30; k++) signal?.addEventListener('abort', () => undefined);
        return [];
      },
    }),
  });
  expect((await get('/v1/usage/mean')).status).toBe(200);
  await sleep(10);
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});

test('accuracy has a deadline too while the store says nothing of its sums', async () => {
  const store = await openStore('memory:', { retentionMs, warn: () => undefined });
  const { get } = await makeApp({
    store: overStore(store, { tallies: () => new Promise(() => undefined) }),
    queryTimeoutMs: 50,
  });
  const { status, body: problem } = await get('/v1/forecasts/accuracy?window=31d');
  expect(status).toBe(504);
  expect(problem.detail).toContain('ask for a shorter window (window=) or one host (host=)');
});

test('nothing is read any more for who has left', async () => {
  const { store, ends } = await slowStore();
  const { app } = await makeApp({ store });
  const url = new URL(await app.listen({ port: 0, host: '127.0.0.1' }));
  const socket = connect(Number(url.port), url.hostname);
  socket.write(`GET /v1/usage/mean HTTP/1.1\r\nhost: ${url.host}\r\n\r\n`);
  await sleep(100);
  expect(ends).toEqual([]);
  socket.destroy();
  await expect.poll(() => ends).toEqual(['the client has closed the connection']);
});

test('a lane has so many places, an order and an end', async () => {
  const lane = new ReadLane(1, 2);
  const order: string[] = [];
  let free = () => {};
  const work = (name: string) => async () => void order.push(name);
  const first = lane.run(() => new Promise<void>((resolve) => (free = resolve)));
  const [leaver, late] = [new AbortController(), new AbortController()];
  const left = lane.run(work('left'), leaver.signal);
  const second = lane.run(work('second'), late.signal);
  await expect(lane.run(work('third'))).rejects.toMatchObject({ code: 'unavailable', retryAfterSeconds: 5 });
  const patient = lane.run(work('patient'), undefined, true);
  leaver.abort(new Error('gone'));
  await expect(left).rejects.toThrow('gone');
  const fourth = lane
    .run(work('fourth'), AbortSignal.abort(new Error('never')), true)
    .catch((error: Error) => error.message);
  late.abort(new MonitorError('timeout', 'too slow'));
  await expect(second).rejects.toMatchObject({ code: 'unavailable' });
  free();
  await Promise.all([first, patient]);
  expect(await fourth).toBe('never');
  expect(order).toEqual(['patient']);
});

test('means have the 500 highest names unless more are asked for', async () => {
  const { put, get } = await makeApp();
  const processes = Array.from({ length: 700 }, (_, i) => ({ name: `p${i}`, cpu: i / 10, memory: 1 }));
  await put(body({ processes }));
  const names = async (query: string) =>
    Object.keys(((await get(`/v1/usage/mean${query}`)).body as MeanAnswer).processes);
  expect(await names('')).toEqual(Array.from({ length: 500 }, (_, i) => `p${699 - i}`));
  expect(await names('?top=0')).toHaveLength(700);
  expect(await names('?top=3')).toHaveLength(3);
});

test('a host may send so many snapshots of the future in a day, and keeps the rest', async () => {
  const { put, get, time } = await makeApp();
  const ahead = (from: number, count: number, host = 'web-01') =>
    Array.from({ length: count }, (_, i) => body({ host, time: iso(noon + hour + (from + i) * 1000), processes: [] }));
  for (let from = 0; from < 10_000; from += 100) expect((await put(ahead(from, 100))).statusCode).toBe(204);
  const refused = await put(ahead(10_000, 1));
  expect(refused.statusCode).toBe(425);
  expect(refused.headers['retry-after']).toBe('600');
  expect(refused.json().detail).toMatch(/^the clock of web-01 is ahead of this server's, and 10000 of its snapshots/);
  expect((await put(ahead(0, 1, 'web-02'))).statusCode).toBe(204);
  expect((await put(body())).statusCode).toBe(204);
  expect((await get('/v1/hosts')).body).toMatchObject({ hosts: [{ host: 'web-01', lastSeen: iso(noon) }] });
  time.now += 24 * hour;
  expect((await put(ahead(86_400, 1))).statusCode).toBe(204);
});

test('a host that makes up names is an AMBER of its own', async () => {
  const store = await openStore('memory:', { retentionMs, newNamesPerDay: 2, warn: () => undefined, now: () => noon });
  const { put, get } = await makeApp({ store });
  await put(body({ processes: ['a', 'b', 'c', 'd'].map((name) => ({ name, cpu: 1, memory: 1 })) }));
  expect((await get('/v1/alarms')).body).toMatchObject({
    level: 'AMBER',
    alarms: [
      {
        host: 'web-01',
        metric: 'collector.foldedNames',
        value: 2,
        reason:
          'web-01 makes up too many process names: until midnight UTC new ones are counted in __other__, 2 of its newest snapshot',
      },
    ],
  });
});

test('it stays one for the day, and ends with it', async () => {
  const time = { now: noon };
  const store = await openStore('memory:', {
    retentionMs,
    newNamesPerDay: 2,
    warn: () => undefined,
    now: () => time.now,
  });
  const { put, get, time: clock } = await makeApp({ store });
  const level = async (...names: string[]) => {
    time.now += 10_000;
    clock.now = time.now;
    await put(body({ time: iso(time.now), processes: names.map((name) => ({ name, cpu: 1, memory: 1 })) }));
    return ((await get('/v1/alarms')).body as { level: string }).level;
  };
  expect([
    await level('a', 'b'),
    await level('a', 'c'),
    await level('a'),
    await level('a', 'd'),
    await level('b'),
  ]).toEqual(['GREEN', 'AMBER', 'AMBER', 'AMBER', 'AMBER']);
  time.now += 12 * hour;
  expect(await level('a', 'c')).toBe('GREEN');
});

test('who leaves gives back the place of a large answer, also behind one that does not end', async () => {
  const { app, put } = await makeApp();
  await put(body({ processes: Array.from({ length: 3000 }, (_, i) => ({ name: `process-${i}`, cpu: 1, memory: 1 })) }));
  const { port, hostname, host } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }));
  const ask = (path: string) => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`;
  const all = '/v1/usage/mean?top=0';
  for (let round = 0; round < 3; round++) {
    const socket = connect(Number(port), hostname);
    socket.write(ask('/v1/alarms/stream') + ask(all).repeat(30));
    const others = Array.from({ length: 30 }, () => {
      const other = connect(Number(port), hostname);
      other.write(ask(all));
      setTimeout(() => other.destroy(), 20);
      return other;
    });
    await Promise.all(others.map((other) => once(other, 'close')));
    await sleep(50);
    socket.destroy();
  }
  await expect.poll(() => fetch(`http://${host}${all}`).then((answer) => answer.status)).toBe(200);
});

test('only so many listen to the alarms, with one token and in all', async () => {
  const { app } = await makeApp();
  const { port, hostname, host } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }));
  const listen = async () => {
    const socket = connect(Number(port), hostname);
    socket.write(`GET /v1/alarms/stream HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    const [head] = (await once(socket, 'data')) as [Buffer];
    return { socket, status: Number(/^HTTP\/1.1 (\d+)/.exec(head.toString())?.[1]), text: head.toString() };
  };
  const all = await Promise.all(Array.from({ length: 50 }, listen));
  expect(all.map(({ status }) => status)).toEqual(Array(50).fill(200));
  const refused = await listen();
  expect(refused.status).toBe(429);
  expect(refused.text).toContain('you have 50 alarm streams open already');
  all[0]?.socket.destroy();
  await expect.poll(async () => (await listen()).status).toBe(200);
});

test('who listens and does not read is cut off after ten seconds', async () => {
  const time = { now: 0 };
  const clock = { now: () => time.now, monotonic: () => time.now };
  const alarms = { at: 0, level: 'GREEN' as const, alarms: [], stale: [], paused: [], nextStaleAt: null };
  const reader = { now: async () => ({ ...alarms, at: time.now }), endedSince: () => [] } as unknown as AlarmReader;
  const stream = new AlarmStream(reader, pino({ level: 'silent' }), clock);
  class Listener extends EventEmitter {
    readonly written: string[] = [];
    isCut = false;
    readonly writableLength: number;
    constructor(unread: number) {
      super();
      this.writableLength = unread;
    }
    writeHead() {}
    flushHeaders() {}
    end() {}
    write(text: string) {
      this.written.push(text);
    }
    destroy() {
      this.isCut = true;
      this.emit('close');
    }
  }
  const listener = (unread: number) => new Listener(unread);
  const [slow, good] = [listener(1), listener(0)];
  const add = (response: Listener) =>
    stream.add(
      { socket: new Listener(0) } as unknown as IncomingMessage,
      response as unknown as ServerResponse,
      'somebody',
      () => true,
    );
  await add(slow);
  await add(good);
  expect(slow.written[0]).toBe(good.written[0]);
  expect(good.written[0]).toContain('event: alarms');
  time.now += 9_000;
  await add(listener(0));
  expect(slow.isCut).toBe(false);
  time.now += 1_000;
  await add(listener(0));
  expect([slow.isCut, good.isCut]).toEqual([true, false]);
  stream.close();
});

test('accuracy is the same from the sums of hours as from all that was said', async () => {
  const { store, get, app } = await makeApp();
  const { time } = { time: { now: noon } };
  await store.append({ snapshots: [makeSnapshot()] });
  const made = Array.from({ length: 7 * 60 }, (_, k) => {
    const isOver = k % 97 < 4;
    const isLoud = k % 13 < 5;
    return makeForecast({
      time: noon - 7 * hour + (k + 1) * minute,
      value: isOver ? 90 : 50,
      probability: isOver ? null : isLoud ? 0.7 : 0.1,
      amberSince: isLoud ? noon : null,
    });
  });
  await store.append({ forecasts: made });
  const options = { store, log: app.log, retentionMs, stepMs: minute, horizonMs: 10 * minute, otherMetrics: [] };
  const scores = new ForecastScores({ ...options, clock: { now: () => time.now, monotonic: () => time.now } });
  await scores.sumUp();
  expect((await store.tallies({ from: 0, to: noon })).map(({ time: last }) => last)).toEqual([noon - hour]);
  const said = made.map((forecast) => ({ ...saidOf(forecast), isAmber: isAmber(forecast) }));
  const whole = tallyOf(said, minute, 10 * minute, noon);
  const { signal } = new AbortController();
  const found = await scores.read({ from: noon - 7 * hour, to: noon }, {}, { signal });
  expect(found.series.map(({ tally }) => ({ ...tally, squaredError: 0 }))).toEqual([{ ...whole, squaredError: 0 }]);
  const answer = (await get('/v1/forecasts/accuracy?window=8h')).body as AccuracyAnswer;
  expect(answer.overall).toMatchObject({ predictions: whole.predictions, alarms: whole.alarms });
  // Summed up once, also by another server.
  await new ForecastScores({ ...options, clock: { now: () => time.now, monotonic: () => time.now } }).sumUp();
  const sums = await store.tallies({ from: 0, to: noon });
  expect(sums[0]?.tally.predictions).toBeLessThanOrEqual(whole.predictions);
  // A clock that was two days ahead for a while has not summed up what was to come.
  time.now += 48 * hour;
  await scores.sumUp();
  time.now = noon + 3 * hour;
  await scores.sumUp();
  const more = await scores.read({ from: noon - 7 * hour, to: noon + 3 * hour }, {}, { signal });
  expect(more.series[0]?.tally.predictions).toBeGreaterThan(whole.predictions);
  expect(more.to).toBe(noon + 3 * hour);
});
