import { expect, test } from 'vitest';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { makeApp } from './make-app.ts';

/** One host with two processes every 10 s for 20 minutes. */
async function setUp() {
  const { app, get, store } = await makeApp();
  for (let k = 0; k < 120; k++)
    await store.append({
      snapshots: [
        makeSnapshot({
          host: 'web-01',
          time: noon - k * 10_000,
          processes: [
            { name: 'java', cpu: k, memory: 1 },
            { name: '=cmd,"x"', cpu: null, memory: 2 },
          ],
        }),
      ],
    });
  return { app, get };
}

test('statistics of several windows, each with how it was made', async () => {
  const { get } = await setUp();
  const { status, body } = await get('/v1/statistics?selector=process_cpu&windows=5m,20m');
  expect(status).toBe(200);
  expect(body).toMatchObject({ at: new Date(noon).toISOString(), selector: 'process_cpu', by: null });
  const told = { labels: { host: 'web-01', process: 'java' }, min: 0 };
  expect(body.windows).toMatchObject([
    {
      window: '5m',
      resolution: 'raw',
      percentileError: 0,
      found: 1,
      statistics: [{ ...told, count: 30, max: 29, p50: 14.5 }],
    },
    { window: '20m', found: 1, statistics: [{ ...told, count: 120, max: 119, mean: 59.5, p50: 59.5 }] },
  ]);
  expect(body.windows[1].statistics[0].deviation).toBeCloseTo(Math.sqrt((120 ** 2 - 1) / 12), 9);
  expect(body.windows[1].statistics[0].p99).toBeCloseTo(117.81, 9);
});

test('taken together, only the highest, and as CSV', async () => {
  const { app, get } = await setUp();
  const memory = (rest: string) => get(`/v1/statistics?selector=process_memory&windows=5m${rest}`);
  expect((await memory('&by=')).body.windows[0].statistics).toMatchObject([{ labels: {}, count: 60, mean: 1.5 }]);
  expect((await memory('&by=host')).body.windows[0].statistics).toMatchObject([
    { labels: { host: 'web-01' }, count: 60 },
  ]);
  const { found, statistics } = (await memory('&top=1')).body.windows[0];
  expect([found, statistics]).toMatchObject([2, [{ labels: { process: '=cmd,"x"' } }]]);
  const csv = await app.inject('/v1/statistics?selector=process_memory&windows=5m&format=csv');
  expect(csv.headers['content-type']).toMatch(/^text\/csv/);
  expect(csv.body.split('\r\n').slice(0, 3)).toEqual([
    'window,from,to,host,process,count,min,max,mean,deviation,p50,p95,p99,percentileError',
    `5m,${new Date(noon - 300_000).toISOString()},${new Date(noon).toISOString()},web-01," =cmd,""x""",30,2,2,2,0,2,2,2,0`,
    expect.stringContaining('web-01,java,30,1,1,1,0,1,1,1,0'),
  ]);
});

test.each([
  ['selector=process_cpu{', /label/],
  ['selector=process_cpu&windows=5x', /window/],
  ['selector=process_cpu&windows=1m,2m,3m,4m,5m,6m,7m,8m,9m,10m,11m', /at most 10/],
  ['windows=5m', /selector/],
])('%s is refused with a reason', async (query, why) => {
  const { get } = await makeApp();
  const { status, body } = await get(`/v1/statistics?${query}`);
  expect([status, body.detail]).toEqual([400, expect.stringMatching(why)]);
});

test('labels that are called as what every object has are labels like any other', async () => {
  const { get, put } = await makeApp();
  await put(
    {
      metrics: [
        {
          name: 'queue_depth',
          value: 3,
          labels: { constructor: 'a', toString: 'b' },
          time: new Date(noon).toISOString(),
        },
      ],
    },
    '/v1/metrics',
  );
  for (const label of ['__proto__', 'constructor', 'toString', 'valueOf', 'hasOwnProperty']) {
    for (const selector of ['queue_depth', 'process_cpu', 'system_cpu']) {
      const { status, body } = await get(`/v1/statistics?selector=${selector}&windows=5m&by=${label}`);
      expect([selector, label, status]).toEqual([selector, label, 200]);
      for (const { labels } of body.windows[0].statistics)
        expect(Object.values(labels).every((text) => typeof text === 'string')).toBe(true);
    }
  }
});

test.each([
  [`by=${Array.from({ length: 31 }, (_, k) => `l${k}`).join()}`, /31 labels; at most 30/],
  ['by=a-b', /'a-b', which is no label/],
])('%s is refused', async (query, why) => {
  const { get } = await makeApp();
  const { status, body } = await get(`/v1/statistics?selector=process_cpu&${query}`);
  expect([status, body.detail]).toEqual([400, expect.stringMatching(why)]);
});

test('of nothing an empty list', async () => {
  const { get } = await makeApp();
  const { body } = await get('/v1/statistics?selector=never_sent&windows=1h');
  expect(body.windows).toMatchObject([{ found: 0, statistics: [] }]);
});
