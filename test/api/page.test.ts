import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { emptyBook, findToken, issueToken, revokeToken, type TokenRecord } from '../../src/access/token.ts';
import { noon } from '../make-snapshot.ts';
import { openAccess } from '../open-access.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { makeApp } from './make-app.ts';

function builtPage(): string {
  const folder = join(temporaryFolder(), 'web');
  mkdirSync(folder);
  for (const file of ['index.html', 'page.js', 'page.css', 'favicon.svg'])
    writeFileSync(join(folder, file), `of ${file}`);
  return folder;
}

describe('the page', () => {
  test('is the same at the address of every view, lets nothing run that is not its own, and is asked for once', async () => {
    const { app } = await makeApp({ webFolder: builtPage() });
    for (const url of [
      '/',
      '/hosts',
      '/hosts/web-01/java',
      '/processes',
      '/alarms',
      '/slas/x',
      '/hosts/a%2Fb/%3Cscript%3E',
    ]) {
      const { statusCode, headers, body } = await app.inject(url);
      expect([url, statusCode, headers['content-type'], body]).toEqual([
        url,
        200,
        'text/html; charset=utf-8',
        'of index.html',
      ]);
      expect(headers['content-security-policy']).toMatch(
        /default-src 'none'.*script-src 'self'.*require-trusted-types-for 'script'/,
      );
      expect(headers['content-security-policy']).not.toMatch(/unsafe/);
    }
    const { headers, rawPayload } = await app.inject({
      url: '/web/page.js',
      headers: { 'accept-encoding': 'br, gzip' },
    });
    expect(headers).toMatchObject({ 'content-type': 'text/javascript; charset=utf-8', 'content-encoding': 'gzip' });
    expect(gunzipSync(rawPayload).toString()).toBe('of page.js');
    const again = await app.inject({ url: '/web/page.js', headers: { 'if-none-match': headers.etag as string } });
    expect([again.statusCode, again.body]).toEqual([304, '']);
    expect((await app.inject('/web/../package.json')).statusCode).toBe(404);
  });

  test('where it was not built / leads to the documentation', async () => {
    for (const webFolder of [undefined, join(temporaryFolder(), 'nothing')]) {
      const { app } = await makeApp(webFolder === undefined ? {} : { webFolder });
      const { statusCode, headers } = await app.inject('/');
      expect([statusCode, headers.location]).toEqual([302, '/docs']);
    }
  });
});

describe('a session', () => {
  const host = 'localhost:8000';

  /** A server with a read and an admin token, and the cookie of the admin. */
  async function setUp() {
    const read = issueToken(emptyBook(), 'read', null, noon, null);
    const admin = issueToken(read.book, 'admin', null, noon, null);
    const access = openAccess(admin.book);
    const made = await makeApp({ access });
    const signIn = (token: string, headers: Record<string, string> = {}) =>
      made.app.inject({ method: 'POST', url: '/v1/session', payload: { token }, headers: { host, ...headers } });
    const cookieOf = async (token: string) =>
      String((await signIn(token)).headers['set-cookie']).split(';')[0] as string;
    const ask = (headers: Record<string, string>, method: 'GET' | 'DELETE' = 'GET', url = '/v1/hosts') =>
      made.app.inject({ method, url, headers: { host, ...headers } });
    return { ...made, access, signIn, cookieOf, ask, read: read.secret, admin: admin.secret, book: admin.book };
  }

  test('is a cookie that no script can read and no other site sends', async () => {
    const { signIn, ask, cookieOf, read } = await setUp();
    const { statusCode, headers } = await signIn(read);
    expect([statusCode, headers['set-cookie']]).toEqual([
      204,
      expect.stringMatching(/^amberwatch-8000=aw_r_\S+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=2592000$/),
    ]);
    const cookie = await cookieOf(read);
    expect((await ask({ cookie })).statusCode).toBe(200);
    expect((await ask({ cookie, 'sec-fetch-site': 'same-origin' })).statusCode).toBe(200);
    expect((await ask({ cookie, 'sec-fetch-site': 'none' })).statusCode).toBe(200);
    for (const site of ['cross-site', 'same-site'])
      expect((await ask({ cookie, 'sec-fetch-site': site })).statusCode).toBe(401);
    expect((await ask({})).statusCode).toBe(401);
    // Another server of the same name, and a proxy that ends TLS.
    expect((await ask({ cookie, host: 'localhost:8001' })).statusCode).toBe(401);
    const behind = await signIn(read, { origin: 'https://monitor.example' });
    expect(behind.headers['set-cookie']).toMatch(/; Secure$/);
  });

  test('changes something only from the page itself', async () => {
    const { ask, cookieOf, admin } = await setUp();
    const cookie = await cookieOf(admin);
    const change = async (headers: Record<string, string>) =>
      (await ask({ cookie, ...headers }, 'DELETE', '/v1/slas/nothing')).statusCode;
    expect(await change({})).toBe(401);
    expect(await change({ 'sec-fetch-site': 'none' })).toBe(401);
    expect(await change({ 'sec-fetch-site': 'cross-site', origin: `http://${host}` })).toBe(401);
    expect(await change({ origin: 'http://evil.example' })).toBe(401);
    expect(await change({ origin: 'null' })).toBe(401);
    // Let through, and nothing is there.
    expect(await change({ origin: `http://${host}` })).toBe(404);
    expect(await change({ 'sec-fetch-site': 'same-origin' })).toBe(404);
  });

  test('begins with a token that may read, and ends with it, or when somebody signs out', async () => {
    const { signIn, ask, cookieOf, read, access, book, app, time } = await setUp();
    const writer = issueToken(book, 'write', 'web-01', noon, null);
    await access.tokens.issue(() => writer);
    expect((await signIn('aw_r_00000000_nonsense')).statusCode).toBe(401);
    expect((await signIn(writer.secret)).statusCode).toBe(403);
    expect((await signIn('a b')).statusCode).toBe(400);
    const cookie = await cookieOf(read);
    const out = await app.inject({ method: 'DELETE', url: '/v1/session', headers: { host, cookie } });
    expect([out.statusCode, out.headers['set-cookie']]).toEqual([
      204,
      expect.stringMatching(/^amberwatch-8000=; .*Max-Age=0/),
    ]);
    expect((await ask({ cookie }, 'GET', '/v1/session')).json()).toEqual({ signedIn: true });
    expect((await ask({}, 'GET', '/v1/session')).json()).toEqual({ signedIn: false });
    const { id } = findToken(access.tokens.book(), read, noon) as TokenRecord;
    await access.tokens.issue((known) => ({ book: revokeToken(known, id, noon), secret: '' }));
    time.now += 60_000;
    expect((await ask({ cookie })).statusCode).toBe(401);
  });

  test('is refused after ten tries in a minute', async () => {
    const { signIn } = await setUp();
    for (let k = 0; k < 10; k++) expect((await signIn('wrong')).statusCode).toBe(401);
    expect((await signIn('wrong')).statusCode).toBe(429);
  });
});
