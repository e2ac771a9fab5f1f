import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emptyBook, issueToken } from '../../src/access/token.ts';
import type { AccessOptions } from '../../src/api/guard.ts';
import type { Store } from '../../src/core/store.ts';
import { makeApp } from '../api/make-app.ts';
import { makeSnapshot, type UsageGiven } from '../make-snapshot.ts';
import { openAccess } from '../open-access.ts';
import { hasBrowser, openPage, startBrowser, textOf } from './browser.ts';

const webFolder = fileURLToPath(new URL('../../dist/web', import.meta.url));
const minute = 60_000;
const hostile = `<script>window.stolen=1</script><img src=x onerror="window.stolen=1">\u202e\u2066rtl`;
const long = `long-${'x'.repeat(240)}`;

const canRun = hasBrowser();
if (!canRun) process.stderr.write('skipped: all that needs a browser; on Debian: apt-get install chromium\n');

let browser: Browser;
beforeAll(async () => {
  if (canRun) browser = await startBrowser();
});
afterAll(() => browser?.close());

/** Two hosts over two hours up to now; `yes` is over its line since ten minutes. */
async function fill(store: Store, now: number): Promise<void> {
  for (let time = now - 120 * minute; time <= now; time += 30_000) {
    const isOver = time > now - 10 * minute;
    const processes: UsageGiven[] = [
      { name: 'yes', cpu: isOver ? 99 : 3 },
      { name: 'nginx', cpu: 10 + 5 * Math.sin(time / 6e5), memory: 4 },
      { name: hostile, cpu: 2 },
      { name: long, cpu: 1 },
    ];
    const of = (host: string) =>
      makeSnapshot({ host, time, intervalMs: 30_000, processes, metrics: { 'system.cpu': isOver ? 60 : 12 } });
    await store.append({ snapshots: [of('web-01'), of('web-02')] });
  }
}

/** The server with its page on a port of its own. */
async function serve(options: { isEmpty?: boolean; access?: AccessOptions } = {}) {
  const now = Date.now();
  const made = await makeApp({ now, webFolder, ...(options.access && { access: options.access }) });
  if (!options.isEmpty) await fill(made.store, now);
  await made.app.listen({ port: 0, host: '127.0.0.1' });
  const url = `http://127.0.0.1:${(made.app.server.address() as AddressInfo).port}`;
  return { ...made, url, now };
}

const views = [
  ['/', 'Over the line'],
  ['/hosts', 'web-02'],
  ['/hosts/web-01', 'nginx'],
  ['/hosts/web-01/yes', 'Forecast'],
  ['/processes', 'nginx'],
  ['/compare', 'web-02'],
  ['/alarms', 'Alarms over this window'],
  ['/accuracy', 'All series'],
  ['/slas', 'promise'],
  ['/slas/promise', 'Violations'],
] as const;

async function withSla(put: (payload: unknown, url: string) => Promise<unknown>): Promise<void> {
  await put({ selector: 'process_cpu_max{process="yes"}', max: 80, objective: 99 }, '/v1/slas/promise');
}

