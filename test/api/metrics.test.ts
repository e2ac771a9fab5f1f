import { describe, expect, test } from 'vitest';
import { openStore } from '../../src/store/open.ts';
import { makeSnapshot } from '../make-snapshot.ts';
import { overStore } from '../over-store.ts';
import { body, iso, makeApp, retentionMs } from './make-app.ts';

/** Counts what a store is asked for. */
async function countingStore() {
  const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
  const asked = { rows: 0 };
  const store = overStore(memory, {
    rows: (snapshots, wanted, reading) => {
      // What alarms are made of is asked for by level.
      if (wanted?.top !== undefined) asked.rows++;
      return memory.rows(snapshots, wanted, reading);
    },
  });
  return { store, asked };
}

describe('GET /metrics', () => {
  test('of who is scraped again and again the newest usage is in memory, and the same as the store has', async () => {
    const { store, asked } = await countingStore();
    const { app, put, time } = await makeApp({ store });
    const processes = Array.from({ length: 100 }, (_, i) => ({
      name: `p${i}`,
      cpu: (i * 37) % 50,
      memory: (i * 11) % 7,
    }));
    const report = async (more = {}) => {
      time.now += 10_000;
      await put(body({ time: iso(time.now), processes, ...more }));
    };
    const usage = async () => {
      const lines = (await app.inject('/metrics')).body.split('\n');
      return lines.filter((line) => line.startsWith('amberwatch_process_')).sort();
    };
    await report();
    const fromStore = await usage();
    expect(asked.rows).toBe(1);
    expect(fromStore.length).toBeGreaterThan(40);
    await report();
    const fromMemory = await usage();
    expect(asked.rows).toBe(1);
    const values = (lines: string[]) => lines.map((line) => line.split(' ')[1]);
    expect(values(fromMemory)).toEqual(values(fromStore));
    // A backlog or another server may have brought a newer one: memory is not asked for that.
    time.now += 10_000;
    await store.append({ snapshots: [makeSnapshot({ time: time.now, processes: [{ name: 'new', cpu: 1 }] })] });
    // Nobody has scraped for a while: nothing is kept.
    time.now += 200_000;
    await report();
    await usage();
    expect(asked.rows).toBe(2);
  });

  test('a host that falls silent is gone with the next scrape, its alarms with it', async () => {
    const { app, put, time } = await makeApp();
    await put(body({ processes: [{ name: 'java', cpu: 99, memory: 1 }] }));
    const about = async () => {
      const { body } = await app.inject('/metrics');
      return body.split('\n').filter((line) => line.includes('host="web-01"')).length;
    };
    expect((await app.inject('/metrics')).body).toContain(
      'amberwatch_alarm{host="web-01",process="java",metric="process_cpu_max",level="RED",ip="127.0.0.1"} 1',
    );
    expect(await about()).toBeGreaterThan(4);
    time.now += 31_000;
    expect(await about()).toBe(0);
    expect((await app.inject('/metrics')).body).toContain('amberwatch_hosts{state="stale"} 1');
  });

  test('while the store is away the server tells of itself all the same', async () => {
    const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
    const store = overStore(memory, { latest: () => Promise.reject(new Error('away')) });
    const { app } = await makeApp({ store });
    const { body } = await app.inject('/metrics');
    expect(body).toContain('clients_connected 0\n');
    expect(body).toContain('nodejs_version_info');
    expect(body).not.toContain('amberwatch_hosts');
  });

  test('whoever asks for OpenMetrics is given that', async () => {
    const { app } = await makeApp();
    const accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5';
    const answer = await app.inject({ url: '/metrics', headers: { accept } });
    expect(answer.headers['content-type']).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect(answer.body).toMatch(/# EOF\n$/);
    expect((await app.inject('/metrics')).body).not.toContain('# EOF');
  });
});
