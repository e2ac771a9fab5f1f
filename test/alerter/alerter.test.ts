import { createServer } from 'node:http';
import fc from 'fast-check';
import picocolors from 'picocolors';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { Alerter, announceAll } from '../../src/alerter/alerter.ts';
import type { Announcement } from '../../src/alerter/announcement.ts';
import { Outbox } from '../../src/alerter/outbox.ts';
import { renderJson, renderLine } from '../../src/alerter/render.ts';
import { MonitorClient } from '../../src/client/monitor-client.ts';
import { MonitorError } from '../../src/core/error.ts';
import type { Snapshot } from '../../src/core/snapshot.ts';
import type { ConfiguredSource } from '../../src/sources/sources.ts';
import type { AlarmsAnswer } from '../../src/wire/alarm.ts';
import type { SourcesAnswer } from '../../src/wire/source.ts';
import { makeApp } from '../api/make-app.ts';
import { getJson } from '../e2e/program.ts';
import { freePort } from '../influxd.ts';
import { makeSnapshot, noon, type UsageGiven } from '../make-snapshot.ts';

const plain = picocolors.createColors(false);

async function setUp(thresholds: string[] = [], sources: ConfiguredSource[] = []) {
  const made = await makeApp({ thresholds, sources });
  const address = await made.app.listen({ host: '127.0.0.1', port: 0 });
  const client = new MonitorClient(address);
  afterAll(() => client.close());
  const said: string[] = [];
  const output = {
    announce: (announcement: Announcement) => said.push(renderLine(announcement, plain).replace(/^\S+ \S+ +/, '')),
    note: (_: number, message: string) => said.push(message),
  };
  const alerter = new Alerter({
    client,
    clock: { now: () => made.time.now, monotonic: () => made.time.now },
    pollMs: 1000,
    output,
    outbox: await Outbox.open(null),
    channels: [],
  });
  let seconds = 0;
  const step = async (processes: UsageGiven[], host = 'web-01') => {
    made.time.now = noon + ++seconds * 10_000;
    await made.store.append({ snapshots: [makeSnapshot({ host, time: made.time.now, processes })] });
    await alerter.poll();
    return said.splice(0);
  };
  return { ...made, client, alerter, said, step, address };
}

