import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openSlas } from '../../src/sla/sla-file.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { iso, makeApp } from './make-app.ts';

const hour = 3_600_000;

/** Twelve hours of one process: at 90 % for 4 minutes eight hours ago, for 30 s two hours ago, and since a minute. */
function cpuAt(time: number): number {
  const ago = noon - time;
  const isOver =
    (ago <= 8 * hour && ago > 8 * hour - 240_000) || (ago <= 2 * hour && ago > 2 * hour - 30_000) || ago <= 60_000;
  return isOver ? 90 : 10;
}

async function setUp(folder = temporaryFolder()) {
  const warned: string[] = [];
  const made = await makeApp({ slas: openSlas(folder, (text) => warned.push(text)) });
  for (let time = noon - 12 * hour; time <= noon; time += 10_000)
    await made.store.append({
      snapshots: [makeSnapshot({ host: 'web-01', time, processes: [{ name: 'java', cpu: cpuAt(time), memory: 1 }] })],
    });
  return { ...made, folder, warned };
}

const definition = { selector: 'process_cpu{process="java"}', max: 80, objective: 99.5 };

describe('an SLA', () => {
  test('tells exactly the violations there were, and how much of the budget is left', async () => {
    const { app, get, put } = await setUp();
    const made = await put(definition, '/v1/slas/java');
    expect([made.statusCode, made.json()]).toMatchObject([
      200,
      { id: 'java', ...definition, min: null, windows: ['1h', '3h', '12h'], since: null },
    ]);
    const { violations } = (await get('/v1/slas/java/violations?window=12h')).body;
    const key = 'process_cpu{host="web-01",process="java"}';
    expect(violations).toEqual([
      {
        series: key,
        from: iso(noon - 8 * hour),
        to: iso(noon - 8 * hour + 240_000),
        durationSeconds: 240,
        side: 'above',
        worst: 90,
      },
      {
        series: key,
        from: iso(noon - 2 * hour),
        to: iso(noon - 2 * hour + 30_000),
        durationSeconds: 30,
        side: 'above',
        worst: 90,
      },
      { series: key, from: iso(noon - 60_000), to: iso(noon), durationSeconds: 60, side: 'above', worst: 90 },
    ]);
    const [status] = (await get('/v1/slas/status')).body.slas;
    expect(status).toMatchObject({ id: 'java', violated: true, problem: null });
    // 0.5 % of an hour are 18 s, of three 54, of twelve 216.
    expect(status.windows).toMatchObject([
      {
        window: '1h',
        violations: 1,
        violatedSeconds: 60,
        met: false,
        budgetSeconds: expect.closeTo(18, 6),
        coverage: 1,
      },
      { window: '3h', violations: 2, violatedSeconds: 90, met: false, budgetLeftSeconds: expect.closeTo(-36, 6) },
      { window: '12h', violations: 3, violatedSeconds: 330, met: false, budgetUsedUpAt: iso(noon) },
    ]);
    const csv = await app.inject('/v1/slas/java/violations?format=csv');
    expect(csv.body.split('\r\n')[1]).toBe(
      `"process_cpu{host=""web-01"",process=""java""}",${iso(noon - 8 * hour)},${iso(noon - 8 * hour + 240_000)},240,above,90`,
    );
  });

  test('changed half-way, and after a restart: the past is judged as it was', async () => {
    const { put, get, time, folder, store } = await setUp();
    await put({ ...definition, max: 95 }, '/v1/slas/java');
    time.now = noon - hour;
    await put(definition, '/v1/slas/java');
    time.now = noon;
    const before = (await get('/v1/slas/java/violations')).body.violations;
    expect(before).toMatchObject([{ from: iso(noon - 60_000) }]);
    const again = await makeApp({ store, slas: openSlas(folder, () => undefined) });
    expect((await again.get('/v1/slas/java/violations')).body.violations).toEqual(before);
    const { versions } = (await again.get('/v1/slas/java')).body;
    expect(versions).toMatchObject([
      { since: null, max: 95 },
      { since: iso(noon - hour), max: 80 },
    ]);
    // The same once more is no change.
    expect((await again.put(definition, '/v1/slas/java')).json().versions).toHaveLength(2);
  });

  test('defined while the clock was ahead: what is defined after that is in force at once', async () => {
    const { put, get, time } = await setUp();
    time.now = noon - 2 * hour;
    await put({ ...definition, max: 95 }, '/v1/slas/java');
    time.now = noon + 24 * hour;
    await put({ ...definition, max: 96 }, '/v1/slas/java');
    time.now = noon - hour;
    await put(definition, '/v1/slas/java');
    time.now = noon;
    expect((await get('/v1/slas/java')).body.versions).toMatchObject([
      { max: 95 },
      { max: 80, since: iso(noon - hour) },
    ]);
    expect((await get('/v1/slas/java/violations')).body.violations).toMatchObject([{ from: iso(noon - 60_000) }]);
  });

  test('a lower end, a window without data, and a series that is not there', async () => {
    const { put, get } = await setUp();
    await put(
      { selector: 'process_cpu{process="java"}', min: 50, objective: 90, windows: ['1m', '1h'] },
      '/v1/slas/low',
    );
    await put({ selector: 'process_cpu{process="nobody"}', min: 50, objective: 90 }, '/v1/slas/none');
    const [low, none] = (await get('/v1/slas/status')).body.slas;
    expect(low.windows).toMatchObject([
      { window: '1m', met: true, compliance: 100, budgetUsedUpAt: null },
      { window: '1h', met: false, violatedSeconds: 3540 },
    ]);
    expect(none).toMatchObject({ violated: null, windows: [{ coverage: 0, compliance: null, met: null }, {}, {}] });
    const empty = await get(`/v1/slas/low/violations?at=${iso(noon - 20 * hour)}`);
    expect(empty.body.violations).toEqual([]);
  });

  test('is deleted with all it was', async () => {
    const { app, get, put } = await makeApp();
    await put(definition, '/v1/slas/java');
    expect((await get('/v1/slas')).body.slas).toMatchObject([{ id: 'java' }]);
    expect((await app.inject({ method: 'DELETE', url: '/v1/slas/java' })).statusCode).toBe(200);
    expect((await get('/v1/slas')).body.slas).toEqual([]);
    expect((await get('/v1/slas/java')).body).toMatchObject({ code: 'not_found' });
    expect((await get('/v1/slas/java/violations')).status).toBe(404);
  });

  test('is told as CSV too: what it is, and how it stands', async () => {
    const { app, put } = await setUp();
    await put({ ...definition, windows: ['1h', '3h'] }, '/v1/slas/java');
    const lines = async (url: string) => (await app.inject(url)).body.split('\r\n');
    expect(await lines('/v1/slas?format=csv')).toEqual([
      'id,selector,min,max,objective,windows,since',
      'java,"process_cpu{process=""java""}",,80,99.5,"1h,3h",',
      '',
    ]);
    const [head, hourly, ...rest] = await lines('/v1/slas/status?format=csv');
    expect(head?.split(',').slice(0, 4)).toEqual(['id', 'objective', 'violated', 'window']);
    expect(hourly).toMatch(/^java,99.5,true,1h,[^,]+,[^,]+,1,60,1,98\.3\d*,false,18,-42,/);
    expect(rest).toHaveLength(2);
  });

  test('nothing is predicted of it before a step has ended', async () => {
    const { get, put } = await setUp();
    await put(definition, '/v1/slas/java');
    const none = { at: null, problem: null, predictions: [], budgets: [] };
    expect((await get('/v1/slas/java/predictions')).body).toEqual({ id: 'java', horizonSeconds: 600, ...none });
    expect((await get('/v1/slas/other/predictions')).status).toBe(404);
  });

  test.each([
    [{ ...definition, selector: 'process_cpu{' }, /label/],
    [{ ...definition, max: undefined }, /min, max or both/],
    [{ ...definition, min: 90 }, /above max/],
    [{ ...definition, objective: 101 }, /objective/],
    [{ ...definition, windows: ['1x'] }, /windows/],
    [{ ...definition, windows: ['90d'] }, /does not lie between 1s and 31d/],
    [{ ...definition, windows: ['1ms'] }, /does not lie between/],
    [{ ...definition, windows: ['1h', '60m'] }, /as long as each other/],
    [{ ...definition, maximum: 3 }, /maximum/],
  ])('%j is refused with a reason', async (wrong, why) => {
    const { put, get } = await makeApp();
    const answer = await put(wrong, '/v1/slas/java');
    expect([answer.statusCode, answer.json().detail]).toEqual([400, expect.stringMatching(why)]);
    expect((await get('/v1/slas')).body.slas).toEqual([]);
  });

  test('a number that JSON cannot hold is refused, and not kept as none', async () => {
    const { app } = await makeApp();
    const payload = '{"selector":"process_cpu","max":1e999,"objective":99}';
    const headers = { 'content-type': 'application/json' };
    const answer = await app.inject({ method: 'PUT', url: '/v1/slas/java', payload, headers });
    expect([answer.statusCode, answer.json().detail]).toEqual([400, expect.stringMatching(/max/)]);
  });

  test('a file that cannot be read is set aside, and of one that can in part the rest is kept', () => {
    const folder = temporaryFolder();
    const said: string[] = [];
    const open = (text: string) => {
      writeFileSync(join(folder, 'slas.json'), text);
      return openSlas(folder, (warning) => said.push(warning)).slas.map(({ id }) => id);
    };
    expect(open('[{"id": "x"')).toEqual([]);
    expect(said.splice(0)).toEqual([expect.stringMatching(/cannot be read, so there are no SLAs.*damaged/)]);
    const good = { id: 'good', versions: [{ since: 0, min: null, ...definition, windows: ['1h'] }] };
    expect(open(JSON.stringify([{ id: 'x', versions: [{ since: 0 }] }, good]))).toEqual(['good']);
    expect(said).toEqual([expect.stringMatching(/the SLA "x" is left out/)]);
    expect(readFileSync(join(folder, 'slas.json.damaged'), 'utf8')).toContain('"x"');
  });
});
