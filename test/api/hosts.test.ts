import { describe, expect, test } from 'vitest';
import { emptyBook, issueToken } from '../../src/access/token.ts';
import { openForgottenHosts } from '../../src/hosts/forgotten-hosts-file.ts';
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
