import { rmSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { emptyBook, issueToken } from '../../src/access/token.ts';
import type { Store } from '../../src/core/store.ts';
import { openDesiredSettings } from '../../src/hosts/desired-settings-file.ts';
import { openForgottenHosts } from '../../src/hosts/forgotten-hosts-file.ts';
import { desiredHeader } from '../../src/wire/desired-settings.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { openAccess } from '../open-access.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { body, iso, makeApp } from './make-app.ts';

describe('a host that is gone for good', () => {
  async function setUp(data = temporaryFolder()) {
    const made = await makeApp({ forgotten: openForgottenHosts(data, () => undefined) });
    const report = (host: string, at: number) =>
      made.store.append({ snapshots: [makeSnapshot({ host, time: at, processes: [{ name: 'p', cpu: 95 }] })] });
    const names = async () => (await made.get('/v1/hosts')).body.hosts.map(({ host }: { host: string }) => host);
    const forget = (host: string) =>
      made.app.inject({ method: 'DELETE', url: `/v1/hosts/${encodeURIComponent(host)}` });
    const stale = async (query = '') =>
      (await made.get(`/v1/alarms${query}`)).body.stale.map(({ host }: { host: string }) => host);
    return { ...made, data, report, names, forget, stale };
  }

  test('is not listed, STALE or RED any more, and its history stays, as does what was said of the past', async () => {
    const { report, names, forget, stale, time, get, data, store } = await setUp();
    await report('gone', noon);
    await report('here', noon + 60_000);
    time.now = noon + 60_000;
    expect([await names(), await stale()]).toEqual([['gone', 'here'], ['gone']]);
    expect((await forget('gone')).json()).toEqual({ host: 'gone', at: iso(time.now) });
    expect([await names(), await stale()]).toEqual([['here'], []]);
    expect((await get('/v1/alarms')).body.alarms.map(({ host }: { host: string }) => host)).toEqual(['here']);
    expect((await get('/v1/hosts')).body.forgotten).toEqual([{ host: 'gone', at: iso(time.now) }]);
    expect((await get('/v1/hosts/gone')).status).toBe(404);
    time.now += 60_000;
    expect(await stale(`?at=${iso(noon + 59_000)}`)).toEqual(['gone']);
    expect(await stale(`?at=${iso(noon + 61_000)}`)).toEqual([]);
    expect((await get('/v1/usage/detailed?host=gone&window=1h')).body.processes.p).toHaveLength(1);
    // After a restart too.
    const again = await makeApp({ store, now: time.now, forgotten: openForgottenHosts(data, () => undefined) });
    expect((await again.get('/v1/hosts')).body.hosts.map(({ host }: { host: string }) => host)).toEqual(['here']);
  });

  test('is back when it reports again; old snapshots of it bring it back not', async () => {
    const { report, names, forget, time, put } = await setUp();
    await report('gone', noon);
    time.now = noon + 120_000;
    await forget('gone');
    await report('gone', noon + 30_000);
    expect(await names()).toEqual([]);
    time.now += 10_000;
    expect((await put(body({ host: 'gone', time: iso(time.now) }))).statusCode).toBe(204);
    expect(await names()).toEqual(['gone']);
  });

  test('one that still reports, or nobody knows, is refused', async () => {
    const { report, forget, names } = await setUp();
    await report('here', noon);
    expect((await forget('here')).json()).toMatchObject({
      code: 'conflict',
      detail: expect.stringMatching(/still reports/),
    });
    expect((await forget('nobody')).statusCode).toBe(404);
    expect(await names()).toEqual(['here']);
  });

  test('one that came back and dies later is STALE, and not as somebody has said', async () => {
    const { report, forget, time, get, put } = await setUp();
    await report('web', noon);
    time.now = noon + 60_000;
    await forget('web');
    time.now += 60_000;
    await put(body({ host: 'web', time: iso(time.now) }));
    const answer = async () => (await get('/v1/hosts')).body;
    expect((await answer()).hosts).toHaveLength(1);
    await expect.poll(async () => (await answer()).forgotten).toEqual([]);
  });

  test('many at once, and a restart while all are silent: none comes back', async () => {
    const { report, forget, time, names, store, data } = await setUp();
    const hosts = ['a', 'b', 'c', 'd', 'e'];
    for (const host of hosts) await report(host, noon);
    time.now = noon + 60_000;
    expect((await Promise.all(hosts.map(forget))).map(({ statusCode }) => statusCode)).toEqual(hosts.map(() => 200));
    expect(await names()).toEqual([]);
    const again = await makeApp({ store, now: time.now, forgotten: openForgottenHosts(data, () => undefined) });
    expect((await again.get('/v1/hosts')).body.hosts).toEqual([]);
  });

  test('any name may be forgotten', async () => {
    const { report, forget, names, time } = await setUp();
    const hostile = ['__proto__', 'constructor', 'a/b', 'ü ä'];
    for (const host of hostile) await report(host, noon);
    time.now = noon + 60_000;
    for (const host of hostile) expect([host, (await forget(host)).statusCode]).toEqual([host, 200]);
    expect(await names()).toEqual([]);
  });

  test('only an admin may say so', async () => {
    const read = issueToken(emptyBook(), 'read', null, noon, null);
    const admin = issueToken(read.book, 'admin', null, noon, null);
    const { app } = await makeApp({ access: openAccess(admin.book) });
    const status = async (secret: string) =>
      (await app.inject({ method: 'DELETE', url: '/v1/hosts/x', headers: { authorization: `Bearer ${secret}` } }))
        .statusCode;
    expect([await status(read.secret), await status(admin.secret)]).toEqual([403, 404]);
  });
});

describe('what is wanted of a collector', () => {
  async function setUp(data = temporaryFolder(), store?: Store) {
    const made = await makeApp({
      desired: openDesiredSettings(data, () => undefined),
      ...(store && { store }),
    });
    const set = (host: string, payload: object) =>
      made.app.inject({ method: 'PATCH', url: `/v1/hosts/${host}`, payload });
    const report = async (host: string, given: object = {}) => {
      made.time.now += 10_000;
      const answer = await made.put(body({ host, time: iso(made.time.now), ...given }));
      return answer.headers[desiredHeader];
    };
    return { ...made, data, set, report };
  }
  const paused = { processes: [], collector: { paused: 1 } };

  test('is told with the answer to its next snapshots, to it alone, and over a restart of the server', async () => {
    const { report, set, data, store, get } = await setUp();
    expect(await report('web-01')).toBeUndefined();
    await report('web-02');
    expect((await set('web-01', { interval: 30.5 })).json().desired).toEqual({ interval: 30.5, paused: false });
    expect((await set('web-01', { paused: true })).json().desired).toEqual({ interval: 30.5, paused: true });
    expect([await report('web-01'), await report('web-02')]).toEqual(['interval=30.5, paused', undefined]);
    expect((await get('/v1/hosts/web-01')).body).toMatchObject({
      state: 'fresh',
      interval: 10,
      desired: { interval: 30.5, paused: true },
    });
    const again = await setUp(data, store);
    again.time.now = noon + 60_000;
    expect(await again.report('web-01')).toBe('interval=30.5, paused');
    await again.set('web-01', { interval: null, paused: false });
    expect(await again.report('web-01')).toBeUndefined();
  });

  test('a paused host is PAUSED, neither STALE nor GREEN, its alarms are gone, and it is STALE once it is silent', async () => {
    const { report, get, time, app, put } = await setUp();
    await report('web-01', { processes: [{ name: 'java', cpu: 99, memory: 1 }] });
    await report('web-02');
    const [red] = (await get('/v1/alarms')).body.alarms;
    expect(red).toMatchObject({ level: 'RED', host: 'web-01' });
    await report('web-01', paused);
    expect((await get('/v1/alarms')).body).toMatchObject({
      level: 'PAUSED',
      alarms: [],
      stale: [],
      paused: [{ host: 'web-01', lastSeen: iso(time.now) }],
    });
    expect((await get('/v1/hosts/web-01')).body.state).toBe('paused');
    const { id, host, series, basis } = red;
    const payload = { alarms: [{ id, host, series, basis }], hosts: [] };
    const { ended } = (await app.inject({ method: 'POST', url: '/v1/alarms/endings', payload })).json();
    // A word that an alerter of before 0.6.0 does not know would end it.
    expect(ended).toEqual([{ id, host, how: 'unknown', value: null, paused: true, newestAt: iso(time.now) }]);
    // As it was then, whatever is now.
    const at = time.now;
    time.now += 10_000;
    expect((await get(`/v1/alarms?at=${iso(at)}`)).body).toMatchObject({ level: 'PAUSED' });
    const text = (await app.inject('/metrics')).body;
    expect(text).toContain('amberwatch_hosts{state="paused"} 1');
    expect(text).toContain('amberwatch_collector_paused{host="web-01"');
    time.now = at + 31_000;
    await put(body({ host: 'web-02', time: iso(time.now) }));
    expect((await get('/v1/alarms')).body).toMatchObject({ level: 'STALE', stale: [{ host: 'web-01' }], paused: [] });
    // Back again it is as any other; what was RED before the pause is so since it is looked at again.
    await report('web-01', { processes: [{ name: 'java', cpu: 98, memory: 1 }] });
    expect((await get('/v1/alarms')).body.alarms).toMatchObject([{ level: 'RED', value: 98, since: iso(time.now) }]);
  });

  test('nonsense and hosts nobody knows are refused with a sentence', async () => {
    const { report, set } = await setUp();
    await report('web-01');
    for (const payload of [{}, { interval: 0.1 }, { interval: 3601 }, { interval: '30s' }, { pause: true }])
      expect((await set('web-01', payload)).json()).toMatchObject({ code: 'invalid' });
    expect((await set('nobody', { paused: true })).json()).toMatchObject({ code: 'not_found' });
  });

  test('what cannot be kept is not said', async () => {
    const { set, report, data } = await setUp();
    await report('web-01');
    rmSync(data, { recursive: true });
    writeFileSync(data, '');
    expect((await set('web-01', { paused: true })).json()).toMatchObject({ code: 'unavailable' });
    expect(await report('web-01')).toBeUndefined();
  });

  test('only an admin may say it', async () => {
    const { book, secret } = issueToken(emptyBook(), 'admin', null, noon, null);
    const read = issueToken(book, 'read', null, noon, null);
    const access = { ...openAccess(), tokens: { ...openAccess().tokens, book: () => read.book } };
    const { app, store } = await makeApp({ access });
    await store.append({ snapshots: [makeSnapshot()] });
    const set = (token: string) =>
      app.inject({
        method: 'PATCH',
        url: '/v1/hosts/web-01',
        payload: { paused: true },
        headers: { authorization: `Bearer ${token}` },
      });
    expect([(await set(read.secret)).statusCode, (await set(secret)).statusCode]).toEqual([403, 200]);
  });
});
