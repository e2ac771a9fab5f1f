import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { noon } from '../make-snapshot.ts';
import { body, iso, makeApp, retentionMs } from './make-app.ts';

describe('PUT /v1/usage', () => {
  test('fills in what is left out', async () => {
    const { put, get } = await makeApp();
    expect((await put(body())).statusCode).toBe(204);
    expect((await get('/v1/usage/detailed')).body.processes.nginx).toEqual([
      {
        host: 'web-01',
        time: iso(noon),
        cpu: 12.5,
        memory: 4.1,
        cpuMax: 12.5,
        memoryMax: 4.1,
        count: 1,
        pid: null,
        rssBytes: null,
        threads: null,
        ioReadBytesPerSecond: null,
        ioWriteBytesPerSecond: null,
      },
    ]);
    expect((await get('/v1/hosts/web-01')).body).toEqual({
      host: 'web-01',
      ip: '127.0.0.1',
      lastSeen: iso(noon),
      state: 'fresh',
      interval: 10,
      desired: { interval: null, paused: false },
      cores: null,
      memoryBytes: null,
      limitedBy: 'host',
      bootId: null,
      system: {},
      collector: {},
    });
  });

  test('rows are answered as objects, as columns and as CSV', async () => {
    const { app, put, get } = await makeApp();
    const hostile = '=cmd|"x", é\u202e';
    const processes = [
      { name: hostile, cpu: 1.5, memory: 2 },
      { name: 'nginx', cpu: 3, memory: 4, threads: 5 },
    ];
    await put({ ...body(), processes });
    const { processes: objects } = (await get('/v1/usage/detailed?format=objects')).body;
    const { from, to, next, process, ...columns } = (await get('/v1/usage/detailed?format=columns')).body;
    expect([from < to, next, process]).toEqual([true, null, [hostile, 'nginx']]);
    for (const [index, name] of process.entries())
      expect(
        Object.fromEntries(Object.entries(columns).map(([id, values]) => [id, (values as unknown[])[index]])),
      ).toEqual(objects[name][0]);
    const csv = (more: string) => app.inject({ url: `/v1/usage/detailed?format=csv${more}` });
    const page = await csv('&limit=1');
    expect(page.headers['content-type']).toBe('text/csv; charset=utf-8; header=present');
    const header = `host,process,time,cpu,cpuMax,memory,memoryMax,rssBytes,count,pid,threads,ioReadBytesPerSecond,ioWriteBytesPerSecond\r\n`;
    // A spreadsheet would run what begins with =.
    expect(page.body).toBe(`${header}web-01," =cmd|""x"", é\u202e",${iso(noon)},1.5,1.5,2,2,,1,,,,\r\n`);
    const rest = await csv(`&cursor=${page.headers['amberwatch-next']}`);
    expect(rest.body).toBe(`${header}web-01,nginx,${iso(noon)},3,3,4,4,,1,,5,,\r\n`);
    expect(rest.headers['amberwatch-next']).toBeUndefined();
    expect((await get('/v1/usage/detailed?format=xml')).status).toBe(400);
    const parquet = await get('/v1/usage/detailed?format=parquet');
    expect([parquet.status, parquet.body.detail]).toEqual([
      400,
      'format=parquet is written by the embedded store alone; ask for format=csv',
    ]);
  });

  test('columns and rows mean the same', async () => {
    const { put, get } = await makeApp();
    const rows = [
      { name: 'a', cpu: 1, memory: 2, count: 3, pid: 7, rssBytes: 9, cpuMax: null, threads: 12 },
      { name: 'b', cpu: null, memory: null, count: 1, pid: null, rssBytes: null, cpuMax: null, threads: null },
    ];
    const columns = Object.fromEntries(
      ['name', 'cpu', 'memory', 'count', 'pid', 'rssBytes', 'cpuMax', 'threads'].map((key) => [
        key,
        rows.map((row) => row[key as keyof (typeof rows)[0]]),
      ]),
    );
    await put(body({ host: 'rows', processes: rows }));
    await put(body({ host: 'columns', processes: columns }));
    const of = async (host: string) =>
      JSON.stringify((await get(`/v1/usage/detailed?host=${host}`)).body.processes).replaceAll(host, '');
    expect(await of('columns')).toBe(await of('rows'));
  });

  test('an array is a backlog; a repeat is stored once; unknown fields are ignored', async () => {
    const { put, get } = await makeApp();
    const backlog = [0, 10_000, 20_000].map((ms) => body({ time: iso(noon - ms), colour: 'red' }));
    expect((await put(backlog)).statusCode).toBe(204);
    expect((await put(backlog[0])).statusCode).toBe(204);
    expect((await get('/v1/usage/mean')).body.processes.nginx.snapshots).toBe(3);
  });

  test('gzip is accepted', async () => {
    const { app } = await makeApp();
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const answer = await app.inject({
      method: 'PUT',
      url: '/v1/usage',
      headers,
      payload: gzipSync(JSON.stringify(body())),
    });
    expect(answer.statusCode).toBe(204);
  });

  test('older than the retention: settled, so that nobody sends it for ever, counted as that, and not kept', async () => {
    const { put, get, app } = await makeApp();
    const old = [body({ time: '1999-01-01T00:00:00Z' }), body({ time: iso(noon - retentionMs - 1), host: 'x' })];
    const answer = await put([...old, body({ host: 'y' })]);
    expect([answer.statusCode, answer.json()]).toEqual([200, { stored: 1, expired: 2 }]);
    expect((await get('/v1/hosts')).body.hosts.map(({ host }: { host: string }) => host)).toEqual(['y']);
    expect((await app.inject('/metrics')).body).toContain('amberwatch_snapshots_expired_total 2');
  });

  test('from the future: kept, marked, and never evaluated; the clock that is off is an AMBER', async () => {
    const { put, get, time } = await makeApp();
    const processes = [{ name: 'nginx', cpu: 99, memory: 1 }];
    expect((await put(body({ time: iso(noon + 3_600_000), processes }))).statusCode).toBe(204);
    const { level, alarms } = (await get('/v1/alarms')).body;
    expect([level, alarms.length, alarms[0].reason]).toEqual([
      'AMBER',
      1,
      "the clock of web-01 is 1h ahead of the server's: its snapshots are not evaluated",
    ]);
    time.now = noon + 3_600_000;
    expect((await get('/v1/hosts')).body.hosts).toEqual([]);
    expect((await get('/v1/alarms')).body.level).toBe('GREEN');
    expect((await get('/v1/usage/detailed')).body.processes.nginx).toHaveLength(1);
  });
});

