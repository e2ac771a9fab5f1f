import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { emptyBook, issueToken, revokeToken, type TokenBook } from '../../src/access/token.ts';
import type { AccessOptions } from '../../src/api/guard.ts';
import type { TcpAgentOptions } from '../../src/api/tcp/tcp-agents.ts';
import { MonitorError } from '../../src/core/error.ts';
import type { Records } from '../../src/core/store.ts';
import { ownAddress } from '../../src/platform/own-address.ts';
import { openStore } from '../../src/store/open.ts';
import { noon } from '../make-snapshot.ts';
import { openAccess } from '../open-access.ts';
import { overStore } from '../over-store.ts';
import { makeApp, retentionMs } from './make-app.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function setUp(
  given: Partial<TcpAgentOptions> = {},
  more: Parameters<typeof makeApp>[0] = {},
  host = '127.0.0.1',
) {
  const agents = { client: 'address' as const, counters: ['A_Pressed'], reply: null, allowed: [], ...given };
  const made = await makeApp({ ...more, agents });
  const port = await made.app.tcpAgents.listen({ host, port: 0 });
  const agent = async () => {
    const socket = connect(port, host);
    sockets.push(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  const metrics = async () => {
    made.time.now += 1000;
    return (await made.app.inject('/metrics')).body;
  };
  const says = (line: string) => vi.waitFor(async () => expect(await metrics()).toContain(`${line}\n`), waiting);
  const saysNot = (part: string) => vi.waitFor(async () => expect(await metrics()).not.toContain(part), waiting);
  const connected = (count: number) =>
    vi.waitFor(() => expect(made.app.tcpAgents.connected).toBe(count), { ...waiting, interval: 1 });
  return { ...made, port, agent, metrics, says, saysNot, connected };
}
const waiting = { timeout: 5000, interval: 20 };
const far = ownAddress() ?? '';

describe('messages of plain agents', () => {
  test('as they are: numbers, numbers in strings, counters, any key', async () => {
    const { agent, says, get } = await setUp();
    const socket = await agent();
    socket.write(
      '{"cpu": 6.0, "ram": 63.6, "disk": 60.8, "ram_total": 16558358528, "ram_available": 6022291456, "ram_used": 36.37, "client_no": 63552}',
    );
    socket.write('{"CPU_Utilization": 0.1}{"A_Pres');
    socket.write('sed": "1"}\n{"A_Pressed": "1"}{"THE PERCENTAGE OF CPU USAGE": 14.6, "no": "number", "nor": null}');
    await says('THE_PERCENTAGE_OF_CPU_USAGE{client="127.0.0.1",field="THE PERCENTAGE OF CPU USAGE"} 14.6');
    await says('cpu{client="127.0.0.1"} 6');
    await says('# TYPE ram_total untyped\nram_total{client="127.0.0.1"} 16558358528');
    await says('CPU_Utilization{client="127.0.0.1"} 0.1');
    await says('# TYPE A_Pressed_total counter\nA_Pressed_total{client="127.0.0.1"} 2');
    await says('clients_connected 1');
    const { series } = (await get(`/v1/series?series=${encodeURIComponent('ram{client="127.0.0.1"}')}`)).body;
    expect(series).toMatchObject([{ points: [{ value: 63.6 }] }]);
  });

  test('a client has the name that was chosen', async () => {
    const { agent, says } = await setUp({ client: 'address-port' });
    const socket = await agent();
    socket.write('{"cpu": 1}');
    await says(`cpu{client="127.0.0.1:${socket.localPort}"} 1`);
    const byField = await setUp({ client: { field: 'id' } });
    const gateway = await byField.agent();
    gateway.write('{"id": "one", "t": 1}{"id": 2, "t": 2}{"t": 3}');
    await byField.says('t{client="one"} 1\nt{client="2"} 2');
    await byField.says(`t{client="127.0.0.1:${gateway.localPort}"} 3`);
  });

  test('of who has gone nothing is told; a counter goes on where it was when its client is back', async () => {
    const { agent, says, saysNot, connected } = await setUp();
    const [first, second] = [await agent(), await agent()];
    first.write('{"cpu": 1, "A_Pressed": 3}');
    await says('cpu{client="127.0.0.1"} 1');
    second.write('{"cpu": 2}');
    await says('cpu{client="127.0.0.1"} 2');
    first.destroy();
    await connected(1);
    await saysNot('A_Pressed_total{');
    await says('cpu{client="127.0.0.1"} 2');
    second.end();
    await connected(0);
    await saysNot('\ncpu{');
    (await agent()).write('{"A_Pressed": 1}');
    await says('A_Pressed_total{client="127.0.0.1"} 4');
  });

  test('RED by a threshold, under the name of the client', async () => {
    const { agent, get } = await setUp({ client: 'address-port' }, { thresholds: ['cpu{}:red=90'] });
    const socket = await agent();
    socket.write('{"cpu": 97}');
    await vi.waitFor(async () => {
      const { alarms } = (await get('/v1/alarms')).body;
      expect(alarms).toMatchObject([{ level: 'RED', host: `127.0.0.1:${socket.localPort}`, metric: 'cpu', value: 97 }]);
    }, waiting);
  });

  test('a reply comes once a message is stored, in order, and not for one that is none', async () => {
    const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
    let isAway = true;
    const append = async (records: Records) => {
      if (isAway) throw new MonitorError('unavailable', 'away');
      return memory.append(records);
    };
    const { agent, app } = await setUp({ reply: 'OK\n' }, { store: overStore(memory, { append }) });
    const socket = await agent();
    let replies = '';
    socket.on('data', (text) => {
      replies += text;
    });
    socket.write('{"cpu": 1}{"cpu": 2}garbage{"cpu": 3}');
    await vi.waitFor(() => expect(app.tcpAgents.counts).toMatchObject({ messages: 3, invalid: 1 }), waiting);
    expect(replies).toBe('');
    isAway = false;
    await vi.waitFor(() => expect(replies).toBe('OK\nOK\nOK\n'), waiting);
  });

  test('figures of one connection are bounded, and one that is too long is sent away with a reason', async () => {
    const { agent, says, metrics, app } = await setUp();
    const socket = await agent();
    socket.write(JSON.stringify(Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`f${i}`, i]))));
    await says('amberwatch_tcp_fields_refused_total 100');
    expect((await metrics()).match(/^f\d+\{/gm)).toHaveLength(500);
    const long = await agent();
    const answer = once(long, 'data');
    long.write(`{"x": "${'x'.repeat(1024 * 1024)}`);
    expect(String(await answer)).toBe('{"code":"too_large","detail":"a message is longer than 1048576 bytes"}\n');
    await once(long, 'close');
    expect(app.tcpAgents.connected).toBe(1);
  });

  test('10,000 connects and drops leave the count exact', async () => {
    const { agent, connected, app } = await setUp();
    const staying = await Promise.all(Array.from({ length: 20 }, agent));
    for (let round = 0; round < 100; round++) {
      const some = await Promise.all(Array.from({ length: 100 }, agent));
      for (const [index, socket] of some.entries()) {
        if (index % 3 === 0) socket.write('{"cpu": 1}');
        if (index % 2 === 0) socket.destroy();
        else if (index % 5 === 0) socket.resetAndDestroy();
        else socket.end('{"cpu"');
      }
      sockets.length = staying.length;
    }
    await connected(20);
    for (const socket of staying) socket.destroy();
    await connected(0);
    expect([...app.tcpAgents.readings.current()]).toEqual([]);
  });
});

