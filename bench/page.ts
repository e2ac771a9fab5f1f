import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { hasBrowser, startBrowser } from '../test/web/browser.ts';
import { cpuSeconds } from './cpu-seconds.ts';
import { Program } from './program.ts';
import { type Figure, percentile, report } from './report.ts';
import { snapshotBody } from './synthetic.ts';

const shape = { hosts: 50, processes: 300, intervalMs: 10_000 };
const runs = 7;
const openPages = 50;
const measuredMs = 60_000;
/** Of one page that stays open. */
const heapMs = 600_000;

/** What somebody waits for on the page, and what many who look cost the server. */
export async function benchPage(): Promise<void> {
  if (!hasBrowser() || !existsSync('dist/web/page.js')) return;
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const server = new Program('serve', '--data', folder, '--listen', '127.0.0.1:0');
  const url = await server.url();
  const stop = await report50(url);
  const browser = await startBrowser();
  try {
    const figures = [...(await waits(browser, url)), ...(await manyPages(browser, url, server.pid))];
    figures.push(await heap(browser, url));
    report(`page: ${shape.hosts} hosts x ${shape.processes} processes every 10 s`, figures);
  } finally {
    await browser.close();
    stop();
    await server.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Fifty hosts report, one after the other. */
async function report50(url: string): Promise<() => void> {
  const put = (host: number) => {
    const body = JSON.stringify(snapshotBody(host, Date.now(), shape.processes));
    const headers = { 'content-type': 'application/json' };
    return fetch(`${url}/v1/usage`, { method: 'PUT', body, headers }).catch(() => undefined);
  };
  for (let host = 0; host < shape.hosts; host++) await put(host);
  let next = 0;
  const timer = setInterval(() => void put(next++ % shape.hosts), shape.intervalMs / shape.hosts);
  return () => clearInterval(timer);
}

async function waits(browser: Browser, url: string): Promise<Figure[]> {
  const firsts: number[] = [];
  const filters: number[] = [];
  const sorts: number[] = [];
  for (let run = 0; run < runs; run++) {
    const context = await browser.newContext();
    const page = await context.newPage();
    const begin = performance.now();
    await page.goto(url);
    await page.locator('table td').first().waitFor();
    firsts.push(performance.now() - begin);
    await page.goto(`${url}/processes`);
    await page.getByText('15,000 rows').waitFor();
    filters.push(await untilDrawn(page, "document.querySelector('[data-filter]')", 'service-11'));
    sorts.push(await untilDrawn(page, "document.querySelectorAll('th button')[3]", null));
    await context.close();
  }
  const p95 = (values: number[]) => percentile(values, 0.95);
  const atMost = (value: number) => ({ is: 'at most', value, of: 'value' }) as const;
  return [
    { name: 'from the address to the first rows, p95', value: p95(firsts), unit: 'ms', bar: atMost(1000) },
    { name: 'filtering 15,000 rows until drawn, p95', value: p95(filters), unit: 'ms', bar: atMost(50) },
    { name: 'sorting 15,000 rows until drawn, p95', value: p95(sorts), unit: 'ms', bar: atMost(50) },
  ];
}

/** From a click, or a text that is put in, to the frame that shows it. */
function untilDrawn(page: Page, element: string, text: string | null): Promise<number> {
  return page.evaluate(`new Promise((resolve) => {
    const element = ${element};
    const begin = performance.now();
    ${
      text === null
        ? 'element.click();'
        : `element.value = ${JSON.stringify(text)}; element.dispatchEvent(new Event('input', { bubbles: true }));`
    }
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - begin)));
  })`) as Promise<number>;
}

async function manyPages(browser: Browser, url: string, pid: number): Promise<Figure[]> {
  const idle = await shareOfCore(pid);
  // Of one browser no more than six connections go to a server: only what somebody sees has a stream.
  const contexts = await Promise.all(Array.from({ length: openPages }, () => browser.newContext()));
  for (const context of contexts) await (await context.newPage()).goto(url);
  await sleep(10_000);
  const busy = await shareOfCore(pid);
  for (const context of contexts) await context.close();
  return [
    { name: 'of a core, nobody looking', value: idle * 100, unit: '%' },
    {
      name: `of a core more, ${openPages} pages open`,
      value: (busy - idle) * 100,
      unit: '%',
      bar: { is: 'at most', value: 5, of: 'value' },
    },
  ];
}

async function shareOfCore(pid: number): Promise<number> {
  const [before, begin] = [cpuSeconds(pid), performance.now()];
  await sleep(measuredMs);
  return (cpuSeconds(pid) - before) / ((performance.now() - begin) / 1000);
}

/** What a page that stays open for ten minutes has more on its heap than after one. */
async function heap(browser: Browser, url: string): Promise<Figure> {
  const page = await (await browser.newContext()).newPage();
  await page.goto(`${url}/processes`);
  const session = await page.context().newCDPSession(page);
  const used = async () => {
    await session.send('HeapProfiler.collectGarbage');
    return ((await session.send('Runtime.getHeapUsage')) as { usedSize: number }).usedSize / 2 ** 20;
  };
  await sleep(heapMs / 10);
  const before = await used();
  await sleep((heapMs * 9) / 10);
  return {
    name: 'heap of a page after ten minutes, above that after one',
    value: (await used()) - before,
    unit: 'MiB',
  };
}