describe('means', () => {
  const setUp = async () => {
    const made = await makeApp();
    await made.put([
      body({
        host: 'a',
        ip: '10.0.0.5',
        processes: [
          { name: 'x', cpu: 10, memory: 1 },
          { name: 'y', cpu: 90, memory: 2 },
        ],
      }),
      body({ host: 'b', ip: '2001:db8::1', processes: [{ name: 'x', cpu: 20.0005, memory: 3 }] }),
      body({
        host: 'b',
        ip: '2001:db8::1',
        time: iso(noon - 600_000),
        processes: [{ name: 'x', cpu: 1000, memory: 3 }],
      }),
    ]);
    return made;
  };

  test('over all hosts of the last five minutes, highest CPU first', async () => {
    const { get } = await setUp();
    const { body: answer } = await get('/v1/usage/mean');
    expect(answer).toMatchObject({
      from: iso(noon - 300_000),
      to: iso(noon),
      processes: {
        y: { cpu: 90, memory: 2, cpuMax: 90, memoryMax: 2, count: 1, hosts: 1, snapshots: 1 },
        x: { cpu: 15.001, memory: 2, cpuMax: 20.001, memoryMax: 3, count: 1, hosts: 2, snapshots: 2 },
      },
    });
    expect(Object.keys(answer.processes)).toEqual(['y', 'x']);
  });

  test.each([
    ['window=20m', { x: 343.334, y: 90 }],
    ['top=1', { y: 90 }],
    ['host=a', { y: 90, x: 10 }],
    ['process=x', { x: 15.001 }],
    ['ip=10.0.0.5', { y: 90, x: 10 }],
    ['ip=10.0.0.5&host=b', {}],
    [`at=${iso(noon - 500_000)}`, { x: 1000 }],
    ['host=nobody', {}],
  ])('?%s', async (query, expected) => {
    const { get } = await setUp();
    const { processes } = (await get(`/v1/usage/mean?${query}`)).body;
    expect(
      Object.fromEntries(Object.entries<{ cpu: number }>(processes).map(([name, row]) => [name, row.cpu])),
    ).toEqual(expected);
  });

  test.each(['10.0.0.5', '10-0-0-5', '10-0-0-5/', '::ffff:10.0.0.5'])('by address %s', async (ip) => {
    const { get } = await setUp();
    expect(Object.keys((await get(`/v1/usage/mean/${ip}`)).body.processes)).toEqual(['y', 'x']);
  });

  test.each(['2001:db8::1', '2001-db8--1', '2001:0DB8::0001'])('by IPv6 address %s', async (ip) => {
    const { get } = await setUp();
    expect((await get(`/v1/usage/mean/${ip}?window=1h`)).body.processes.x.snapshots).toBe(2);
  });

  test('errors name the thing and the remedy', async () => {
    const { get } = await setUp();
    const problem = async (url: string) => {
      const { status, body: answer, headers } = await get(url);
      expect(headers['content-type']).toContain('application/problem+json');
      expect(answer.status).toBe(status);
      return `${status} ${answer.code} ${answer.detail}`;
    };
    expect(await problem('/v1/usage/mean/10.9.9.9')).toMatch(
      /^404 not_found no host has reported with the address 10.9.9.9; GET \/v1\/hosts/,
    );
    expect(await problem('/v1/usage/mean/nonsense')).toMatch(/^400 invalid 'nonsense' is not an IPv4 or IPv6 address/);
    expect(await problem('/v1/usage/mean?window=5')).toMatch(/^400 invalid window '5' is not a duration/);
    expect(await problem('/v1/usage/mean?window=999d')).toMatch(/^400 invalid window '999d' is longer than/);
    expect(await problem('/v1/usage/mean?at=yesterday')).toMatch(
      /^400 invalid querystring\/at must match format "date-time"/,
    );
    expect(await problem('/v1/usage/mean?top=-1')).toMatch(/^400 invalid querystring\/top must be >= 0/);
    expect(await problem('/v1/hosts/nobody')).toMatch(/^404 not_found no host 'nobody' has reported/);
    expect(await problem('/v1/usage/detailed?cursor=abc')).toMatch(
      /^400 invalid cursor 'abc' is not one this server gave/,
    );
    expect(await problem('/nowhere?x=1')).toBe('404 not_found there is no GET /nowhere; see /docs');
  });
});

