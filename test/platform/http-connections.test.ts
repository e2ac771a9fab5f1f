import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { HttpConnections } from '../../src/platform/http-connections.ts';

let server: Server | undefined;
let connections: HttpConnections | undefined;
afterEach(() => {
  connections?.close();
  server?.closeAllConnections();
  server?.close();
});

async function setUp(listener: RequestListener): Promise<string> {
  server = createServer(listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => server?.once('listening', resolve));
  connections = new HttpConnections({ connectMs: 1000, silenceMs: 300 });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function asked(url: string, { body, signal }: { body?: string; signal?: AbortSignal } = {}): Promise<string> {
  const wanted = { method: 'PUT', signal: signal ?? AbortSignal.timeout(5000), ...(body !== undefined && { body }) };
  const answer = await (connections as HttpConnections).request(url, wanted);
  let text = '';
  for await (const piece of answer) text += String(piece);
  return text;
}

test('a connection is kept, and another is made where the other side has let go of it', async () => {
  const ports = new Set<number>();
  let requests = 0;
  const url = await setUp((request, response) => {
    ports.add(request.socket.remotePort as number);
    // As a server ends that answers and goes: with the next request on its way.
    if (++requests === 3) request.socket.destroy();
    else request.pipe(response);
  });
  expect(await asked(url, { body: 'one' })).toBe('one');
  expect(await asked(url, { body: 'two' })).toBe('two');
  expect(ports.size).toBe(1);
  expect(await asked(url, { body: 'three' })).toBe('three');
  expect([ports.size, requests]).toEqual([2, 4]);
});

test('one that was never used says that it was cut', async () => {
  const url = await setUp((request) => request.socket.destroy());
  await expect(asked(url)).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('who says nothing, and who stops in the middle, are told apart', async () => {
  const url = await setUp((request, response) => {
    if (request.url === '/half') response.write('half of ');
  });
  await expect(asked(url)).rejects.toMatchObject({ code: 'NO_ANSWER_IN_TIME' });
  await expect(asked(`${url}half`)).rejects.toMatchObject({ code: 'ANSWER_STOPPED' });
});

test('an answer that switches protocols is one that hangs up, and a client that is closed asks nobody again', async () => {
  let requests = 0;
  const url = await setUp((request) => {
    requests++;
    if (request.url === '/101')
      request.socket.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
  });
  await expect(asked(`${url}101`)).rejects.toMatchObject({ code: 'ECONNRESET' });
  const before = requests;
  const waiting = asked(url);
  waiting.catch(() => undefined);
  await sleep(100);
  connections?.close();
  await expect(waiting).rejects.toThrow('the client is closed');
  await expect(asked(url)).rejects.toThrow('the client is closed');
  await sleep(100);
  expect(requests).toBe(before + 1);
});

test('a handshake that stalls is a connection that is too late', async () => {
  const url = await setUp(() => undefined);
  server?.removeAllListeners('connection');
  connections?.close();
  connections = new HttpConnections({ connectMs: 200, silenceMs: 5000 });
  await expect(asked(url.replace('http:', 'https:'))).rejects.toMatchObject({ code: 'ETIMEDOUT' });
});

test('nobody waits any more: before an answer and in its middle the reason is given', async () => {
  const url = await setUp((request, response) => {
    if (request.url === '/half') response.write('half of ');
  });
  for (const path of ['', 'half']) {
    const ended = new AbortController();
    const answer = asked(`${url}${path}`, { signal: ended.signal });
    answer.catch(() => undefined);
    await sleep(100);
    ended.abort(new Error('nobody waits'));
    await expect(answer).rejects.toThrow('nobody waits');
  }
  await expect(asked(url, { signal: AbortSignal.abort(new Error('never')) })).rejects.toThrow('never');
});
