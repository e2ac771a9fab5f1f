import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { verdictOf } from '../../src/collector/verdict.ts';
import { AgreedRecord } from '../../src/core/agreement.ts';
import type { DesiredSettings } from '../../src/core/collector-settings.ts';
import type { ServerRole } from '../../src/core/server-role.ts';
import type { Store } from '../../src/core/store.ts';
import { Watchers } from '../../src/forecast/watchers.ts';
import { MemoryStore } from '../../src/store/memory.ts';
import { AgreementsInMemory } from '../agreements-in-memory.ts';
import { noon } from '../make-snapshot.ts';
import { body, iso, makeApp, retentionMs } from './make-app.ts';

const whole = { index: 1, of: 1 };
const having = (...roles: ServerRole[]) => ({ roles, share: whole });
const newStore = (): Store => new MemoryStore({ retentionMs, warn: () => undefined });
const sentAt = (time: number) => ({ date: new Date(time).toUTCString() });

describe('roles', () => {
  test('each server does its part, and refuses the rest so that nothing is lost', async () => {
    const store = newStore();
    const [ingest, query, watch] = await Promise.all(
      (['ingest', 'query', 'watch'] as const).map((role) => makeApp({ store, duties: having(role) })),
    );
    expect((await ingest?.put(body()))?.statusCode).toBe(204);
    const refused = await query?.put(body({ time: iso(noon + 1) }));
    expect(refused?.json()).toMatchObject({
      status: 503,
      detail: 'this server has the role query and does not answer PUT /v1/usage; ask one with the role ingest',
    });
    // A collector that was pointed at it keeps what it has.
    expect(verdictOf({ status: refused?.statusCode ?? 0 }, 1)).toBe('later');
    expect(await query?.get('/v1/hosts')).toMatchObject({ status: 200, body: { hosts: [{ host: 'web-01' }] } });
    expect((await ingest?.get('/v1/hosts'))?.status).toBe(503);
    expect((await watch?.get('/v1/usage/mean'))?.status).toBe(503);
    for (const [app, status] of [
      [ingest, 503],
      [query, 200],
      [watch, 200],
    ] as const)
      expect((await app?.get('/v1/alarms'))?.status).toBe(status);
    for (const app of [ingest, query, watch]) {
      expect((await app?.get('/health/live'))?.status).toBe(200);
      const metrics = await app?.app.inject({ url: '/metrics' });
      expect(metrics?.statusCode).toBe(200);
      expect(metrics?.body.includes('amberwatch_process_cpu')).toBe(app === query);
    }
  });

  test('a watcher tells the alarms of its share, and both together tell all', async () => {
    const store = newStore();
    const hosts = Array.from({ length: 20 }, (_, k) => `web-${k}`);
    const all = await makeApp({ store });
    for (const host of hosts)
      for (const ago of [80_000, 40_000, 0])
        await all.put(
          body({ host, time: iso(noon - ago), interval: 40, processes: [{ name: 'java', cpu: 99, memory: 1 }] }),
        );
    const watchers = await Promise.all(
      [1, 2].map((index) => makeApp({ store, duties: { roles: ['watch'], share: { index, of: 2 } } })),
    );
    const told = await Promise.all(
      [all, ...watchers].map(async ({ get }) =>
        ((await get('/v1/alarms')).body.alarms as { host: string }[]).map(({ host }) => host).sort(),
      ),
    );
    const [one = [], two = []] = told.slice(1);
    expect(told[0]).toEqual([...hosts].sort());
    expect([...one, ...two].sort()).toEqual(told[0]);
    expect(Math.min(one.length, two.length)).toBeGreaterThan(3);
  });
});

describe('what only one server has heard', () => {
  test('is the same at the other within an interval, whichever a host sends to', async () => {
    const store = newStore();
    const [one, two] = await Promise.all([makeApp({ store }), makeApp({ store })]);
    const send = async (to: typeof one, time: number, skewMs = 0) => {
      for (const app of [one, two]) app.time.now = time;
      await to.app.inject({
        method: 'PUT',
        url: '/v1/usage',
        headers: sentAt(time + skewMs),
        payload: body({ time: iso(time + skewMs), interval: 10 }),
      });
    };
    const seen = async () =>
      Promise.all(
        [one, two].map(async ({ get }) => {
          const [{ lastSeen, state }] = (await get('/v1/hosts')).body.hosts;
          const { stale, alarms } = (await get('/v1/alarms')).body;
          return { lastSeen, state, stale: stale.length, alarms: alarms.length };
        }),
      );
    for (const [index, to] of [one, one, two, two, two, two, one, two].entries()) {
      await send(to, noon + index * 10_000);
      const [a, b] = await seen();
      expect(a).toEqual(b);
      expect(a).toMatchObject({ lastSeen: iso(noon + index * 10_000), state: 'fresh', stale: 0 });
    }
    // Its clock goes off while it sends to the second alone: the first says so too.
    for (let k = 10; k < 20; k++) await send(two, noon + k * 10_000, 90_000);
    const skews = await Promise.all(
      [one, two].map(async ({ get }) =>
        (await get('/v1/alarms')).body.alarms.map((each: { metric: string }) => each.metric),
      ),
    );
    expect(skews[0]).toEqual(skews[1]);
    expect(skews[0]).toEqual(['collector.clockSkewSeconds']);
    for (const app of [one, two]) app.time.now = noon + 300_000;
    const [a, b] = await seen();
    expect(a).toEqual(b);
    expect(a).toMatchObject({ state: 'stale', stale: 1 });
  });

  test('what one is told of a host the other does soon after', async () => {
    const agreements = new AgreementsInMemory();
    const store = Object.assign(newStore(), { agreements });
    const record = () => {
      const agreed = new AgreedRecord<DesiredSettings>(agreements, 'desired', () => noon);
      return { hosts: {}, keep: agreed.keep.bind(agreed), read: () => agreed.read() };
    };
    const [one, two] = await Promise.all([1, 2].map(() => makeApp({ store, desired: record() })));
    await two?.app.listen({ port: 0, host: '127.0.0.1' });
    await one?.put(body());
    const patched = await one?.app.inject({ method: 'PATCH', url: '/v1/hosts/web-01', payload: { paused: true } });
    expect(patched?.statusCode).toBe(200);
    const answer = async (k: number) => (await two?.put(body({ time: iso(noon + k) })))?.headers['amberwatch-desired'];
    let k = 0;
    await expect.poll(() => answer(++k), { timeout: 10_000, interval: 200 }).toMatch(/paused/);
  });
});

describe('watchers of one store', () => {
  test('say who is missing, and one that has ended is missed at once', async () => {
    const agreements = new AgreementsInMemory();
    const time = { now: noon };
    const clock = { now: () => time.now, monotonic: () => time.now };
    const make = (index: number, id: string) =>
      new Watchers({
        agreements,
        id,
        duties: { roles: ['watch'], share: { index, of: 2 } },
        clock,
        log: pino({ level: 'silent' }),
      });
    const [one, two] = [make(1, 'a'), make(2, 'b')];
    const asks = make(1, 'c');
    expect(await asks.problem()).toMatch(/nobody forecasts/);
    one.start();
    two.start();
    await expect.poll(() => asks.problem()).toBeNull();
    await two.close();
    expect(await asks.problem()).toMatch(/nobody watches share 2\/2/);
    time.now += 60_000;
    expect(await asks.problem()).toMatch(/nobody forecasts/);
    await one.close();
  });
});