describe('the raw history', () => {
  test('comes in pages that join up, whatever their size', async () => {
    const { put, get } = await makeApp();
    const hosts = ['a', 'b'];
    const processes = ['p', 'q', '__proto__'].map((name) => ({ name, cpu: 1, memory: 1 }));
    for (const ms of [0, 10_000, 20_000])
      await put(hosts.map((host) => body({ host, time: iso(noon - ms), processes })));
    const whole = (await get('/v1/usage/detailed')).body;
    expect(whole.next).toBeNull();
    for (const limit of [1, 2, 4, 5, 17]) {
      const points: string[] = [];
      let url = `/v1/usage/detailed?limit=${limit}`;
      for (;;) {
        const page = (await get(url)).body;
        for (const [name, rows] of Object.entries<{ time: string; host: string }[]>(page.processes))
          for (const row of rows) points.push(`${row.time} ${row.host} ${name}`);
        if (page.next === null) break;
        url = `/v1/usage/detailed?limit=${limit}&cursor=${page.next}`;
      }
      expect(new Set(points).size).toBe(18);
      expect(points).toHaveLength(18);
    }
  });
});

test('asked by an address, what carried it: the older one still answers, and the newer one mixes nothing', async () => {
  const { put, get } = await makeApp();
  const at = (seconds: number, ip: string, cpu: number) =>
    body({ host: 'moved', ip, time: iso(noon - seconds * 1000), processes: [{ name: 'x', cpu, memory: 1 }] });
  await put([at(120, '10.0.0.5', 10), at(110, '10.0.0.5', 20), at(20, '10.0.0.6', 90)]);
  const means = async (ip: string) => (await get(`/v1/usage/mean/${ip}`)).body.processes.x;
  expect(await means('10-0-0-5')).toMatchObject({ cpu: 15, snapshots: 2 });
  expect(await means('10.0.0.6')).toMatchObject({ cpu: 90, snapshots: 1 });
  // A host's address of now, with nothing in the window, is no error; one that nobody has is.
  expect((await get('/v1/usage/mean/10.0.0.6?window=5s')).body.processes).toEqual({});
  expect((await get('/v1/usage/mean/10.0.0.5?window=5s')).status).toBe(404);
  // Nor is one that is known, without that process or on that host.
  for (const rest of ['process=nothing', 'host=other'])
    expect((await get(`/v1/usage/mean?ip=10.0.0.5&${rest}`)).body.processes).toEqual({});
  const { processes } = (await get('/v1/usage/detailed?ip=10.0.0.5')).body;
  expect(processes.x.map(({ cpu }: { cpu: number }) => cpu)).toEqual([10, 20]);
});

