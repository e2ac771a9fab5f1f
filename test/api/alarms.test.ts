import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pino } from 'pino';
import { describe, expect, test, vi } from 'vitest';
import type { AlarmReader } from '../../src/alarms/alarm-reader.ts';
import { AlarmStream } from '../../src/api/alarm-stream.ts';
import { MonitorError } from '../../src/core/error.ts';
import { openStore } from '../../src/store/open.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';
import { body, iso, makeApp, retentionMs } from './make-app.ts';

/** CPU of one process at every ten seconds, the last at noon. */
async function setUp(values: number[], options: Parameters<typeof makeApp>[0] = {}) {
  const made = await makeApp(options);
  const first = noon - (values.length - 1) * 10_000;
  await made.store.append({
    snapshots: values.map((cpu, i) =>
      makeSnapshot({ time: first + i * 10_000, processes: [{ name: 'yes', cpu, pid: 42 }] }),
    ),
  });
  const alarms = async (query = '') => (await made.get(`/v1/alarms${query}`)).body;
  return { ...made, alarms };
}

describe('GET /v1/alarms', () => {
  test('names the process and its pid, the value, the line, and since when', async () => {
    const { alarms } = await setUp([5, 95, 97.3456]);
    expect(await alarms()).toEqual({
      at: iso(noon),
      level: 'RED',
      alarms: [
        {
          id: expect.stringMatching(/^[0-9a-f]{16}$/),
          level: 'RED',
          state: 'firing',
          host: 'web-01',
          ip: '10.0.0.5',
          subject: { kind: 'process', name: 'yes', pid: 42 },
          metric: 'cpu',
          series: 'process_cpu_max{host="web-01",process="yes"}',
          of: 'largest',
          basis: 'core',
          value: 97.346,
          threshold: 80,
          since: iso(noon - 10_000),
          reason: 'cpu is 97.3, over 80 for 10s',
          culprits: [],
          prediction: null,
          leadSeconds: null,
        },
      ],
      stale: [],
      paused: [],
      newestAt: iso(noon),
      nextStaleAt: iso(noon + 30_000),
    });
  });

  test('how it was at any instant', async () => {
    const { alarms } = await setUp([5, 95, 5, 5, 5, 5, 95]);
    const level = async (ms: number) => (await alarms(`?at=${iso(noon - ms)}`)).level;
    const ago = [0, 10_000, 15_000, 20_000, 45_000, 60_000];
    expect(await Promise.all(ago.map(level))).toEqual(['RED', 'GREEN', 'RED', 'RED', 'RED', 'GREEN']);
  });

  test('a run that is older than the first look back is found, and remembered', async () => {
    const { alarms, store } = await setUp([5, ...Array(800).fill(95)]);
    let wide = 0;
    const select = store.select.bind(store);
    store.select = (query, reading) => {
      if (query.to - query.from > 7_200_000) wide++;
      return select(query, reading);
    };
    for (let i = 0; i < 3; i++) expect((await alarms()).alarms[0].since).toBe(iso(noon - 799 * 10_000));
    expect(wide).toBe(1);
  });

  test('the remembered run goes on with the next snapshot, and ends with the run', async () => {
    const { alarms, store, time } = await setUp(Array(800).fill(95));
    const begin = (await alarms()).alarms[0].since;
    const next = async (seconds: number, cpu: number) => {
      time.now = noon + seconds * 1000;
      await store.append({ snapshots: [makeSnapshot({ time: time.now, processes: [{ name: 'yes', cpu }] })] });
      return (await alarms()).alarms[0]?.since;
    };
    expect(await next(10, 96)).toBe(begin);
    expect(await next(20, 10)).toBe(begin);
    expect(await next(30, 10)).toBe(begin);
    expect(await next(40, 10)).toBe(begin);
    expect(await next(50, 10)).toBeUndefined();
    expect(await next(60, 96)).toBe(iso(noon + 60_000));
  });

  test('RED that lasts while the value is down says so, and a process that exits is not RED', async () => {
    const { alarms, store, time } = await setUp([5, 95, 12]);
    const [alarm] = (await alarms()).alarms;
    expect(alarm).toMatchObject({
      level: 'RED',
      value: 12,
      since: iso(noon - 10_000),
      reason: 'cpu is 12.0 after it was over 80; RED ends when it has been at or under 75 for 30s',
    });
    time.now = noon + 10_000;
    await store.append({ snapshots: [makeSnapshot({ time: time.now, processes: [{ name: 'other', cpu: 1 }] })] });
    expect((await alarms()).level).toBe('GREEN');
    time.now = noon + 20_000;
    await store.append({ snapshots: [makeSnapshot({ time: time.now, processes: [{ name: 'yes', cpu: 12 }] })] });
    expect((await alarms()).level).toBe('GREEN');
  });

  test('a total of a host stays RED for as long', async () => {
    const { store, get, time } = await makeApp();
    const levels: string[] = [];
    for (const [index, cpu] of [5, 95, 50, 76, 50, 50, 50, 50, 50].entries()) {
      time.now = noon + index * 10_000;
      await store.append({ snapshots: [makeSnapshot({ time: time.now, metrics: { 'system.cpu': cpu } })] });
      levels.push((await get('/v1/alarms')).body.level);
    }
    expect(levels).toEqual(['GREEN', 'RED', 'RED', 'RED', 'RED', 'RED', 'RED', 'GREEN', 'GREEN']);
  });

  test('threads of a name: RED, in the means, the raw history, a series and GET /metrics', async () => {
    const { app, put, get, time } = await makeApp({ thresholds: ['threads:red=500'] });
    for (const [index, threads] of [480, 620].entries()) {
      time.now = noon + index * 10_000;
      const processes = [{ name: 'java', cpu: 1, memory: 1, count: 3, threads }];
      expect((await put(body({ time: iso(time.now), processes }))).statusCode).toBe(204);
    }
    expect((await get('/v1/alarms')).body.alarms).toMatchObject([
      { level: 'RED', metric: 'threads', of: 'group', value: 620, threshold: 500, reason: 'threads is 620, over 500' },
    ]);
    expect((await get('/v1/usage/mean')).body.processes.java.threads).toBe(550);
    expect((await get('/v1/usage/detailed')).body.processes.java).toMatchObject([{ threads: 480 }, { threads: 620 }]);
    const { points } = (await get('/v1/series?host=web-01&process=java&metric=threads&step=10s&window=5m')).body;
    expect(points.map(({ value }: { value: number }) => value)).toEqual([480, 620]);
    expect((await app.inject({ url: '/metrics' })).body).toContain(
      'amberwatch_process_threads{host="web-01",ip="127.0.0.1",process="java"} 620',
    );
  });

  test('`for` and `clear` are kept to', async () => {
    const options = { thresholds: ['cpu:red=80,clear=60,for=20s,hold=0'] };
    expect((await (await setUp([5, 95, 70], options)).alarms()).level).toBe('GREEN');
    expect((await (await setUp([5, 95, 70, 70], options)).alarms()).level).toBe('RED');
    expect((await (await setUp([5, 95, 70, 60, 95], options)).alarms()).level).toBe('GREEN');
  });

  test('a silent host is STALE and keeps its alarms, however long ago', async () => {
    const { alarms, time } = await setUp([5, 95, 95]);
    time.now = noon + 30_001;
    expect(await alarms()).toMatchObject({
      level: 'RED',
      alarms: [{ state: 'stale', since: iso(noon - 10_000) }],
      stale: [{ host: 'web-01', lastSeen: iso(noon) }],
    });
    time.now = noon + 20 * 3_600_000;
    expect(await alarms()).toMatchObject({ level: 'RED', alarms: [{ state: 'stale', since: iso(noon - 10_000) }] });
    const quiet = await setUp([5]);
    quiet.time.now = noon + 60_000;
    expect(await quiet.alarms()).toMatchObject({ level: 'STALE', alarms: [] });
  });

  test('an alarm of a host names the processes behind it', async () => {
    const { store, get } = await makeApp();
    const processes = [
      { name: 'small', cpu: 1 },
      { name: 'postgres', cpu: 60 },
      { name: 'java', cpu: 300, cpuMax: 70 },
      { name: '__unattributed__', cpu: 400, cpuMax: 400 },
    ];
    await store.append({ snapshots: [makeSnapshot({ metrics: { 'system.cpu': 95 }, processes })] });
    const [alarm, ...others] = (await get('/v1/alarms')).body.alarms;
    expect(others).toEqual([]);
    expect(alarm).toMatchObject({
      subject: { kind: 'system' },
      metric: 'system.cpu',
      reason: 'system.cpu is 95.0, over 80; most by java 300.0, postgres 60.0, small 1.0',
      culprits: [
        { process: 'java', value: 300 },
        { process: 'postgres', value: 60 },
        { process: 'small', value: 1 },
      ],
    });
  });

  test('may be asked for one host or level; the level of all stays', async () => {
    const { store, get } = await makeApp();
    await store.append({
      snapshots: ['a', 'b'].map((host) => makeSnapshot({ host, processes: [{ name: 'p', cpu: 90 }] })),
    });
    expect((await get('/v1/alarms?host=a')).body.alarms.map((alarm: { host: string }) => alarm.host)).toEqual(['a']);
    expect((await get('/v1/alarms?level=AMBER')).body).toMatchObject({ level: 'RED', alarms: [] });
    expect((await get('/v1/alarms?level=PINK')).status).toBe(400);
  });

  test('nobody there is GREEN', async () =>
    expect((await (await makeApp()).get('/v1/alarms')).body).toMatchObject({ level: 'GREEN', alarms: [], stale: [] }));
});

