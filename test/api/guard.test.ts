import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { emptyBook, findToken, issueInvite, issueToken, revokeToken, rotateToken } from '../../src/access/token.ts';
import { TokenFile } from '../../src/access/token-file.ts';
import { readConfig } from '../../src/cli/config/read-config.ts';
import { serverAccess } from '../../src/cli/wiring/server-access.ts';
import { noon } from '../make-snapshot.ts';
import { openAccess } from '../open-access.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { body, makeApp } from './make-app.ts';

/** A server with one token of each kind. */
async function setUp() {
  const write = issueToken(emptyBook(), 'write', 'web-01', noon, null);
  const read = issueToken(write.book, 'read', null, noon, null);
  const admin = issueToken(read.book, 'admin', null, noon, 60_000);
  const access = openAccess(admin.book);
  const made = await makeApp({ access });
  const ask = (secret: string | null, method: 'GET' | 'PUT', url: string, payload?: object) =>
    made.app.inject({
      method,
      url,
      headers: secret === null ? {} : { authorization: `Bearer ${secret}` },
      ...(payload && { payload }),
    });
  return { ...made, access, ask, secrets: { write: write.secret, read: read.secret, admin: admin.secret } };
}

describe('who may do what', () => {
  test('every route and every role', async () => {
    const { app, ask, secrets } = await setUp();
    const routes = [
      ['GET', '/v1/hosts'],
      ['GET', '/v1/alarms'],
      ['GET', '/metrics'],
      ['GET', '/ressources-usage/get-all'],
      ['PUT', '/v1/usage', body()],
      ['GET', '/nowhere'],
      ['GET', '/health/live'],
      ['GET', '/docs/json'],
    ] as const;
    const answers: Record<string, (number | string)[]> = {};
    for (const [method, url, payload] of routes) {
      const codes = [];
      for (const secret of [null, 'aw_r_00000000_nonsense', secrets.write, secrets.read, secrets.admin])
        codes.push((await ask(secret, method, url, payload)).statusCode);
      answers[`${method} ${url}`] = codes;
    }
    expect(answers).toEqual({
      'GET /v1/hosts': [401, 401, 403, 200, 200],
      'GET /v1/alarms': [401, 401, 403, 200, 200],
      'GET /metrics': [401, 401, 403, 200, 200],
      'GET /ressources-usage/get-all': [401, 401, 403, 200, 200],
      'PUT /v1/usage': [401, 401, 204, 403, 204],
      'GET /nowhere': [401, 401, 403, 404, 404],
      'GET /health/live': [200, 200, 200, 200, 200],
      'GET /docs/json': [200, 200, 200, 200, 200],
    });
    expect((await app.inject('/v1/hosts')).headers['www-authenticate']).toBe('Bearer');
  });

  test('a write token reports its own host; one other in an array and nothing of it is stored', async () => {
    const { ask, secrets, store } = await setUp();
    const answer = await ask(secrets.write, 'PUT', '/v1/usage', [body(), body({ host: 'web-02' })]);
    expect(answer.statusCode).toBe(403);
    expect(answer.json().detail).toMatch(/may report 'web-01' and not 'web-02'/);
    expect(await store.latest(Number.MAX_SAFE_INTEGER)).toEqual([]);
    const older = {
      ipaddress: '1.2.3.4',
      data: [{ timestamp: noon / 1000, value: 1, process_name: 'x', type_data: 'cpu' }],
    };
    expect((await ask(secrets.write, 'PUT', '/ressources-usage/save-all', older)).statusCode).toBe(400);
    expect(await store.latest(Number.MAX_SAFE_INTEGER)).toEqual([]);
  });

  test('expired, revoked, and a file that vanished let nobody in', async () => {
    const { ask, secrets, time, access } = await setUp();
    const status = async (secret: string | null) => (await ask(secret, 'GET', '/v1/hosts')).statusCode;
    time.now += 61_000;
    expect([await status(secrets.admin), await status(secrets.read)]).toEqual([401, 200]);
    const read = findToken(access.tokens.book(), secrets.read, time.now);
    await access.tokens.issue((book) => ({ book: revokeToken(book, read?.id as string, time.now), secret: '' }));
    time.now += 1000;
    expect(await status(secrets.read)).toBe(401);
    await access.tokens.issue(() => ({ book: emptyBook(), secret: '' }));
    time.now += 1000;
    expect(await status(null)).toBe(401);
  });

  test.each([
    ['on loopback', '127.0.0.1:8000'],
    ['for others', '0.0.0.0:8000'],
  ])('%s: when the last unused code expires, tokens stay wanted and its own is still good', async (_, listen) => {
    const data = temporaryFolder();
    const config = readConfig({ listen, data }, {});
    const clock = { now: () => time.now, monotonic: () => time.now };
    const time = { now: noon };
    await new TokenFile(data).issue((book) => issueInvite(book, null, noon));
    const { access, secret } = serverAccess(config, clock);
    const { app, time: appTime } = await makeApp({ access });
    const status = async (headers: Record<string, string>) =>
      (await app.inject({ url: '/v1/hosts', headers })).statusCode;
    const own = { authorization: `Bearer ${secret}` };
    for (const laterMs of [0, 9 * 60_000, 10 * 60_000 + 1, 3_600_000, 30 * 86_400_000]) {
      time.now = appTime.now = noon + laterMs;
      expect([laterMs, await status(own), await status({})]).toEqual([laterMs, 200, 401]);
    }
  });

  test('a token file that cannot be read locks out neither its own daemons nor who may use the folder', async () => {
    const data = temporaryFolder();
    writeFileSync(new TokenFile(data).path, 'garbage');
    const clock = { now: () => noon, monotonic: () => noon };
    await expect(async () => serverAccess(readConfig({ data }, {}), clock)).rejects.toThrow(/cannot be read/);
    writeFileSync(new TokenFile(data).path, JSON.stringify({ tokens: [], invites: [] }));
    const { access, secret } = serverAccess(readConfig({ data }, {}), clock);
    const { app, time } = await makeApp({ access });
    writeFileSync(new TokenFile(data).path, 'garbage!');
    time.now += 1000;
    const status = async (headers: Record<string, string>) =>
      (await app.inject({ url: '/v1/hosts', headers })).statusCode;
    expect([await status({ authorization: `Bearer ${secret}` }), await status({})]).toEqual([200, 503]);
  });

  test('tokens that have all been revoked or expired open no door at the next start', async () => {
    const data = temporaryFolder();
    await new TokenFile(data).issue((book) => issueToken(book, 'read', null, noon, 1000));
    const clock = { now: () => noon + 5000, monotonic: () => noon };
    const { access } = serverAccess(readConfig({ data }, {}), clock);
    const { app } = await makeApp({ access, now: noon + 5000 });
    expect((await app.inject('/v1/hosts')).statusCode).toBe(401);
  });

  test('while a token is rotated both are valid, then only the new one', () => {
    const { book, secret } = issueToken(emptyBook(), 'write', 'a', noon, null);
    const id = book.tokens[0]?.id as string;
    const rotated = rotateToken(book, id, noon, 3_600_000);
    const valid = (at: number) => [secret, rotated.secret].map((each) => findToken(rotated.book, each, at) !== null);
    expect([valid(noon), valid(noon + 3_600_001)]).toEqual([
      [true, true],
      [false, true],
    ]);
    expect(findToken(rotated.book, rotated.secret, noon)).toMatchObject({ role: 'write', host: 'a' });
  });

  test('a code joins one host, once, within ten minutes', async () => {
    const { app, access, time, ask } = await setUp();
    const invite = (host: string | null) => access.tokens.issue((book) => issueInvite(book, host, time.now));
    const join = (code: string, host: string) =>
      app.inject({ method: 'POST', url: '/v1/join', payload: { code, host } });
    const code = await invite('new-host');
    expect((await join(code, 'other-host')).statusCode).toBe(403);
    const answer = await join(code.toLowerCase().replaceAll('-', ' '), 'new-host');
    expect(answer.statusCode).toBe(200);
    expect((await join(code, 'new-host')).statusCode).toBe(403);
    time.now += 1000;
    const { token } = answer.json();
    expect((await ask(token, 'PUT', '/v1/usage', body({ host: 'new-host' }))).statusCode).toBe(204);
    expect((await ask(token, 'PUT', '/v1/usage', body({ host: 'web-01' }))).statusCode).toBe(403);
    const late = await invite(null);
    time.now += 600_001;
    expect((await join(late, 'x')).statusCode).toBe(403);
    const statuses = [];
    for (let i = 0; i < 10; i++) statuses.push((await join('AAAA-BBBB-CCCC', 'x')).statusCode);
    expect(statuses.at(-1)).toBe(429);
  });

  test('10,000 tokens and hosts at random: nobody writes for another', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (own, other) => {
        const { book, secret } = issueToken(emptyBook(), 'write', own, noon, null);
        const token = findToken(book, secret, noon);
        expect(token?.host === other).toBe(own === other);
        expect(findToken(book, `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`, noon)).toBeNull();
      }),
      { numRuns: 500 },
    );
  });
});

