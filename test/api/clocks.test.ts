import { describe, expect, test } from 'vitest';
import { ForgottenHosts } from '../../src/hosts/forgotten-hosts.ts';
import type { AlarmsAnswer } from '../../src/wire/alarm.ts';
import { noon } from '../make-snapshot.ts';
import { trustedClock } from '../trusted-clock.ts';
import { body, iso, makeApp } from './make-app.ts';

/** A host that reports every 10 s by a clock that is `aheadMs` off, and says so by its Date header. */
async function setUp(aheadMs: number) {
  const made = await makeApp();
  const reportAt = (at: number, cpu: number, host = 'web-01') =>
    made.app.inject({
      method: 'PUT',
      url: '/v1/usage',
      headers: { date: new Date(at).toUTCString() },
      payload: body({ host, time: iso(at), processes: [{ name: 'x', cpu, memory: 1 }] }),
    });
  /** Two hosts whose clocks agree with the server's: it is not the one that is wrong. */
  const rightOnes = () => Promise.all(['a', 'b'].map((host) => reportAt(made.time.now, 1, host)));
  const report = (cpu = 1) => reportAt(made.time.now + aheadMs, cpu);
  const alarms = async (): Promise<AlarmsAnswer> => (await made.get('/v1/alarms')).body;
  return { ...made, reportAt, report, rightOnes, alarms };
}