describe('what nobody should be able to do', () => {
  test.each([
    ['a first message that throws', '{"token": {"toString": 1}}'],
    ['a number that takes long to refuse', `{"a": "${'1'.repeat(500_000)}x"}`],
    ['keys without end', JSON.stringify(Object.fromEntries(Array.from({ length: 80_000 }, (_, i) => [`k${i}`, 1])))],
    ['depth without end', `{"a": ${'[1,{"b":'.repeat(20_000)}1${'}]'.repeat(20_000)}}`],
    ['names of objects', '{"__proto__": 1, "constructor": 2, "toString": 3}'],
  ])('%s: the server goes on', async (_, text) => {
    const { agent, says } = await setUp();
    const begin = performance.now();
    (await agent()).write(text);
    (await agent()).write('{"cpu": 1}');
    await says('cpu{client="127.0.0.1"} 1');
    expect(performance.now() - begin).toBeLessThan(3000);
  });

  test('a reply is not sent for what could not be stored', async () => {
    const memory = await openStore('memory:', { retentionMs, warn: () => undefined, newNamesPerDay: 5 });
    const { agent, app, says } = await setUp({ reply: 'OK\n' }, { store: memory });
    const socket = await agent();
    let replies = '';
    socket.on('data', (text) => {
      replies += text;
    });
    for (let i = 0; i < 5; i++) {
      socket.write(`{"f${i}": 1}`);
      await vi.waitFor(() => expect(replies).toBe('OK\n'.repeat(i + 1)), waiting);
    }
    socket.write('{"f9": 1}');
    await vi.waitFor(() => expect(app.tcpAgents.dropped).toBe(1), waiting);
    socket.write('{"f1": 2}');
    await vi.waitFor(() => expect(replies).toBe('OK\n'.repeat(6)), waiting);
    await says('amberwatch_tcp_samples_dropped_total 1');
  });

  test('a flood while the store is away costs no memory, and is stored as it ends', async () => {
    const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
    let isAway = true;
    const append = async (records: Records) => {
      if (isAway) throw new MonitorError('unavailable', 'away');
      return memory.append(records);
    };
    const { agent, app, store } = await setUp({ reply: 'OK' }, { store: overStore(memory, { append }) });
    const socket = await agent();
    for (let i = 0; i < 2000; i++) socket.write(`{"cpu": ${i}}`);
    await vi.waitFor(() => expect(app.tcpAgents.counts.messages).toBe(2000), waiting);
    isAway = false;
    await vi.waitFor(async () => {
      const [found] = await store.select({
        from: 0,
        to: noon + 1e6,
        series: { metric: 'cpu', matchers: [] },
        stepMs: null,
      });
      expect(found?.samples.at(-1)?.value).toBe(1999);
    }, waiting);
  });

  test('one that is sent away is not counted any more, whether it reads why or not', async () => {
    const { agent, connected } = await setUp({ reply: 'x'.repeat(1000) });
    const socket = await agent();
    socket.pause();
    await connected(1);
    for (let i = 0; i < 500; i++) socket.write('{"a": 1}');
    socket.write('garbage{"'.repeat(2000).replaceAll('{"', '{"\n'));
    await connected(0);
  });

  test('who hangs up while there is more of it than a turn takes is gone all the same', async () => {
    const { agent, connected, app, time } = await setUp();
    // Each look at the clock is a millisecond: a turn is a few messages.
    let ticks = 0;
    Object.defineProperty(time, 'now', { get: () => noon + ticks++ });
    const some = await Promise.all(Array.from({ length: 10 }, agent));
    for (const socket of some) socket.write('{"cpu": 1}'.repeat(20));
    await sleep(30);
    // It comes while the first is not all taken in.
    for (const socket of some) socket.end('{"cpu": 2}'.repeat(20));
    await vi.waitFor(() => expect(app.tcpAgents.counts.messages).toBe(400), waiting);
    await connected(0);
  });

  test('the server ends while agents go on sending', async () => {
    const memory = await openStore('memory:', { retentionMs, warn: () => undefined });
    const append = async (records: Records) => {
      await sleep(30);
      return memory.append(records);
    };
    const { agent, app } = await setUp({}, { store: overStore(memory, { append }) });
    const some = await Promise.all(Array.from({ length: 10 }, agent));
    const timers = some.map((socket) => setInterval(() => socket.write('{"cpu": 1}'), 5));
    await sleep(200);
    const begin = performance.now();
    await app.close();
    expect(performance.now() - begin).toBeLessThan(4500);
    for (const timer of timers) clearInterval(timer);
  });
});