describe('what a browser may be made to do', () => {
  test.each([
    ['127.0.0.1:8000', 200],
    ['[::1]:8000', 200],
    ['localhost:8000', 200],
    ['monitor.example.com', 200],
    ['MONITOR.example.com:8000', 200],
    ['evil.example.org', 403],
    ['localhost.evil.org:8000', 403],
    ['127.0.0.1.evil.org', 403],
  ])('host %s: %i', async (host, status) => {
    const { app } = await makeApp({ access: { ...openAccess(), hostNames: ['monitor.example.com'] } });
    const answer = await app.inject({ url: '/v1/hosts', headers: { host } });
    expect(answer.statusCode).toBe(status);
  });

  test('no other origin is allowed, nothing is framed, guessed or loaded from elsewhere', async () => {
    const { app } = await makeApp();
    const { headers } = await app.inject({ url: '/v1/hosts', headers: { origin: 'https://evil.example.org' } });
    expect(headers['access-control-allow-origin']).toBeUndefined();
    expect(headers['content-security-policy']).toMatch(/default-src 'self'.*frame-ancestors 'none'/);
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'x-frame-options': 'SAMEORIGIN' });
    expect((await app.inject({ method: 'OPTIONS', url: '/v1/usage' })).statusCode).toBe(404);
  });
});

describe('tokens that others write', () => {
  test('are read again when the file is replaced, and cannot be made here where it is only read', async () => {
    const [written, folder] = [temporaryFolder(), temporaryFolder()];
    const made = await new TokenFile(written).issue((book) => issueToken(book, 'read', null, noon, null));
    const path = `${folder}/mounted.json`;
    const tokens = new TokenFile('/nowhere', path);
    expect(tokens.book().tokens).toEqual([]);
    const mount = () => {
      // As a kubelet does it: another file in its place.
      writeFileSync(`${path}.next`, readFileSync(`${written}/tokens.json`));
      renameSync(`${path}.next`, path);
    };
    mount();
    expect(findToken(tokens.book(), made, noon)?.role).toBe('read');
    await new TokenFile(written).change((book) => revokeToken(book, book.tokens[0]?.id ?? '', noon));
    mount();
    expect(findToken(tokens.book(), made, noon)).toBeNull();
    const unwritable = new TokenFile('/nowhere', `${path}/tokens.json`);
    const issued = unwritable.issue((book) => issueToken(book, 'read', null, noon, null));
    await expect(issued).rejects.toThrow(/those of the file that --tokens names: make them where it is written/);
  });
});