test('the stream gives all alarms, then each change', async () => {
  const { app, store, time } = await setUp([5, 95]);
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  const answer = await fetch(`${address}/v1/alarms/stream`);
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  let text = '';
  const until = async (part: string) => {
    while (!text.includes(part)) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`the stream ended with ${text}`);
      text += Buffer.from(value).toString();
    }
  };
  await until('event: alarms');
  time.now = noon + 10_000;
  await store.append({ snapshots: [makeSnapshot({ time: time.now, processes: [{ name: 'other', cpu: 1 }] })] });
  await until('event: change');
  expect(text).toContain('"level":"OK","before":"RED"');
  expect(text).toContain('"ended":{"how":"exited","value":null}');
  const closing = app.close();
  while (!(await reader.read()).done);
  await closing;
});

test('while nothing changes the stream tells all of it again', async () => {
  vi.useFakeTimers();
  try {
    const now = { at: noon, level: 'GREEN', alarms: [], stale: [], paused: [], nextStaleAt: null };
    const written: string[] = [];
    const response = Object.assign(new EventEmitter(), {
      writeHead: () => undefined,
      flushHeaders: () => undefined,
      write: (text: string) => written.push(text),
    });
    const reader = { now: async () => now } as unknown as AlarmReader;
    const stream = new AlarmStream(reader, pino({ level: 'silent' }), { now: () => noon, monotonic: () => 0 });
    const request = { socket: Object.assign(new EventEmitter(), { setMaxListeners: () => undefined }) };
    await stream.add(request as unknown as IncomingMessage, response as unknown as ServerResponse, 'me', () => true);
    await vi.advanceTimersByTimeAsync(60_000);
    const events = written.filter((text) => text.startsWith('event: '));
    expect(events.length).toBe(3);
    expect(new Set(events)).toEqual(new Set([events[0]]));
  } finally {
    vi.useRealTimers();
  }
});

