import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MonitorError } from '../../src/core/error.ts';
import { RecentTimes, rememberedTimes } from '../../src/store/duckdb/recent-times.ts';
import { GroupCommit } from '../../src/store/group-commit.ts';

const limits = { group: 10, queue: 100 };
const settled = (promises: Promise<unknown>[]) =>
  Promise.allSettled(promises).then((results) =>
    results.map((result) => (result.status === 'fulfilled' ? 'ok' : result.reason.message)),
  );

test('what arrives while a group is written forms the next, bounded by weight', async () => {
  const groups: number[][] = [];
  const commit = new GroupCommit<number>(
    async (group) => {
      groups.push(group);
      await sleep(5);
    },
    (weight) => weight,
    limits,
  );
  const first = commit.add(1);
  await sleep(1);
  await Promise.all([first, ...[4, 5, 3, 20, 1].map((weight) => commit.add(weight))]);
  expect(groups).toEqual([[1], [4, 5], [3], [20], [1]]);
});

test('one bad item fails alone', async () => {
  const commit = new GroupCommit<number>(
    async (group) => {
      if (group.includes(3)) throw new Error('bad');
    },
    () => 1,
    limits,
  );
  expect(await settled([1, 2, 3, 4].map((item) => commit.add(item)))).toEqual(['ok', 'ok', 'bad', 'ok']);
});

test('an outage in the middle of single tries ends them', async () => {
  let writes = 0;
  const commit = new GroupCommit<number>(
    async (group) => {
      writes++;
      if (group.length > 1) throw new Error('bad');
      if (group[0] === 2) throw new MonitorError('timeout', 'away');
    },
    () => 1,
    limits,
  );
  expect(await settled([1, 2, 3, 4].map((item) => commit.add(item)))).toEqual(['ok', 'away', 'away', 'away']);
  expect(writes).toBe(3);
});

test('an outage fails the group at once, without a try for each', async () => {
  let writes = 0;
  const commit = new GroupCommit<number>(
    async () => {
      writes++;
      throw new MonitorError('unavailable', 'away');
    },
    () => 1,
    limits,
  );
  expect(await settled([1, 2, 3].map((item) => commit.add(item)))).toEqual(['away', 'away', 'away']);
  expect(writes).toBe(1);
});

test('a full queue refuses at once and says when to come back', async () => {
  const commit = new GroupCommit<number>(
    () => sleep(20),
    (weight) => weight,
    limits,
  );
  const waiting = [commit.add(60), commit.add(40)];
  await expect(commit.add(1)).rejects.toMatchObject({ code: 'unavailable', retryAfterSeconds: 5 });
  expect(await settled(waiting)).toEqual(['ok', 'ok']);
  await expect(commit.add(1)).resolves.toBeUndefined();
});

test('exclusive work runs when nothing is written, also after a failure', async () => {
  let writing = false;
  const commit = new GroupCommit<number>(
    async () => {
      writing = true;
      await sleep(5);
      writing = false;
    },
    () => 1,
    limits,
  );
  void commit.add(1);
  expect(await commit.exclusive(async () => writing)).toBe(false);
  await expect(commit.exclusive(() => Promise.reject(new Error('x')))).rejects.toThrow('x');
  await commit.add(2);
});

test('recent times know what is new, what is stored, and when only the database knows', () => {
  const recent = new RecentTimes();
  expect(recent.lookUp(1, 5)).toBe('new');
  for (let i = 0; i <= rememberedTimes; i++) recent.add(1, 100 + i);
  expect([99, 100, 101, 100 + rememberedTimes, 999].map((time) => recent.lookUp(1, time))).toEqual([
    'ask',
    'ask',
    'stored',
    'stored',
    'new',
  ]);
  recent.add(1, 150.5);
  expect(recent.lookUp(1, 150.5)).toBe('stored');
  recent.load(2, [30, 10, 20]);
  expect([5, 10, 15].map((time) => recent.lookUp(2, time))).toEqual(['new', 'stored', 'new']);
  recent.distrust(2, 40);
  recent.add(2, 5);
  expect([20, 40, 41].map((time) => recent.lookUp(2, time))).toEqual(['ask', 'ask', 'new']);
});
