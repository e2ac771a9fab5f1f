import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from './child.ts';
import { percentile, report } from './report.ts';
import { snapshotBody } from './synthetic.ts';

const shape = { hosts: 50, names: 120 };
const scrapes = 60;
/** What is answered may be so old: without a pause the next scrape would be for nothing. */
const pauseMs = 1100;

/** GET /metrics, and what a PUT beside it waits for it. */
export async function benchScrape(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'amberwatch-bench-'));
  const server = Child.script('server.ts', `duckdb:${join(folder, 'bench.db')}`);
  const url = `http://127.0.0.1:${await server.line()}`;
  for (let host = 0; host < shape.hosts; host++) await put(url, host);
  const reporting = reportAll(url);
  // From then on it is known that somebody scrapes.
  await (await fetch(`${url}/metrics`)).text();
  await sleep(10_000);
  const shortest = await scrapesOf(`${url}/metrics`, server);
  const all = await scrapesOf(`${url}/metrics?all=1`, server);
  const alone = await putsBeside(url, null);
  const beside = await putsBeside(url, `${url}/metrics?all=1`);
  await reporting.end();
  await server.end();
  rmSync(folder, { recursive: true });
  const puts = (values: number[]) => percentile(values, 0.5);
  report(`scrape: ${shape.hosts} hosts x ${shape.names} names`, [
    { name: 'GET /metrics, p50', value: percentile(shortest.tookMs, 0.5), unit: 'ms' },
    {
      name: 'GET /metrics, p95',
      value: percentile(shortest.tookMs, 0.95),
      unit: 'ms',
      bar: { is: 'at most', value: 50, of: 'value' },
    },
    { name: 'its lines', value: shortest.lines, unit: 'lines' },
    { name: 'longest turn of the event loop meanwhile', value: shortest.lagMs, unit: 'ms' },
    { name: 'GET /metrics?all=1, p50', value: percentile(all.tookMs, 0.5), unit: 'ms' },
    { name: 'GET /metrics?all=1, p95', value: percentile(all.tookMs, 0.95), unit: 'ms' },
    { name: 'its lines', value: all.lines, unit: 'lines' },
    { name: 'longest turn of the event loop meanwhile', value: all.lagMs, unit: 'ms' },
    {
      name: 'a PUT waits for one with all, p50',
      value: puts(beside) - puts(alone),
      unit: 'ms',
      bar: { is: 'at most', value: 10, of: 'value' },
    },
    { name: 'the same, p95', value: percentile(beside, 0.95) - percentile(alone, 0.95), unit: 'ms' },
    { name: 'PUT alone, p50', value: puts(alone), unit: 'ms' },
  ]);
}

/** All hosts, each every ten seconds, one after the other. */
function reportAll(url: string) {
  let host = 0;
  let last: Promise<unknown> = Promise.resolve();
  const next = () => {
    last = put(url, host++ % shape.hosts);
  };
  const timer = setInterval(next, 10_000 / shape.hosts);
  const end = async () => {
    clearInterval(timer);
    await last;
  };
  return { end };
}

async function put(url: string, host: number): Promise<number> {
  const begin = performance.now();
  const body = JSON.stringify(snapshotBody(host, Date.now(), shape.names));
  const answer = await fetch(`${url}/v1/usage`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body,
  });
  if (answer.status !== 204) throw new Error(await answer.text());
  return performance.now() - begin;
}

async function scrapesOf(url: string, server: Child) {
  const tookMs: number[] = [];
  let lines = 0;
  await (await fetch(url)).text();
  server.write('reset');
  for (let i = 0; i < scrapes / 2; i++) {
    await sleep(pauseMs);
    const begin = performance.now();
    lines = (await (await fetch(url)).text()).split('\n').length - 1;
    tookMs.push(performance.now() - begin);
  }
  const { maxMs } = JSON.parse(await server.ask('lag')) as { maxMs: number };
  return { tookMs, lines, lagMs: maxMs };
}

/** A PUT that is sent just after a scrape has begun, or after none. */
async function putsBeside(url: string, scraped: string | null): Promise<number[]> {
  const tookMs: number[] = [];
  for (let i = 0; i < scrapes; i++) {
    await sleep(100);
    const scrape = scraped === null ? null : fetch(scraped).then((answer) => answer.text());
    tookMs.push(await put(url, i % shape.hosts));
    await scrape;
  }
  return tookMs;
}
