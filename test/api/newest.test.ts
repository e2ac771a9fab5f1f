import { expect, test } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import type { NewestAnswer } from '../../src/wire/newest.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';
import { iso, makeApp, retentionMs } from './make-app.ts';

const processes = (names: string[]) =>
  names.map((name, k) => ({ name, cpu: 10 * k, memory: 50 - k, count: k + 1, pid: 100 + k }));

test('the newest snapshot of every host that is not silent, all of it or the highest', async () => {
  const { store, get, put } = await makeApp();
  await store.append({
    snapshots: [
      makeSnapshot({ host: 'silent', time: noon - 3_600_000, processes: processes(['x']) }),
      makeSnapshot({ host: 'b', time: noon - 20_000, processes: processes(['old']) }),
      makeSnapshot({ host: 'b', time: noon - 10_000, processes: processes(['p0', 'p1', 'p2', 'p3']) }),
    ],
  });
  await put({ host: 'a', time: iso(noon), processes: [{ name: 'nginx', cpu: 1, memory: 2 }] });
  const { body } = await get('/v1/usage/newest');
  // Of a host rows come in no order.
  for (const each of body.hosts) {
    const order = [...each.process.keys()].sort((a, b) => (each.process[a] < each.process[b] ? -1 : 1));
    for (const column of ['process', 'cpu', 'memory', 'count', 'pid'])
      each[column] = order.map((index) => each[column][index]);
  }
  expect(body).toEqual({
    at: iso(noon),
    hosts: [
      { host: 'a', time: iso(noon), process: ['nginx'], cpu: [1], memory: [2], count: [1], pid: [null] },
      {
        host: 'b',
        time: iso(noon - 10_000),
        process: ['p0', 'p1', 'p2', 'p3'],
        cpu: [0, 10, 20, 30],
        memory: [50, 49, 48, 47],
        count: [1, 2, 3, 4],
        pid: [100, 101, 102, 103],
      },
    ],
  } satisfies NewestAnswer);
  const top = (await get('/v1/usage/newest?host=b&top=1')).body as NewestAnswer;
  expect(top.hosts.map(({ process }) => process.toSorted())).toEqual([['p0', 'p3']]);
  expect((await get('/v1/usage/newest?host=nobody')).body.hosts).toEqual([]);
  expect((await get('/v1/usage/newest?top=-1')).status).toBe(400);
});

test('whoever asks within a second shares one answer, and what was stored since is in the next', async () => {
  const kept = await openStore('memory:', { retentionMs, warn: () => undefined });
  let reads = 0;
  const store = overStore(kept, {
    rows: (...asked) => {
      reads++;
      return kept.rows(...asked);
    },
  });
  await kept.append({ snapshots: [makeSnapshot({ host: 'a', time: noon - 10_000, processes: processes(['p0']) })] });
  const { get, put, time } = await makeApp({ store });
  await Promise.all(Array.from({ length: 50 }, () => get('/v1/usage/newest')));
  expect(reads).toBe(1);
  time.now += 1500;
  // From now on it is remembered as it comes.
  await put({ host: 'a', time: iso(time.now), processes: [{ name: 'new', cpu: 1, memory: 2 }] });
  const { hosts } = (await get('/v1/usage/newest')).body as NewestAnswer;
  expect([hosts[0]?.process, reads]).toEqual([['new'], 1]);
});

test('of the past it is as it was then', async () => {
  const { store, get } = await makeApp();
  const at = (k: number) => noon - 600_000 + k * 10_000;
  await store.append({
    snapshots: [0, 1, 2].map((k) => makeSnapshot({ host: 'a', time: at(k), processes: processes([`p${k}`]) })),
  });
  const names = async (k: number, more = '') =>
    ((await get(`/v1/usage/newest?at=${iso(at(k) + 1)}${more}`)).body as NewestAnswer).hosts.map(
      ({ process }) => process,
    );
  expect([await names(0), await names(1), await names(2, '&top=1')]).toEqual([[['p0']], [['p1']], [['p2']]]);
  // Silent by then, and not yet there.
  expect([await names(40), await names(-1)]).toEqual([[], []]);
});