describe('alerter', () => {
  test('a host that is paused is said once, its alarms with it, and when it is looked at again', async () => {
    const { store, time, alerter, said, step, client } = await setUp();
    await step([{ name: 'yes', cpu: 99, pid: 7 }]);
    const pause = async (metrics: Snapshot['metrics'] = { 'collector.paused': 1 }) => {
      time.now += 10_000;
      await store.append({ snapshots: [makeSnapshot({ time: time.now, processes: [], metrics })] });
      await alerter.poll();
      return said.splice(0);
    };
    expect(await pause()).toEqual([
      'PAUSED web-01  paused: it lives, and is not looked at; to look at it again: amberwatch host set web-01 --resume',
      'PAUSED web-01  yes[7]  not looked at any more, since its host is paused; cpu was RED for 10s',
    ]);
    expect(await pause()).toEqual([]);
    expect(await announceAll(client)).toMatchObject({ level: 'PAUSED', summary: '0 RED, 0 AMBER, 0 STALE, 1 PAUSED' });
    time.now += 40_000;
    await alerter.poll();
    expect(said.splice(0)).toEqual([expect.stringMatching(/^STALE {2}web-01 {2}silent for /)]);
    await pause();
    expect(await pause({ 'system.cpu': 1 })).toEqual(['OK     web-01  is looked at again']);
  });

  test('says each change once, with all there is to know', async () => {
    const { step } = await setUp();
    const idle = { name: 'idle' };
    expect(await step([idle])).toEqual(['GREEN: nothing is over the line on 1 host']);
    expect(await step([idle])).toEqual([]);
    expect(await step([idle, { name: 'yes', cpu: 99.5, pid: 42 }])).toEqual([
      expect.stringMatching(/^RED +web-01 {2}yes\[42\] {2}cpu 99\.5 %, over 80\.0 % since \d\d:\d\d:\d\d$/),
    ]);
    expect(await step([idle, { name: 'yes', cpu: 98, pid: 42 }])).toEqual([]);
    // It stays RED until it has been down for half a minute.
    for (const cpu of [3, 76, 3, 3, 3]) expect(await step([idle, { name: 'yes', cpu, pid: 42 }])).toEqual([]);
    expect(await step([idle, { name: 'yes', cpu: 3, pid: 42 }])).toEqual([
      expect.stringMatching(/^OK +web-01 {2}yes\[42\] {2}cpu 3\.0 %, no longer over 80\.0 %; was RED for 1m 10s$/),
    ]);
    await step([idle, { name: 'yes', cpu: 99, pid: 43 }]);
    expect(await step([idle])).toEqual([
      expect.stringMatching(/^OK +web-01 {2}yes\[43\] {2}exited; cpu was RED for 10s$/),
    ]);
  });

  test('of two servers the one that knows less for a moment takes nothing back, and one that knows less for long is right', async () => {
    const { step, time, alerter, said, client, store, address } = await setUp();
    await step([{ name: 'yes', cpu: 2, pid: 42 }]);
    const before = await getJson<AlarmsAnswer>(`${address}/v1/alarms`);
    expect(await step([{ name: 'yes', cpu: 99.5, pid: 42 }])).toEqual([expect.stringMatching(/^RED/)]);
    const behind = vi.spyOn(client, 'alarms').mockResolvedValue(before);
    const waits = async (ms: number) => {
      time.now += ms;
      await alerter.poll();
      return said.splice(0);
    };
    expect(await waits(5000)).toEqual([]);
    expect(await waits(5000)).toEqual([]);
    behind.mockRestore();
    await store.append({ snapshots: [makeSnapshot({ host: 'web-02', time: time.now, processes: [] })] });
    expect(await waits(0)).toEqual([]);
    vi.spyOn(client, 'alarms').mockResolvedValue(before);
    expect(await waits(29_000)).toEqual([]);
    expect(await waits(2000)).toEqual([expect.stringMatching(/^OK +web-01 {2}yes\[42\]/)]);
  });

  test('worst first, and a silent host is STALE until it is back', async () => {
    const { step, time, alerter, said } = await setUp();
    const lines = await step([
      { name: 'a', cpu: 81 },
      { name: 'b', cpu: 200 },
    ]);
    expect(lines.map((line) => line.split(/ +/)[2]?.[0])).toEqual(['b', 'a']);
    time.now += 40_000;
    await alerter.poll();
    expect(said.splice(0)).toEqual([
      expect.stringMatching(
        /^STALE +web-01 {2}silent for 40s, last heard of at \d\d:\d\d:\d\d: its collector has ended, or the host or the network is down$/,
      ),
    ]);
    await alerter.poll();
    expect(said.splice(0)).toEqual([]);
  });

  test('a Prometheus that gives nothing is STALE with the reason, until it does', async () => {
    const prometheus = createServer((_, answer) => answer.end('{"data":{"result":[]}}'));
    const port = await freePort();
    const options = {
      name: 'lab',
      url: new URL(`http://127.0.0.1:${port}`),
      selectors: ['up'],
      intervalMs: 10_000,
      backfillMs: 1000,
      allowed: [{ address: '127.0.0.1', bits: 32 }],
    };
    const kept = { fetched: null, keep: async () => undefined };
    const { time, alerter, said, client, address } = await setUp([], [{ options, kept }]);
    await alerter.poll();
    said.splice(0);
    const isAway = async () => (await getJson<SourcesAnswer>(`${address}/v1/sources`)).sources[0]?.state === 'away';
    await vi.waitFor(async () => expect(await isAway()).toBe(true));
    time.now += 40_000;
    await alerter.poll();
    expect(said.splice(0)).toEqual([
      `STALE  (prometheus lab)  http://127.0.0.1:${port}/ gives nothing new: nothing listens there (connection refused); start it, or name the port it listens on`,
    ]);
    expect(await announceAll(client)).toMatchObject({ level: 'STALE' });
    prometheus.listen(port, '127.0.0.1');
    afterAll(() => prometheus.close());
    await vi.waitFor(async () => expect(await isAway()).toBe(false), { timeout: 20_000 });
    await alerter.poll();
    expect(said.splice(0)).toEqual(['OK     (prometheus lab)  it answers again, and what was missed is fetched']);
  });

  test('a host that has been silent for longer than snapshots are kept is forgotten, not OK', async () => {
    const { step, time, alerter, said, store } = await setUp();
    await step([{ name: 'a', cpu: 99 }]);
    time.now += 40_000;
    await alerter.poll();
    said.splice(0);
    time.now += 3 * 86_400_000;
    await store.expire(time.now);
    await alerter.poll();
    expect(said.splice(0).map((line) => line.replace(/ +/g, ' '))).toEqual([
      'STALE web-01 a forgotten: silent for longer than snapshots are kept',
      'STALE web-01 forgotten: silent for longer than snapshots are kept',
    ]);
  });

  test('a host that somebody has had forgotten is OK, and so are its alarms', async () => {
    const { step, time, alerter, said, client } = await setUp();
    await step([{ name: 'a', cpu: 99 }]);
    await expect(client.forgetHost('web-01')).rejects.toThrow(/still reports; stop its collector first/);
    time.now += 40_000;
    await alerter.poll();
    said.splice(0);
    await client.forgetHost('web-01');
    await alerter.poll();
    expect(said.splice(0).map((line) => line.replace(/ +/g, ' '))).toEqual([
      'OK web-01 a forgotten, as somebody has said',
      'OK web-01 forgotten, as somebody has said',
    ]);
  });

  test('what is new is said at once, although it cannot be found out how something else has ended', async () => {
    const { step, client } = await setUp(['cpu:red=80,hold=0']);
    await step([{ name: 'a', cpu: 99 }]);
    client.endings = async () => {
      throw new MonitorError('unavailable', 'busy');
    };
    expect(await step([{ name: 'b', cpu: 98 }])).toEqual([expect.stringMatching(/^RED +web-01 {2}b /)]);
    expect(await step([{ name: 'b', cpu: 98 }])).toEqual([]);
    // Not for ever.
    expect(await step([{ name: 'b', cpu: 98 }])).toEqual([
      expect.stringMatching(/^OK +web-01 {2}a {2}it has ended; how is not known; cpu was RED for 30s$/),
    ]);
  });

  test('a server of before, which does not tell how something has ended, is no reason to wait', async () => {
    const { step, client } = await setUp(['cpu:red=80,hold=0']);
    await step([{ name: 'a', cpu: 99 }]);
    client.endings = async () => {
      throw new MonitorError('not_found', 'Route POST:/v1/alarms/endings not found');
    };
    expect(await step([])).toEqual([expect.stringMatching(/^OK +web-01 {2}a {2}it has ended; how is not known/)]);
  });

  test('a channel that throws is tried again, and keeps the alerter neither from looking nor from ending', async () => {
    const { client, store, time } = await setUp();
    const lines: string[] = [];
    const alerter = new Alerter({
      client,
      clock: { now: () => time.now, monotonic: () => time.now },
      pollMs: 1000,
      outbox: await Outbox.open(null),
      channels: [],
      random: () => 0,
      output: {
        announce: ({ level }) => {
          if (lines.push(`announced ${level}`) === 1) throw new Error('the terminal is gone');
        },
        note: (_, message) => lines.push(message),
      },
    });
    await alerter.poll();
    lines.splice(0);
    await store.append({ snapshots: [makeSnapshot({ time: noon, processes: [{ name: 'a', cpu: 99 }] })] });
    time.now = noon;
    await alerter.poll();
    await vi.waitFor(() => expect(lines).toContain('the terminal takes messages again'));
    expect(lines).toEqual([
      'announced RED',
      'the terminal: the terminal is gone; trying again',
      'announced RED',
      'the terminal takes messages again',
    ]);
    await alerter.close();
  });

  test('a server that is away is said once, and its return once', async () => {
    const lines: string[] = [];
    const port = await freePort();
    const client = new MonitorClient(`http://127.0.0.1:${port}`);
    const time = { now: 0 };
    const clock = { now: () => time.now, monotonic: () => time.now };
    const alerter = new Alerter({
      client,
      clock,
      pollMs: 5000,
      outbox: await Outbox.open(null),
      channels: [],
      output: { announce: () => undefined, note: (_, message) => lines.push(message) },
    });
    await alerter.poll();
    await alerter.poll();
    expect(lines).toEqual([
      expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+ does not answer: .*; trying again every 5s$/),
    ]);
    const { app } = await makeApp();
    await app.listen({ host: '127.0.0.1', port });
    time.now = 65_000;
    await alerter.poll();
    expect(lines.slice(1)).toEqual([
      expect.stringMatching(/is back after 1m/),
      expect.stringMatching(/no host has reported yet/),
    ]);
    await client.close();
  });

  test.each([
    ['cpu:red=80,of=group', { cpu: 120, cpuMax: 60 }, { cpu: 40, cpuMax: 21 }, '120.0 %', '40.0 %'],
    ['cpu:red=80,of=group,basis=host', { cpu: 720, cpuMax: 300 }, { cpu: 400, cpuMax: 90 }, '90.0 %', '50.0 %'],
    ['cpu:red=80,basis=host', { cpu: 900, cpuMax: 720 }, { cpu: 600, cpuMax: 240 }, '90.0 %', '30.0 %'],
    ['memory:red=50,of=group', { memory: 90, memoryMax: 30 }, { memory: 45, memoryMax: 15 }, '90.0 %', '45.0 %'],
  ])('%s: the OK line tells the quantity that its RED line told', async (threshold, high, low, red, ok) => {
    const { step } = await setUp([`${threshold},hold=0`, 'system.cpu=100']);
    await step([{ name: 'pool', count: 4, ...low }]);
    const metric = threshold.startsWith('cpu') ? 'cpu' : 'memory';
    expect((await step([{ name: 'pool', count: 4, ...high }]))[0]).toContain(`${metric} ${red}, over `);
    expect((await step([{ name: 'pool', count: 4, ...low }]))[0]).toContain(`${metric} ${ok}, no longer over `);
  });

  test('all at once, for --once', async () => {
    const { step, client } = await setUp();
    await step([{ name: 'a', cpu: 81 }]);
    expect(await announceAll(client)).toMatchObject({
      level: 'RED',
      summary: '1 RED, 0 AMBER, 0 STALE',
      announcements: [{ process: 'a', metric: 'cpu', value: 81 }],
    });
  });
});