test('every route is in the OpenAPI document, which has examples of nothing it does not do', async () => {
  const { app } = await makeApp();
  await app.ready();
  const document = (await app.inject('/docs/json')).json();
  expect(document.openapi).toBe('3.1.0');
  const routes = Object.entries<object>(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(routes.sort()).toEqual([
    'DELETE /v1/hosts/{host}',
    'DELETE /v1/session',
    'DELETE /v1/slas/{id}',
    'GET /health/live',
    'GET /health/ready',
    'GET /metrics',
    'GET /ressources-usage/get-all',
    'GET /ressources-usage/get-all-detailed',
    'GET /ressources-usage/get-all/{ip}',
    'GET /ressources-usage/query-alarm',
    'GET /v1/alarms',
    'GET /v1/alarms/stream',
    'GET /v1/forecasts',
    'GET /v1/forecasts/accuracy',
    'GET /v1/forecasts/series',
    'GET /v1/hosts',
    'GET /v1/hosts/{host}',
    'GET /v1/series',
    'GET /v1/series/analysis',
    'GET /v1/session',
    'GET /v1/slas',
    'GET /v1/slas/status',
    'GET /v1/slas/{id}',
    'GET /v1/slas/{id}/predictions',
    'GET /v1/slas/{id}/violations',
    'GET /v1/sources',
    'GET /v1/statistics',
    'GET /v1/store/disk',
    'GET /v1/store/expiry',
    'GET /v1/usage/detailed',
    'GET /v1/usage/mean',
    'GET /v1/usage/mean/{ip}',
    'GET /v1/usage/newest',
    'PATCH /v1/hosts/{host}',
    'POST /v1/alarms/endings',
    'POST /v1/join',
    'POST /v1/prometheus/write',
    'POST /v1/session',
    'POST /v1/store/expiry',
    'PUT /ressources-usage/save-all',
    'PUT /v1/metrics',
    'PUT /v1/slas/{id}',
    'PUT /v1/usage',
  ]);
  const page = await app.inject('/docs/');
  expect([page.statusCode, page.body]).toEqual([200, expect.stringContaining('<title>amberwatch API</title>')]);
  expect((await app.inject('/docs/static/swagger-initializer.js')).body).toContain('BaseLayout');
  // The button to authorize, and what happens without.
  expect(document.components.securitySchemes.token).toMatchObject({ type: 'http', scheme: 'bearer' });
  expect(document.security).toEqual([{ token: [] }]);
  for (const [path, methods] of Object.entries<Record<string, { responses: object; security?: object[] }>>(
    document.paths,
  ))
    for (const [method, { responses, security }] of Object.entries(methods)) {
      const isPublic = path.startsWith('/health/') || path === '/v1/join' || path === '/v1/session';
      const documented = Object.keys(responses).filter((status) => ['401', '403', '429'].includes(status));
      const isLimited = path === '/v1/join' || (path === '/v1/session' && method === 'post');
      const wanted = isLimited ? ['403', '429'] : isPublic ? ['403'] : ['401', '403', '429'];
      expect([method, path, documented, security]).toEqual([method, path, wanted, isPublic ? [] : undefined]);
    }
});

test('a parameter that is not there is refused with the nearest that is; the older routes take what they always took', async () => {
  const { get } = await makeApp();
  const detail = async (url: string) => {
    const { status, body } = await get(url);
    return [status, body.detail];
  };
  expect(await detail('/v1/usage/mean?proces=x')).toEqual([
    400,
    "GET /v1/usage/mean has no parameter 'proces'; did you mean 'process'?",
  ]);
  expect(await detail('/v1/alarms?since=1h')).toEqual([
    400,
    "GET /v1/alarms has no parameter 'since'; there are at, host, level",
  ]);
  expect(await detail('/v1/hosts?x=1')).toEqual([400, "GET /v1/hosts has no parameter 'x'; it takes none"]);
  expect(await detail('/v1/usage/mean/10-0-0-5?ip=10.0.0.6')).toMatchObject([
    400,
    expect.stringMatching(/no parameter 'ip'/),
  ]);
  expect((await get('/ressources-usage/get-all?format=json')).status).toBe(200);
});
