import { describe, expect, test } from 'vitest';
import { MonitorClient } from '../../src/client/monitor-client.ts';
import { type ClockDoubt, ServerClock } from '../../src/hosts/server-clock.ts';
import { openStore } from '../../src/store/open.ts';
import { body, iso, makeApp, retentionMs } from '../api/make-app.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';
import { tableRows } from '../table-rows.ts';

const minute = 60_000;
const day = 86_400_000;

function setUpClock(newestStored: number | null) {
  const time = { now: noon, monotonic: 0 };
  const clock = new ServerClock({ now: () => time.now, monotonic: () => time.monotonic }, newestStored);
  const pass = (ms: number) => {
    time.now += ms;
    time.monotonic += ms;
  };
  /** Collectors that report every minute, by clocks that differ by so much. */
  const report = (minutes: number, ...offsets: number[]) => {
    for (let k = 0; k < minutes; k++) {
      pass(minute);
      for (const [host, offset] of offsets.entries()) clock.hear(`host-${host}`, offset, false);
    }
  };
  return { time, clock, pass, report, isDoubted: () => clock.doubt() !== null };
}

describe("the server's own clock", () => {
  test('is believed at the first start, after a short pause, and when nobody reports', () => {
    expect(setUpClock(null).isDoubted()).toBe(false);
    const { pass, isDoubted } = setUpClock(noon - 59 * minute);
    pass(10 * day);
    expect(isDoubted()).toBe(false);
  });

  test.each([
    ['a long pause, or a clock that went ahead', noon - 3 * day, 'pause'],
    ['a clock that went back', noon + 3 * day, 'jump'],
  ])('%s before the start: until collectors have agreed for ten minutes', (_, newest, kind) => {
    const { clock, report, isDoubted } = setUpClock(newest);
    expect(clock.doubt()).toMatchObject({ aheadMs: noon - newest, kind });
    report(9, 1000, -2000, 3000);
    expect(isDoubted()).toBe(true);
    report(2, 1000, -2000, 3000);
    expect(isDoubted()).toBe(false);
  });

  test('a pause is a pause until a collector contradicts', () => {
    const { clock, report } = setUpClock(noon - 3 * day);
    const told = () => [clock.doubt()?.kind, clock.doubt()?.reason];
    expect(told()).toEqual(['pause', 'nothing was stored for 3d before the start']);
    report(1, 0);
    expect(clock.doubt()?.kind).toBe('pause');
    report(1, -3 * day);
    expect(told()).toEqual(['jump', "this server's clock went 3d ahead since the newest stored snapshot"]);
    expect(clock.hasJumped()).toBe(true);
  });

  test('one that has agreed once and then falls silent has not agreed for ten minutes', () => {
    const { pass, clock, report, isDoubted } = setUpClock(noon - 3 * day);
    report(1, 0);
    for (let k = 0; k < 30; k++) {
      pass(minute);
      expect(clock.doubt()).not.toBeNull();
    }
    expect(isDoubted()).toBe(true);
  });

  test("collectors on the server's own machine have its clock: they do not outvote another", () => {
    const { time, pass, clock, isDoubted } = setUpClock(noon);
    const hearFor = (minutes: number, local: number, remote: number | null) => {
      for (let k = 0; k < minutes; k++) {
        pass(minute);
        for (let n = 0; n < 3; n++) clock.hear(`local-${n}`, local, true);
        if (remote !== null) clock.hear('remote', remote, false);
      }
    };
    hearFor(5, 0, 0);
    time.now += 60 * day;
    hearFor(60, 0, -60 * day);
    expect(isDoubted()).toBe(true);
    hearFor(12, 0, 0);
    expect(isDoubted()).toBe(false);
    // Alone they count, once nothing is heard of the other any more.
    time.now += 60 * day;
    hearFor(30, 0, null);
    expect(isDoubted()).toBe(false);
  });

  test('after a jump a tie is no agreement', () => {
    const { time, report, isDoubted } = setUpClock(noon);
    report(5, 0, 0);
    time.now += 60 * day;
    report(60, 0, -60 * day);
    expect(isDoubted()).toBe(true);
  });

  test('a doubt outlasts a restart, whatever was stored in it', () => {
    let kept: ClockDoubt | null = null;
    const keep = (doubt: ClockDoubt | null) => {
      kept = doubt;
    };
    const time = { now: noon, monotonic: 0 };
    const read = { now: () => time.now, monotonic: () => time.monotonic };
    const first = new ServerClock(read, noon, { doubt: null, keep });
    time.now += 60 * day;
    expect(first.doubt()?.kind).toBe('jump');
    expect(kept).toMatchObject({ kind: 'jump' });
    // Its own collector has stored something meanwhile.
    const second = new ServerClock(read, time.now - 10_000, { doubt: kept, keep });
    expect(second.doubt()).toMatchObject({ kind: 'jump', aheadMs: 60 * day });
    second.confirm();
    expect([second.doubt(), kept]).toEqual([null, null]);
  });

  test('a machine that was suspended for a night has the right time', () => {
    const time = { now: noon, monotonic: 0, sinceBoot: 0 };
    const clock = new ServerClock(
      { now: () => time.now, monotonic: () => time.monotonic, sinceBoot: () => time.sinceBoot },
      noon,
    );
    const pass = (ms: number, suspended: number) => {
      time.now += ms + suspended;
      time.monotonic += ms;
      time.sinceBoot += ms + suspended;
    };
    for (let k = 0; k < 5; k++) {
      pass(minute, 0);
      expect(clock.doubt()).toBeNull();
      pass(minute, 8 * 3_600_000);
      expect(clock.doubt()).toBeNull();
    }
    time.now += 8 * 3_600_000;
    expect(clock.doubt()).toMatchObject({ kind: 'jump', aheadMs: 8 * 3_600_000 });
  });

  test('a jump while it runs, either way; agreement that breaks counts anew', () => {
    for (const jump of [3 * day, -3 * day, 6 * minute]) {
      const { time, report, isDoubted } = setUpClock(noon);
      report(30, 0);
      time.now += jump;
      expect(isDoubted(), `${jump}`).toBe(true);
      report(8, 0);
      report(1, day);
      report(8, 0);
      expect(isDoubted()).toBe(true);
      report(3, 0);
      expect(isDoubted()).toBe(false);
    }
  });

  test('a little off is no jump, and a clock that is put right by as much is none', () => {
    const { time, report, isDoubted } = setUpClock(noon);
    for (let k = 0; k < 100; k++) {
      time.now += 4 * minute;
      report(1, 0);
      expect(isDoubted()).toBe(false);
    }
  });

  test('most collectors decide; one that is wrong does not', () => {
    const { clock, report } = setUpClock(noon);
    report(10, 0, -3 * day);
    expect(clock.doubt()).toBeNull();
    report(20, 0, 0, -3 * day);
    expect(clock.doubt()).toBeNull();
    report(1, 0, -3 * day, -3 * day);
    expect(clock.doubt()).toMatchObject({ kind: 'disagreement', aheadMs: 3 * day });
    expect(clock.doubt()?.reason).toBe("the clocks of 2 of 3 collectors differ from this server's by more than 5m");
    report(1, 0, 0, -3 * day);
    expect(clock.doubt()).toBeNull();
  });

  test('a person may say that it is right, until it jumps again', () => {
    const { clock, time, report, isDoubted } = setUpClock(noon - 5 * day);
    report(5, 3 * day);
    expect(isDoubted()).toBe(true);
    clock.confirm();
    report(5, 3 * day);
    expect(isDoubted()).toBe(false);
    time.now += day;
    expect(isDoubted()).toBe(true);
  });
});