describe('POST /v1/alarms/endings', () => {
  /** One alarm of each kind that can end, and a silent host; what came of them ten seconds later. */
  async function setUpEndings(options: Parameters<typeof makeApp>[0] = {}) {
    const thresholds = ['cpu:red=80,hold=0,basis=host', 'memory:red=80,hold=0,of=group', 'system.cpu:red=80,hold=0'];
    const made = await makeApp({ thresholds: [...thresholds, 'depth{}:red=5,hold=0'], ...options });
    const { store, time, get, app } = made;
    const series = { metric: 'depth', labels: { source: 'mq' } };
    const sample = (value: number, at: number) =>
      ({ series, kind: 'gauge', value, time: at, owner: 'source mq' }) as const;
    const cores = 2;
    const processes = [
      { name: 'exits', cpu: 190 },
      { name: 'calms', cpu: 190 },
      { name: 'blurs', memory: 90 },
    ];
    await store.append({
      snapshots: [
        makeSnapshot({ time: noon - 10_000, cores, processes, metrics: { 'system.cpu': 99 } }),
        makeSnapshot({ host: 'gone', time: noon - 10_000, intervalMs: 2000, processes: [] }),
      ],
      samples: [sample(9, noon - 10_000)],
    });
    time.now = noon - 2000;
    const { alarms, stale } = (await get('/v1/alarms')).body;
    expect([alarms.length, stale.length]).toEqual([5, 1]);
    const asked = { alarms, hosts: stale.map(({ host }: { host: string }) => host) };
    const endings = async (payload: object = asked) => {
      const answer = await app.inject({ method: 'POST', url: '/v1/alarms/endings', payload });
      return { status: answer.statusCode, ...answer.json() };
    };
    await store.append({
      snapshots: [
        makeSnapshot({
          time: noon,
          cores,
          metrics: { 'system.cpu': 7 },
          processes: [
            { name: 'calms', cpu: 3 },
            { name: 'blurs', memory: null },
          ],
        }),
        makeSnapshot({ host: 'gone', time: noon, intervalMs: 2000, processes: [] }),
      ],
      samples: [sample(2, noon)],
    });
    time.now = noon;
    return { ...made, asked, endings };
  }
  const told = (ended: { id: string | null; how: string; value: number | null }[]) =>
    ended.map(({ id, how, value }) => [id === null ? 'silence' : 'alarm', how, value]).sort();

  test('says of each how it has ended, in the unit of its threshold', async () => {
    const { endings, get } = await setUpEndings();
    expect((await get('/v1/alarms')).body.level).toBe('GREEN');
    expect(told((await endings()).ended)).toEqual([
      ['alarm', 'exited', null],
      ['alarm', 'recovered', 1.5],
      ['alarm', 'recovered', 2],
      ['alarm', 'recovered', 7],
      ['alarm', 'unknown', null],
      ['silence', 'recovered', null],
    ]);
  });

  test('a host that nobody knows any more has expired, one that somebody gave up is forgotten', async () => {
    const { endings, time, app, asked, store } = await setUpEndings();
    time.now = noon + 60_000;
    expect((await app.inject({ method: 'DELETE', url: '/v1/hosts/gone' })).statusCode).toBe(200);
    time.now = noon + 4 * 86_400_000;
    await store.expire(time.now);
    const bySubject = ({ ended }: { ended: { host: string; how: string }[] }) =>
      new Set(ended.map(({ host, how }) => `${host} ${how}`));
    expect(bySubject(await endings({ ...asked, hosts: ['gone', 'web-01'] }))).toEqual(
      new Set(['gone forgotten', 'web-01 expired', 'mq expired']),
    );
  });

  test('is the same after a restart of the server: nothing is remembered for it', async () => {
    const { endings, store, asked } = await setUpEndings();
    const again = await makeApp({ store, now: noon });
    const answer = await again.app.inject({ method: 'POST', url: '/v1/alarms/endings', payload: asked });
    expect(answer.json().ended).toEqual((await endings()).ended);
  });

  test('is a question with bounds: what is no series is left out, and more than two hundred are refused', async () => {
    const { endings } = await setUpEndings();
    const alarm = { id: 'x', host: 'web-01', series: 'not { one' };
    expect(await endings({ alarms: [alarm], hosts: [] })).toMatchObject({ status: 200, ended: [] });
    expect((await endings({ alarms: Array.from({ length: 201 }, () => alarm), hosts: [] })).status).toBe(413);
    expect((await endings({ alarms: 'all' })).status).toBe(400);
  });

  test('a store that does not answer it makes nobody wait for the alarms', async () => {
    const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
    let isStuck = false;
    const select = (...args: Parameters<typeof memory.select>) =>
      isStuck && args[0].stepMs !== null ? new Promise<never>(() => undefined) : memory.select(...args);
    const { app, get, asked } = await setUpEndings({ store: overStore(memory, { select }) });
    isStuck = true;
    void app.inject({ method: 'POST', url: '/v1/alarms/endings', payload: asked });
    expect((await get('/v1/alarms')).status).toBe(200);
  });
});