describe('clocks', () => {
  test.each([
    ['4m ahead', 240_000, "the clock of web-01 is 4m ahead of the server's"],
    ['an hour behind', -3_600_000, "the clock of web-01 is 1h behind the server's"],
  ])('%s: an AMBER of its own, and the host is as fresh as it reports', async (_, aheadMs, reason) => {
    const { report, rightOnes, alarms, time } = await setUp(aheadMs);
    await rightOnes();
    await report(99);
    const first = await alarms();
    expect(first.alarms.map((alarm) => [alarm.level, alarm.reason.split(' for ')[0]])).toEqual([
      ['RED', 'cpu is 99.0, over 80'],
      ['AMBER', reason],
    ]);
    expect(first.stale).toEqual([]);
    const levels = [];
    for (let k = 0; k < 4; k++) {
      time.now += 10_000;
      await report(1);
      levels.push((await alarms()).alarms.map((alarm) => alarm.level).join(' '));
    }
    expect(levels).toEqual(['RED AMBER', 'RED AMBER', 'RED AMBER', 'AMBER']);
    time.now += 30_000;
    await rightOnes();
    expect((await alarms()).stale).toEqual([]);
    time.now += 1000;
    expect((await alarms()).stale.map(({ host }) => host)).toEqual(['web-01']);
  });

  test('a few seconds are no reason to say anything', async () => {
    const { report, alarms } = await setUp(25_000);
    await report();
    expect((await alarms()).level).toBe('GREEN');
  });

  test.each([10, -10])('a host whose clock is %i years off reports, is said, and is not evaluated', async (years) => {
    const { report, rightOnes, alarms, get } = await setUp(years * 365 * 86_400_000);
    await rightOnes();
    await report(99);
    const { level, alarms: found } = await alarms();
    expect(level).toBe('AMBER');
    expect(found.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/^the clock of web-01 is .* its snapshots are not evaluated$/),
    ]);
    expect((await get('/v1/hosts')).body.hosts.map(({ host }: { host: string }) => host)).toEqual(['a', 'b']);
  });

  test('a clock that jumps ahead and back: what came meanwhile hides nothing afterwards', async () => {
    const { reportAt: put, rightOnes, time, alarms } = await setUp(0);
    await rightOnes();
    await put(noon, 1);
    time.now = noon + 10_000;
    await put(noon + 86_400_000, 99);
    expect((await alarms()).alarms.map((alarm) => alarm.metric)).toEqual(['collector.clockSkewSeconds']);
    expect((await alarms()).stale).toEqual([]);
    time.now = noon + 20_000;
    await put(noon + 20_000, 99);
    expect((await alarms()).alarms.map((alarm) => alarm.metric)).toEqual(['cpu']);
  });

  test("the server's own clock jumps an hour: nobody is STALE who reports", async () => {
    const { app, store } = await makeApp();
    await app.close();
    const time = { now: noon, monotonic: 0 };
    const { KnownHosts } = await import('../../src/hosts/known-hosts.ts');
    const { isStale } = await import('../../src/core/alarm.ts');
    const { makeSnapshot } = await import('../make-snapshot.ts');
    const hosts = new KnownHosts({
      store,
      clock: { now: () => time.now, monotonic: () => time.monotonic },
      forgotten: new ForgottenHosts(undefined, { now: () => time.now, monotonic: () => time.monotonic }, 0),
      serverClock: trustedClock(),
      before: [],
      bootId: null,
    });
    const snapshot = makeSnapshot({ time: noon });
    hosts.hear([snapshot], noon);
    await store.append({ snapshots: [snapshot] });
    hosts.markStored(snapshot);
    time.now += 3_600_000;
    time.monotonic += 20_000;
    expect((await hosts.now()).map((header) => isStale(header, time.now))).toEqual([false]);
    time.monotonic += 11_000;
    expect((await hosts.now()).map((header) => isStale(header, time.now))).toEqual([true]);
  });

  test('a clock set back by an hour: the host is fresh, and judged by what it sends now', async () => {
    const { reportAt: put, rightOnes, time, alarms } = await setUp(0);
    await rightOnes();
    await put(noon, 1);
    for (let i = 1; i <= 6; i++) {
      await rightOnes();
      time.now = noon + i * 10_000;
      await put(time.now - 3_600_000, 99);
    }
    const now = await alarms();
    expect(now.stale).toEqual([]);
    expect(now.alarms.map((alarm) => [alarm.level, alarm.metric, alarm.state])).toEqual([
      ['RED', 'cpu', 'firing'],
      ['AMBER', 'collector.clockSkewSeconds', 'firing'],
    ]);
  });

  test.each([
    ['45 s behind', -45_000],
    ['2 min ahead', 120_000],
    ['an hour behind', -3_600_000],
  ])('%s: what was seen live is what a replay of that instant sees', async (_, aheadMs) => {
    const { report, rightOnes, alarms, get, time } = await setUp(aheadMs);
    const live: [at: number, said: unknown[]][] = [];
    const said = ({ level, alarms: found, stale }: AlarmsAnswer) => [
      level,
      found.map(({ metric, level: each, since }) => [metric, each, since]),
      stale.map(({ host }) => host),
    ];
    // 99 for a minute, and then quiet again: each is there for its own stretch and no other.
    for (let k = 0; k < 18; k++) {
      await rightOnes();
      await report(k >= 6 && k < 12 ? 99 : 1);
      time.now += 2_500;
      live.push([time.now, said(await alarms())]);
      time.now += 7_500;
    }
    expect(live.some(([, [level]]) => level === 'RED')).toBe(true);
    for (const [at, expected] of live)
      expect(said((await get(`/v1/alarms?at=${iso(at)}`)).body), `${(at - noon) / 1000} s`).toEqual(expected);
  });

  test('the alarm of a clock tells since when it is off, live, after a restart and in a replay', async () => {
    const { app, store, report, reportAt, rightOnes, alarms, time } = await setUp(-60_000);
    await rightOnes();
    await reportAt(noon, 1);
    const began = noon + 10_000;
    for (let k = 1; k <= 6; k++) {
      time.now = noon + k * 10_000;
      await rightOnes();
      await report();
    }
    const sinceOf = ({ alarms: found }: AlarmsAnswer) => found.map(({ metric, since }) => [metric, since]);
    const expected = [['collector.clockSkewSeconds', iso(began)]];
    expect(sinceOf(await alarms())).toEqual(expected);
    await app.close();
    const again = await makeApp({ store });
    again.time.now = time.now + 10_000;
    expect(sinceOf((await again.get('/v1/alarms')).body)).toEqual(expected);
    await again.app.inject({
      method: 'PUT',
      url: '/v1/usage',
      headers: { date: new Date(again.time.now - 60_000).toUTCString() },
      payload: body({ time: iso(again.time.now - 60_000) }),
    });
    expect(sinceOf((await again.get('/v1/alarms')).body)).toEqual(expected);
    expect(sinceOf((await again.get(`/v1/alarms?at=${iso(again.time.now)}`)).body)).toEqual(expected);
  });

  describe("the server's clock jumps while hosts go on", () => {
    /** Three hosts whose clocks are right, by a server whose clock is `offMs` off from minute 2 to minute 4. */
    async function jumping(offMs: number, cpu: number, bad: { host: string; behindMs: number } | null = null) {
      const made = await setUp(0);
      const { reportAt, alarms, time } = made;
      const trueNow = () => time.now - time.jumpedMs;
      const jump = (ms: number) => {
        time.now += ms;
        time.jumpedMs += ms;
      };
      const rounds: { minute: number; answer: AlarmsAnswer }[] = [];
      for (let k = 0; k < 48; k++) {
        if (k === 12) jump(offMs);
        if (k === 24) jump(-offMs);
        for (const host of ['a', 'b', 'c']) await reportAt(trueNow(), cpu, host);
        if (bad) await reportAt(trueNow() - bad.behindMs, cpu, bad.host);
        time.now += 5_000;
        rounds.push({ minute: k / 6, answer: await alarms() });
        time.now += 5_000;
      }
      return { ...made, rounds };
    }

    test.each([
      ['an hour back', -3_600_000],
      ['an hour ahead', 3_600_000],
      ['seven minutes ahead', 420_000],
    ])('%s: what is over the line is RED all the while, nobody is STALE, and one AMBER says why', async (_, offMs) => {
      const { rounds, get } = await jumping(offMs, 99);
      for (const { minute, answer } of rounds) {
        const red = answer.alarms.filter(({ level }) => level === 'RED').map(({ host }) => host);
        expect([minute, red.sort(), answer.stale]).toEqual([minute, ['a', 'b', 'c'], []]);
        const amber = answer.alarms.filter(({ level }) => level === 'AMBER').map(({ host }) => host);
        // Once its clock has jumped it is believed again when hosts have agreed for ten minutes.
        expect([minute, amber]).toEqual([minute, minute < 2 ? [] : ['(server)']]);
      }
      // A replay of the time of the jump, asked when it is over.
      const then = (await get(`/v1/alarms?at=${iso(noon + 180_000)}`)).body as AlarmsAnswer;
      expect([then.alarms.map(({ host }) => host).sort(), then.stale]).toEqual([['a', 'b', 'c'], []]);
    });

    test('two days back: nothing can be taken, and what was there before is STALE and not shown as of now', async () => {
      const { rounds } = await jumping(-2 * 86_400_000, 99);
      const during = rounds.filter(({ minute }) => minute >= 2.6 && minute < 4);
      for (const { minute, answer } of during)
        expect([minute, answer.stale.map(({ host }) => host).sort()]).toEqual([minute, ['a', 'b', 'c']]);
      expect(rounds.at(-1)?.answer.stale).toEqual([]);
    });

    test('a host whose clock is off is fresh all the while, and its own AMBER stays as it was', async () => {
      const { rounds } = await jumping(400_000, 1, { host: 'bad', behindMs: 120_000 });
      for (const { minute, answer } of rounds) {
        expect([minute, answer.stale]).toEqual([minute, []]);
        const clocks = answer.alarms.filter(({ metric }) => metric === 'collector.clockSkewSeconds');
        expect([minute, clocks.map(({ host, value, since }) => [host, value, since])]).toEqual([
          minute,
          [['bad', 120, iso(noon)]],
        ]);
      }
    });
  });

  test('one machine, its clock an hour ahead for an hour and put right: its alarms are never hidden', async () => {
    const { report, alarms, time } = await setUp(0);
    const levels: string[] = [];
    const run = async (rounds: number, cpu: number) => {
      for (let k = 0; k < rounds; k++) {
        await report(cpu);
        time.now += 10_000;
        levels.push((await alarms()).alarms.some(({ level }) => level === 'RED') ? 'R' : '-');
      }
    };
    const jump = (ms: number) => {
      time.now += ms;
      time.jumpedMs += ms;
    };
    await run(6, 1);
    jump(3_600_000);
    await run(90, 1);
    jump(-3_600_000);
    await run(90, 99);
    expect(levels.join('')).toBe(`${'-'.repeat(96)}${'R'.repeat(90)}`);
  });

  test('a backlog of a host whose clock is off stands where it was taken', async () => {
    const { app, report, rightOnes, get, time } = await setUp(-3_600_000);
    for (let k = 0; k < 6; k++) {
      await rightOnes();
      await report(1);
      time.now += 10_000;
    }
    // Away for two minutes, at 99 %, and then all of it in one array.
    const times = Array.from({ length: 12 }, (_, k) => time.now + k * 10_000);
    time.now += 120_000;
    await rightOnes();
    await app.inject({
      method: 'PUT',
      url: '/v1/usage',
      headers: { date: new Date(time.now - 3_600_000).toUTCString() },
      payload: times.map((at) => body({ time: iso(at - 3_600_000), processes: [{ name: 'x', cpu: 99, memory: 1 }] })),
    });
    await report(1);
    const then = (await get(`/v1/alarms?at=${iso(time.now - 60_000)}`)).body as AlarmsAnswer;
    const red = then.alarms.filter(({ level }) => level === 'RED');
    expect(red.map(({ host, since }) => [host, since])).toEqual([['web-01', iso(times[0] as number)]]);
    expect(then.stale.map(({ host }) => host)).not.toContain('web-01');
  });

  test.each([
    ['4 min ahead', 240_000],
    ['an hour behind', -3_600_000],
  ])("%s: since when it is RED is told by the server's clock", async (_, aheadMs) => {
    const { report, rightOnes, alarms, time } = await setUp(aheadMs);
    for (let k = 0; k < 8; k++) {
      await rightOnes();
      await report(k < 3 ? 1 : 99);
      time.now += 10_000;
    }
    const red = (await alarms()).alarms.find(({ level }) => level === 'RED');
    expect([red?.since, red?.leadSeconds]).toEqual([iso(noon + 30_000), null]);
  });

  test('what a snapshot says the server has measured is not believed', async () => {
    const { put, get } = await setUp(0);
    await put(body({ collector: { clockSkewSeconds: 4000, clockSkewSinceMs: 1, taken: 1 } }));
    expect((await get('/v1/hosts')).body.hosts[0].collector).toEqual({ taken: 1 });
  });

  test('a host with a clock that is off falls silent: its clock is not right again', async () => {
    const { report, alarms, time } = await setUp(120_000);
    await report();
    time.now += 60_000;
    const now = await alarms();
    expect(now.stale.map(({ host }) => host)).toEqual(['web-01']);
    expect(now.alarms.map((alarm) => [alarm.metric, alarm.state])).toEqual([['collector.clockSkewSeconds', 'stale']]);
  });

  test('what comes late raises no RED for the past', async () => {
    const { put, time, alarms } = await setUp(0);
    await put(body({ time: iso(noon), processes: [{ name: 'x', cpu: 1, memory: 1 }] }));
    const late = Array.from({ length: 30 }, (_, i) =>
      body({ time: iso(noon - 3_600_000 + i * 10_000), processes: [{ name: 'x', cpu: 99, memory: 1 }] }),
    );
    await put(late);
    expect((await alarms()).level).toBe('GREEN');
    time.now = noon - 3_600_000 + 200_000;
    const then = await (await setUp(0)).get('/v1/alarms');
    expect(then.body.level).toBe('GREEN');
  });
});
