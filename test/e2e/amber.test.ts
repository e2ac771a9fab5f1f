import { spawn } from 'node:child_process';
import { totalmem } from 'node:os';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { AlarmsAnswer } from '../../src/wire/alarm.ts';
import type { AccuracyAnswer, ForecastsAnswer } from '../../src/wire/forecast.ts';
import { freePort, hasInfluxd, type Influxd, startInfluxd } from '../influxd.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { getJson, Program } from './program.ts';

/** A horizon of ten seconds instead of ten minutes: a step is a second. */
const horizon = '10s';
const lineMegabytes = 400;
const memoryMegabytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY) / 2 ** 20;

/** Holds `megabytes` more of touched memory every tenth of a second; over `limit` it lets all go. */
const grow = (title: string, perTenth: number, limit: number) => `
  process.title = '${title}';
  let held = [];
  setInterval(() => {
    held.push(Buffer.alloc(${Math.round(perTenth * 2 ** 20)}, 1));
    if (held.length * ${perTenth} > ${limit}) { held = []; globalThis.gc(); }
  }, 100);`;

const children: { kill(signal: NodeJS.Signals): unknown }[] = [];
let influxd: Influxd | null = null;
beforeAll(async () => {
  influxd = hasInfluxd() ? await startInfluxd() : null;
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await influxd?.close();
});

function startScript(code: string): void {
  children.push(spawn(process.execPath, ['--expose-gc', '-e', code], { stdio: 'ignore' }));
}

async function startUp(storeArgs: string[]): Promise<{ url: string; program: Program }> {
  const listen = `127.0.0.1:${await freePort()}`;
  const line = `memory=${((lineMegabytes / memoryMegabytes) * 100).toFixed(4)}`;
  const settings = ['--horizon', horizon, '--threshold', line, '--interval', '500ms', '--poll', '500ms'];
  const args = ['up', '--listen', listen, '--data', temporaryFolder(), '--host', 'h', ...settings, ...storeArgs];
  const program = new Program(args);
  children.push(program.child);
  await program.says(/PROCESS +PID/);
  return { url: `http://${listen}`, program };
}

/** An SLA with the same line, and a budget so small that nearly every violation uses it up. */
async function promise(url: string): Promise<void> {
  const max = (lineMegabytes / memoryMegabytes) * 100;
  const sla = { selector: 'process_memory_max{process="leaking"}', max, objective: 99.99, windows: ['1h'] };
  const put = await fetch(`${url}/v1/slas/leak`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(sla),
  });
  expect(put.status).toBe(200);
}

/** When the terminal said this, by its own clock. */
function timeOf(match: RegExpExecArray): number {
  return Date.parse(match[1] as string);
}

test('a leak goes AMBER, then RED as the same alarm; a sawtooth is silent; a sudden load is RED alone', async () => {
  const stores = [[], ...(influxd ? [['--store', `${influxd.url.replace('http:', 'influxdb:')}/amber`]] : [])];
  const servers = await Promise.all(stores.map(startUp));
  for (const { url } of servers) await promise(url);
  startScript(grow('leaking', 0.44, 10_000));
  startScript(grow('heap', 4, 240));

  const ambers = await Promise.all(
    servers.map(async ({ url, program }) => {
      const amber = await program.says(/(\S+ \S+) +AMBER +h +leaking +memory [\d.]+ %: (.*)/, 300_000);
      // The line comes from such an answer; the next one may be a step later.
      const { alarms } = await getJson<AlarmsAnswer>(`${url}/v1/alarms`);
      const alarm = alarms.find(({ subject }) => subject.name === 'leaking');
      expect(alarm).toMatchObject({ level: 'AMBER', metric: 'memory', leadSeconds: null });
      expect(amber[2]).toMatch(
        /^(rising [\d.]+ %\/min, reaches|likely over) [\d.]+ % in about \d+s.* \(\d+ % likely\)$/,
      );
      const { forecasts } = await getJson<ForecastsAnswer>(`${url}/v1/forecasts?process=leaking`);
      expect(forecasts[0]?.probability).toBeGreaterThan(0.1);
      return { alarm, amber };
    }),
  );
  startScript("process.title = 'sudden'; setTimeout(() => { for (;;); }, 3000);");
  children.push(spawn('yes', [], { stdio: 'ignore' }));

  for (const [index, { url, program }] of servers.entries()) {
    const { alarm, amber } = ambers[index] as (typeof ambers)[number];
    const red = await program.says(/(\S+ \S+) +RED +h +leaking\S* +memory .*; predicted (\d+)s before/, 60_000);
    const { alarms } = await getJson<AlarmsAnswer>(`${url}/v1/alarms`);
    const escalated = alarms.find(({ subject }) => subject.name === 'leaking');
    expect(escalated).toMatchObject({ id: alarm?.id, level: 'RED' });
    const lead = escalated?.leadSeconds ?? 0;
    expect(lead).toBeGreaterThanOrEqual(2);
    // What it said of when, and when it came; the terminal's clock has whole seconds.
    const came = (timeOf(red) - timeOf(amber)) / 1000;
    expect(Math.abs((alarm?.prediction?.etaSeconds ?? 0) - came)).toBeLessThanOrEqual(6);
    // By what is predicted of the leak, or, on a busy machine, by its first second over the line.
    const atRisk = await program.says(/(\S+ \S+) +AMBER +amberwatch .*amberwatch_sla.*likely\)/);
    const violated = await program.says(/(\S+ \S+) +RED +amberwatch .*amberwatch_sla.*; predicted \d+s before/, 60_000);
    expect(timeOf(violated)).toBeGreaterThan(timeOf(atRisk));
    await program.says(/RED +h +yes/);
    await program.says(/RED +h +sudden/);
  }
  // The horizon of what was said has to pass before it is judged.
  for (const { url } of servers)
    await vi.waitFor(
      async () => {
        const { overall } = await getJson<AccuracyAnswer>(`${url}/v1/forecasts/accuracy?process=leaking`);
        expect(overall).toMatchObject({ breaches: 1, warned: 1 });
      },
      { timeout: 60_000, interval: 500 },
    );
  for (const { url, program } of servers) {
    expect(program.stdout).not.toMatch(/(AMBER|RED) +h +heap/);
    expect(program.stdout).not.toMatch(/AMBER +h +(yes|sudden)/);
    const followed = await getJson<ForecastsAnswer>(`${url}/v1/forecasts`);
    expect(followed.forecasts.map(({ process }) => process)).toContain('heap');
    const accuracy = await getJson<AccuracyAnswer>(`${url}/v1/forecasts/accuracy?process=leaking`);
    expect(accuracy.overall).toMatchObject({ breaches: 1, warned: 1, recall: 1 });
    const report = new Program(['accuracy', '--server', url]);
    expect(await report.exit).toBe(0);
    expect(report.stdout).toMatch(/breaches: +\d+, warned of [1-9]/);
    const line = `memory=${((lineMegabytes / memoryMegabytes) * 100).toFixed(4)}`;
    const subject = ['--host', 'h', '--process', 'leaking', '--metric', line, '--since', '10m'];
    const history = new Program(['backtest', '--server', url, ...subject]);
    expect(await history.exit).toBe(0);
    expect(history.stdout).toMatch(/AMBER .*: came true after \d+s/);
    expect(await program.stop()).toBe(0);
  }
}, 480_000);
