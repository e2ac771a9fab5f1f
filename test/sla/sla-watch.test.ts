import { expect, test } from 'vitest';
import type { MetricSample } from '../../src/core/sample.ts';
import { parseSelector } from '../../src/core/selector.ts';
import { SlaWatch } from '../../src/sla/sla-watch.ts';
import { Slas } from '../../src/sla/slas.ts';
import { openStore } from '../../src/store/open.ts';
import { makeApp } from '../api/make-app.ts';
import { makeSnapshot, noon } from '../make-snapshot.ts';

const definition = { selector: 'process_cpu', min: null, max: 80, objective: 99, windows: ['1h'] };

async function setUp() {
  const store = await openStore('memory:', { retentionMs: 2 * 86_400_000, warn: () => undefined });
  const time = { now: noon };
  const clock = { now: () => time.now, monotonic: () => time.now };
  const said: string[] = [];
  const log = { info: () => undefined, warn: (text: unknown) => said.push(String(text)), error: () => undefined };
  const slas = new Slas(undefined);
  const written: MetricSample[] = [];
  const write = async (samples: readonly MetricSample[]) => {
    written.push(...samples);
    await store.append({ samples });
  };
  const put = (cpu: number) =>
    store.append({ snapshots: [makeSnapshot({ host: 'a', time: time.now, processes: [{ name: 'java', cpu }] })] });
  return {
    store,
    slas,
    time,
    said,
    written,
    put,
    watch: new SlaWatch({ store, slas, clock, log, write, everyMs: 60_000 }),
  };
}

test('tells how much of each budget is used, and when an SLA is gone', async () => {
  const { slas, time, written, put, watch } = await setUp();
  await slas.set('java', definition, noon);
  for (; time.now < noon + 60_000; time.now += 10_000) await put(time.now < noon + 18_000 ? 90 : 10);
  await watch.look();
  // 20 s of the 36 that 1 % of an hour are.
  expect(written).toMatchObject([
    { series: { labels: { source: 'amberwatch', sla: 'java', window: '1h' } }, value: 55.6, time: time.now },
  ]);
  await slas.remove('java');
  await watch.look();
  await watch.look();
  expect(written.slice(1)).toMatchObject([{ value: 'exited' }]);
});

test('an objective of 100 % has no budget: the first violation uses up all of it', async () => {
  const { slas, time, written, put, watch } = await setUp();
  await slas.set('java', { ...definition, objective: 100 }, noon);
  await put(10);
  time.now += 10_000;
  await watch.look();
  await put(90);
  time.now += 10_000;
  await watch.look();
  expect(written.map(({ value }) => value)).toEqual([0, 1000]);
});

test('one that cannot be told is said once, and keeps no other from being told', async () => {
  const { store, slas, time, said, written, watch } = await setUp();
  const processes = Array.from({ length: 1100 }, (_, k) => ({ name: `p${k}`, cpu: 1 }));
  await store.append({ snapshots: [makeSnapshot({ host: 'a', time: noon, processes })] });
  await slas.set('all', definition, noon);
  await slas.set('one', { ...definition, selector: 'process_cpu{process="p7"}' }, noon);
  time.now += 10_000;
  await watch.look();
  await watch.look();
  expect(said).toEqual([expect.stringMatching(/^SLA all is not watched: the selector names more than 1000 series/)]);
  expect(written.map(({ series }) => series.labels.sla)).toEqual(['one', 'one']);
});

test('a budget that is used up is RED like anything else over its line', async () => {
  const { store, slas, time, put, watch } = await setUp();
  await slas.set('java', definition, noon);
  for (; time.now < noon + 120_000; time.now += 10_000) await put(90);
  await watch.look();
  const { get } = await makeApp({ store, now: time.now + 1000 });
  const { alarms } = (await get('/v1/alarms')).body;
  const red = alarms.filter(({ metric }: { metric: string }) => metric.startsWith('amberwatch_sla'));
  expect(red).toMatchObject([{ level: 'RED', host: 'amberwatch', value: 333.3, threshold: 100 }]);
  expect(parseSelector(red[0].series).matchers).toContainEqual({ label: 'sla', operator: '=', value: 'java' });
});