/** A server that is started on a store with its clock so far ahead, and one collector whose clock is right. */
async function startedAhead(aheadMs: number) {
  const store = await openStore('memory:', { retentionMs, warn: () => undefined });
  await store.append({ snapshots: [makeSnapshot({ host: 'before', time: noon - 10_000 })] });
  const made = await makeApp({ store, now: noon + aheadMs });
  const report = (host = 'web-01', times = [noon]) =>
    made.app.inject({
      method: 'PUT',
      url: '/v1/usage',
      headers: { date: new Date(noon).toUTCString() },
      payload:
        times.length === 1
          ? body({ host, time: iso(times[0] as number) })
          : times.map((time) => body({ host, time: iso(time) })),
    });
  const kept = async () =>
    tableRows(await store.page({ from: 0, to: 8e15, limit: 100, skip: 0 })).map(({ host }) => host);
  return { ...made, store, report, kept };
}

describe('expiry', () => {
  test('a server that runs three days ahead forgets nothing, takes what a right collector sends, and says why', async () => {
    const { app, get, report, kept } = await startedAhead(3 * day);
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const answer = await report();
    expect(answer.statusCode).toBe(204);
    // The first run of expiry is at the start.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await kept()).toEqual(['before', 'web-01']);
    const ready = await get('/health/ready');
    expect([ready.status, ready.body.warnings]).toEqual([
      200,
      [
        expect.stringMatching(
          /^this server's clock went 3d ahead since the newest stored snapshot: nothing is expired until .*: amberwatch store expire --confirm$/,
        ),
      ],
    ]);
    const { alarms } = (await get('/v1/alarms')).body;
    expect(alarms).toEqual([
      expect.objectContaining({
        level: 'AMBER',
        host: '(server)',
        metric: 'server.clockSkewSeconds',
        value: 3 * 86_400 + 10,
        reason:
          "this server's clock went 3d ahead since the newest stored snapshot; put it right, or, if it is right, say so: amberwatch store expire --confirm",
      }),
    ]);
    const client = new MonitorClient(url);
    expect((await client.expiry()).oldestKept).toBeNull();
    // Whoever has looked, and knows that the server was off for three days.
    expect(await client.confirmExpiry()).toMatchObject({ waiting: null, expiresItself: false });
    expect(await kept()).toEqual([]);
    await client.close();
  });

  test('after a night in which it was off nobody is alarmed; nothing is forgotten until collectors agree', async () => {
    const { get, kept } = await startedAhead(3 * day);
    expect((await get('/health/ready')).body.warnings).toEqual([]);
    expect((await get('/v1/alarms')).body.alarms).toEqual([]);
    expect((await get('/v1/store/expiry')).body.waiting).toMatch(
      /^nothing was stored for 3d before the start: nothing is expired until/,
    );
    expect(await kept()).toEqual(['before']);
  });

  test('once the clocks of the collectors agree it goes on by itself', async () => {
    const { app, report, get, time, kept } = await startedAhead(3 * day);
    const sent = (at: number) =>
      app.inject({
        method: 'PUT',
        url: '/v1/usage',
        headers: { date: new Date(at).toUTCString() },
        payload: body({ host: 'web-01', time: iso(at) }),
      });
    await report();
    for (let k = 0; k < 12; k++) {
      time.now += minute;
      await sent(time.now);
    }
    expect((await get('/health/ready')).body.warnings).toEqual([]);
    expect((await report('late')).json()).toEqual({ stored: 0, expired: 1 });
    expect(await kept()).not.toContain('late');
  });

  test('what is older than the retention is counted as that, and never as stored', async () => {
    const { app, report } = await startedAhead(0);
    const answer = await report('old', [noon - retentionMs - 1, noon - retentionMs - 2, noon - 20_000]);
    expect([answer.statusCode, answer.json()]).toEqual([200, { stored: 1, expired: 2 }]);
    const { body: metrics } = await app.inject('/metrics');
    for (const line of ['amberwatch_snapshots_expired_total 2', 'amberwatch_snapshots_stored_total 1'])
      expect(metrics).toContain(line);
  });

  test('more than a day ahead: 425, nothing is stored, and the one beside it can be sent alone', async () => {
    const { report, kept } = await startedAhead(0);
    const answer = await report('web-01', [noon, noon + day + 1]);
    expect([answer.statusCode, answer.json().code, answer.headers['retry-after']]).toEqual([425, 'too_early', '600']);
    expect(answer.json().detail).toMatch(
      /^the snapshot of 2\S+Z is 1d ahead of this server's clock: one of the two is wrong; keep it, and send it again later$/,
    );
    expect(await kept()).toEqual(['before']);
    expect((await report('web-01', [noon])).statusCode).toBe(204);
    expect((await report('web-01', [noon + day])).statusCode).toBe(204);
  });
});

test('readiness: while one try is under way nobody begins another', async () => {
  const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
  let tries = 0;
  let end: () => void = () => undefined;
  const ping = () => {
    tries++;
    return new Promise<void>((resolve) => {
      end = resolve;
    });
  };
  const { get, time } = await makeApp({ store: overStore(memory, { ping }) });
  const asked = [];
  for (let k = 0; k < 60; k++) {
    asked.push(get('/health/ready'));
    await new Promise((resolve) => setTimeout(resolve, 1));
    time.now += 1000;
  }
  end();
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array(60).fill(200));
  expect(tries).toBe(1);
});

test('readiness is tried with a write at most once a second', async () => {
  const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
  let tries = 0;
  const ping = async () => {
    tries++;
    if (tries > 1) throw new Error('no space left on device');
  };
  const { get, time } = await makeApp({ store: overStore(memory, { ping }) });
  for (let k = 0; k < 20; k++) expect((await get('/health/ready')).status).toBe(200);
  expect(tries).toBe(1);
  time.now += 1000;
  for (let k = 0; k < 20; k++) expect((await get('/health/ready')).status).toBe(503);
  expect(tries).toBe(2);
});