describe.skipIf(far === '')('who is let in', () => {
  /** Over an address of this machine that is not loopback: as if from elsewhere. */
  async function setUpFar(given: Partial<TcpAgentOptions> = {}) {
    let book: TokenBook = emptyBook();
    const issue = (role: 'write' | 'read', owner: { source: string } | string | null) => {
      const issued = issueToken(book, role, owner, noon, null);
      book = issued.book;
      return issued.secret;
    };
    const secrets = {
      source: issue('write', { source: 'billing' }),
      host: issue('write', 'web-01'),
      read: issue('read', null),
    };
    const access: AccessOptions = { ...openAccess(), tokens: { ...openAccess().tokens, book: () => book } };
    const made = await setUp(given, { access }, far);
    const revoke = (secret: string) => {
      const record = book.tokens.find(({ id }) => secret.includes(id));
      book = revokeToken(book, record?.id as string, made.time.now);
    };
    const admin = issueToken(book, 'admin', null, noon, null);
    book = admin.book;
    const says = (line: string) =>
      vi.waitFor(async () => {
        made.time.now += 1000;
        const { body } = await made.app.inject({
          url: '/metrics',
          headers: { authorization: `Bearer ${admin.secret}` },
        });
        expect(body).toContain(`${line}\n`);
      }, waiting);
    return { ...made, secrets, revoke, says };
  }

  test('with a token, which says whose its series are; another is refused with a reason', async () => {
    const { agent, secrets, says, revoke, app, time } = await setUpFar();
    const [source, host, read, none] = [await agent(), await agent(), await agent(), await agent()];
    expect(app.tcpAgents.connected).toBe(0);
    source.write(`{"token": "${secrets.source}"}{"cpu": 5}`);
    host.write(`{"token": "${secrets.host}"}\n{"ram": 6}`);
    await says(`cpu{client="${far}",source="billing"} 5`);
    await says(`ram{client="${far}",host="web-01"} 6`);
    expect(app.tcpAgents.connected).toBe(2);
    read.write(`{"token": "${secrets.read}"}`);
    expect(JSON.parse(String((await once(read, 'data'))[0]))).toMatchObject({ code: 'forbidden' });
    none.write('{"cpu": 99}');
    expect(JSON.parse(String((await once(none, 'data'))[0]))).toMatchObject({ code: 'unauthorized' });
    revoke(secrets.source);
    time.now += 2000;
    source.write('{"cpu": 6}');
    expect(JSON.parse(String((await once(source, 'data'))[0]))).toMatchObject({ code: 'unauthorized' });
    await says('clients_connected 1');
  });

  test('nobody who sends anything else first, or too much', async () => {
    const { agent, app } = await setUpFar();
    for (const text of ['GET / HTTP/1.1\r\n', `{"token": "${'x'.repeat(5000)}`, '{}']) {
      const socket = await agent();
      const answer = once(socket, 'data');
      socket.write(text);
      expect(JSON.parse(String((await answer)[0])).detail).toMatch(/token|JSON|longer than 4096/);
    }
    expect(app.tcpAgents.counts).toMatchObject({ messages: 0, refused: 3 });
  });

  test('who is listed needs no token', async () => {
    const { agent, says } = await setUpFar({ allowed: [{ address: far, bits: 32 }] });
    (await agent()).write('{"cpu": 7}');
    await says(`cpu{client="${far}"} 7`);
  });

  test('on loopback a field called token is a field', async () => {
    const { agent, says } = await setUp();
    (await agent()).write('{"token": "abc", "cpu": 3}');
    await says('cpu{client="127.0.0.1"} 3');
  });
});

test('who has left does not keep the server from ending, and what was read is stored', async () => {
  const { agent, app, store } = await setUp();
  const [socket] = [await agent(), await agent()];
  socket.write('{"cpu": 42}');
  await vi.waitFor(() => expect(app.tcpAgents.counts.messages).toBe(1), waiting);
  await app.close();
  const selected = await store.select({
    from: 0,
    to: noon + 1e6,
    series: { metric: 'cpu', matchers: [] },
    stepMs: null,
  });
  expect(selected.map(({ samples }) => samples.length)).toEqual([1]);
  await sleep(0);
  expect(socket.destroyed || (await once(socket, 'close'))).toBeTruthy();
});