describe('rendering', () => {
  const announcement = (given: Partial<Announcement> = {}): Announcement => ({
    time: noon,
    level: 'RED',
    before: null,
    id: 'x',
    host: 'web-01',
    process: 'yes',
    pid: 42,
    metric: 'cpu',
    value: 99,
    threshold: 80,
    leadSeconds: null,
    state: 'firing',
    since: noon - 60_000,
    reason: 'cpu is over',
    prediction: null,
    ...given,
  });

  test('colours are there for a terminal and absent otherwise, the word always', () => {
    expect(renderLine(announcement(), picocolors.createColors(true))).toContain('\u001b[31m');
    expect(renderLine(announcement(), plain)).toMatch(/ {2}RED {4}web-01/);
  });

  test('AMBER gives its reason', () => {
    const line = renderLine(
      announcement({
        level: 'AMBER',
        metric: 'memory',
        value: 60,
        reason: 'rising 1.9 %/min, reaches 80 % in about 8 min (5-14)',
      }),
      plain,
    );
    expect(line).toContain('memory 60.0 %: rising 1.9 %/min, reaches 80 % in about 8 min (5-14) (it has come true)');
    const prediction = { probability: 0.998, etaSeconds: 480, intervalSeconds: [300, 840], notify: true };
    const amber = announcement({ level: 'AMBER', metric: 'memory', value: 60, reason: 'rising', prediction });
    expect(renderLine(amber, plain)).toMatch(/memory 60\.0 %: rising \(99 % likely\)$/);
    expect(renderLine({ ...amber, state: 'stale' }, plain)).toMatch(
      /its host has fallen silent, this was its last state$/,
    );
  });

  test('an AMBER that ends was never over the line, and RED says by how much it was foretold', () => {
    const ended = announcement({ level: 'OK', before: 'AMBER', value: 62, since: noon - 480_000 });
    expect(renderLine(ended, plain)).toMatch(/cpu 62\.0 %, not expected over 80\.0 % any more; was AMBER for 8m$/);
    const red = announcement({ before: 'AMBER', since: noon, leadSeconds: 540 });
    expect(renderLine(red, plain)).toMatch(/cpu 99\.0 %, over 80\.0 % since .*; predicted 9m before$/);
  });

  test('no name whatever writes a control character or a second line', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc
        .array(fc.constantFrom('\u001b]52;c;x\u0007', '\r', '\n', '\u009b31m', '\u202e', 'a'), { maxLength: 9 })
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(
        hostile,
        hostile,
        hostile,
        fc.constantFrom('RED', 'AMBER', 'STALE', 'OK'),
        (host, process, reason, level) => {
          const each = announcement({
            host,
            process,
            reason: `system.cpu is over; most by ${reason}`,
            level,
            metric: reason,
            before: 'RED',
            value: level === 'OK' ? null : 1,
          });
          expect(renderLine(each, plain)).not.toMatch(/[\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069]/u);
          expect(renderJson(each)).not.toMatch(/[\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069]/u);
          expect(JSON.parse(renderJson(each))).toMatchObject({ host, process });
        },
      ),
      { numRuns: 5000 },
    );
  });
});