describe.skipIf(!canRun)('the page', () => {
  test('shows every view, at every width and in both themes, and axe finds nothing to complain of', async () => {
    const { url, put } = await serve();
    await withSla(put);
    for (const look of [{ colorScheme: 'light' }, { colorScheme: 'dark' }, { width: 375 }] as const) {
      const { context, page, complaints } = await openPage(browser, look);
      for (const [path, text] of views) {
        await page.goto(url + path);
        await page.getByText(text).first().waitFor();
        // What is still on its way would be looked at half done.
        await page.waitForLoadState('networkidle').catch(() => undefined);
        await page.evaluate(axe.source);
        const found = await page.evaluate(async () => {
          const { violations } = await (
            globalThis as unknown as {
              axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
            }
          ).axe.run();
          return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 200)}`);
        });
        expect([path, look, found]).toEqual([path, look, []]);
        const wider =
          await page.evaluate(`document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')]
          .filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && !each.closest('.box'))
          .map((each) => each.outerHTML.slice(0, 150))`);
        expect([path, look, wider]).toEqual([path, look, []]);
      }
      expect(complaints).toEqual([]);
      await context.close();
    }
  });

  test('says who is over its line, and who is so from now on without a reload', async () => {
    const { url, store, now, time } = await serve();
    const { context, page } = await openPage(browser);
    await page.goto(url);
    await page.getByRole('table', { name: 'Over the line' }).getByText('yes').first().waitFor();
    expect(await textOf(page)).toContain('cpu is 99.0, over 80');
    time.now = now + 5000;
    const processes = [{ name: 'late', cpu: 97 }];
    await store.append({
      snapshots: [makeSnapshot({ host: 'web-03', time: time.now, intervalMs: 10_000, processes })],
    });
    await page.getByRole('table', { name: 'Over the line' }).getByText('late').first().waitFor({ timeout: 10_000 });
    await context.close();
  });

  test('a host that falls silent is STALE, and counted among those that are well no more', async () => {
    const { url, now, time } = await serve();
    const { context, page } = await openPage(browser);
    await page.goto(url);
    await page.getByText('Well (Hosts)').waitFor();
    time.now = now + 5 * minute;
    await page.getByRole('heading', { name: 'Silent' }).waitFor({ timeout: 10_000 });
    const counts = (await page.locator('.counts').innerText()).replaceAll(/\s+/g, ' ');
    expect(counts).toMatch(/2 STALE Silent/);
    expect(counts).toMatch(/0 GREEN Well/);
    await context.close();
  });

  test('travels in time: another instant shows what /v1/alarms?at= says, in every view, with a banner', async () => {
    const { url, get, now } = await serve();
    const { context, page } = await openPage(browser);
    const before = new Date(now - 30 * minute).toISOString();
    await page.goto(`${url}/?at=${before}`);
    await page.getByText('PAST').waitFor();
    await page.getByText('Nothing is over its line.').waitFor();
    expect((await get(`/v1/alarms?at=${before}`)).body.alarms).toEqual([]);
    await page.goto(`${url}/?at=${new Date(now - minute).toISOString()}`);
    await page.getByRole('table', { name: 'Over the line' }).getByText('yes').first().waitFor();
    const told = (await get(`/v1/alarms?at=${new Date(now - minute).toISOString()}`)).body.alarms.length;
    expect(await page.getByRole('table', { name: 'Over the line' }).locator('tbody tr').count()).toBe(told);
    // A tenth of an hour back each: ten minutes ago nothing was.
    await page.keyboard.press('[');
    await page.keyboard.press('[');
    await page.getByText('Nothing is over its line.').waitFor();
    await page.getByRole('link', { name: 'Hosts', exact: true }).click();
    await page.getByText('PAST').waitFor();
    expect(page.url()).toContain('at=');
    await page.keyboard.press('t');
    await page.getByText('PAST').waitFor({ state: 'detached' });
    expect(page.url()).not.toContain('at=');
    await context.close();
  });

  test('can be used by the keyboard alone', async () => {
    const { url } = await serve();
    const { context, page } = await openPage(browser);
    await page.goto(`${url}/processes`);
    await page.getByText('nginx').first().waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('nginx');
    await page.getByRole('status').getByText('2 rows').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await page.keyboard.press('k');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/hosts\/web-0[12]\/nginx/);
    await page.getByRole('heading', { name: /nginx/ }).waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog').getByText('next and previous row').waitFor();
    await context.close();
  });

  test('names are text, whatever is in them', async () => {
    const { url } = await serve();
    const { context, page, complaints } = await openPage(browser, { width: 375 });
    for (const path of ['/processes', '/hosts/web-01', `/hosts/web-01/${encodeURIComponent(hostile)}`, '/']) {
      await page.goto(url + path);
      await page.getByText('<script>').first().waitFor();
    }
    await page.goto(`${url}/hosts/web-01/${long}`);
    await page.getByRole('heading', { name: long }).waitFor();
    expect(await page.evaluate('window.stolen')).toBeUndefined();
    expect(complaints).toEqual([]);
    await context.close();
  });

  test('where nobody has reported it shows how to', async () => {
    const { url } = await serve({ isEmpty: true });
    const { context, page } = await openPage(browser, { locale: 'de-DE' });
    await page.goto(url);
    await page.getByText(`npx amberwatch collect --server ${url}`).waitFor();
    expect(await textOf(page)).toContain('Noch hat sich kein Rechner gemeldet.');
    expect(await page.locator('html').getAttribute('lang')).toBe('de');
    await context.close();
  });

  test('without a connection it says so, keeps what it had, and goes on when there is one', async () => {
    const { url } = await serve();
    const { context, page } = await openPage(browser);
    await page.goto(`${url}/hosts`);
    await page.getByText('web-02').first().waitFor();
    await context.setOffline(true);
    await page.getByText(/No connection to the server/).waitFor({ timeout: 20_000 });
    expect(await textOf(page)).toContain('web-02');
    await context.setOffline(false);
    await page.getByText(/No connection to the server/).waitFor({ state: 'detached', timeout: 20_000 });
    await context.close();
  });
});

describe.skipIf(!canRun)('with tokens', () => {
  test('one signs in with a token that no script can read, and out again', async () => {
    const writer = issueToken(emptyBook(), 'write', 'web-01', Date.now(), null);
    const reader = issueToken(writer.book, 'read', null, Date.now(), null);
    const access = openAccess(reader.book);
    const [read, write] = [reader.secret, writer.secret];
    const { url } = await serve({ access });
    const { context, page } = await openPage(browser);
    await page.goto(url);
    const field = page.getByLabel('Token');
    for (const wrong of ['aw_r_wrong', write]) {
      await field.fill(wrong);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('alert').waitFor();
    }
    await field.fill(read);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Now' }).waitFor();
    await page.getByText('yes').first().waitFor();
    expect(await page.evaluate('document.cookie')).toBe('');
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict' });
    // Nothing that the page was sent has the token in it.
    expect(await page.content()).not.toContain(read);
    const status = await page.evaluate(async () => {
      const body = JSON.stringify({ selector: 'system_cpu', max: 1, objective: 99 });
      const headers = { 'content-type': 'application/json' };
      return (await fetch('/v1/slas/x', { method: 'PUT', body, headers })).status;
    });
    expect(status).toBe(403);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await field.waitFor();
    await page.reload();
    await field.waitFor();
    await context.close();
  });
});