describe('a store that is away', () => {
  test('is 503 with Retry-After, not ready, and alive', async () => {
    const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
    const away = () => Promise.reject(new MonitorError('unavailable', 'the store is away'));
    const { get, put } = await makeApp({
      store: overStore(memory, { append: away, ping: away, latest: away, means: away }),
    });
    const answer = await put({ host: 'a', time: iso(noon), processes: [] });
    expect([answer.statusCode, answer.json().code, answer.headers['retry-after']]).toEqual([503, 'unavailable', '5']);
    expect((await get('/health/ready')).status).toBe(503);
    expect((await get('/health/live')).status).toBe(200);
    expect((await get('/v1/alarms')).status).toBe(503);
  });

  test('what nobody foresaw is 500, and its text is hidden', async () => {
    const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
    const { get } = await makeApp({
      store: overStore(memory, { means: () => Promise.reject(new Error('password is hunter2')) }),
    });
    const { status, body } = await get('/v1/usage/mean');
    expect([status, body.code]).toEqual([500, 'internal']);
    expect(JSON.stringify(body)).not.toContain('hunter2');
  });
});

test('/metrics has the latest usage, bounded, with names escaped', async () => {
  const { app, store } = await makeApp();
  const processes = [
    ...Array.from({ length: 300 }, (_, i) => ({ name: `p${i}`, cpu: i, memory: 300 - i })),
    { name: 'a"b\\c\nd', cpu: 999 },
  ];
  await store.append({
    snapshots: [makeSnapshot({ processes, metrics: { 'system.cpu': 12, 'collector.sweepMs': 3 } })],
  });
  const text = (await app.inject('/metrics')).body;
  expect(text).toContain('amberwatch_system_cpu_ratio{host="web-01",ip="10.0.0.5"} 0.12\n');
  expect(text).toContain('amberwatch_collector_sweep_seconds{host="web-01",ip="10.0.0.5"} 0.003\n');
  expect(text).toContain('amberwatch_process_cpu_cores{host="web-01",ip="10.0.0.5",process="a\\"b\\\\c\\nd"} 9.99\n');
  expect(text).toContain('amberwatch_process_memory_ratio{host="web-01",ip="10.0.0.5",process="p0"} 3\n');
  const rows = (of: string) => of.split('\n').filter((line) => line.startsWith('amberwatch_process_cpu_cores{')).length;
  expect(rows(text)).toBeLessThanOrEqual(40);
  expect(rows((await app.inject('/metrics?all=1')).body)).toBe(301);
});
