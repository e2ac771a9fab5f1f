import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import pc from 'picocolors';
import stringWidth from 'string-width';
import { afterAll, describe, expect, test } from 'vitest';
import { LineScreen } from '../../src/platform/line-screen.ts';
import { plotLines, sparkline } from '../../src/report/plot.ts';
import { type ProcessRow, processRows, shownRows } from '../../src/report/process-rows.ts';
import { type TopState, topScreen } from '../../src/report/top-screen.ts';
import type { AlarmsAnswer } from '../../src/wire/alarm.ts';
import { Program } from '../e2e/program.ts';
import { freePort } from '../influxd.ts';
import { makeSnapshot } from '../make-snapshot.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const row = (given: Partial<ProcessRow>): ProcessRow => ({
  host: 'web-01',
  name: 'java',
  pid: 7,
  instances: 1,
  cpu: 1,
  memory: 2,
  level: '',
  etaSeconds: null,
  trend: [1],
  ...given,
});
const state = (rows: ProcessRow[], given: Partial<TopState> = {}): TopState => ({
  server: 'http://127.0.0.1:8000',
  at: 0,
  hosts: 1,
  stale: [],
  rows,
  sort: 'cpu',
  filter: '',
  isFiltering: false,
  selected: 0,
  problem: null,
  ...given,
});
const none = pc.createColors(false);

describe('the rows of top', () => {
  test('are those of every host, with what the alarms say of them', () => {
    const of = (host: string, cpu: number | null) => ({
      host,
      time: '2026-11-20T12:00:00Z',
      ...{ process: ['java'], cpu: [cpu], memory: [2], count: [1], pid: [3] },
    });
    const newest = { at: '2026-11-20T12:00:00Z', hosts: [of('a', 90), of('b', null)] };
    const alarm = {
      host: 'a',
      level: 'AMBER',
      subject: { kind: 'process', name: 'java' },
      prediction: { etaSeconds: 60 },
    };
    const rows = processRows(newest, [alarm] as unknown as AlarmsAnswer['alarms']);
    expect(rows.map(({ host, level, etaSeconds, cpu }) => [host, level, etaSeconds, cpu])).toEqual([
      ['a', 'AMBER', 60, 90],
      ['b', '', null, null],
    ]);
  });

  test('are sorted as asked, and filtered by name and host', () => {
    const rows = [
      row({ name: 'b', cpu: 1, memory: 9 }),
      row({ name: 'a', cpu: 5 }),
      row({ name: 'c', cpu: null, host: 'db' }),
    ];
    const names = (filter: string, by: 'cpu' | 'memory' | 'name') =>
      shownRows(rows, filter, by)
        .map(({ name }) => name)
        .join('');
    expect([names('', 'cpu'), names('', 'memory'), names('', 'name'), names('DB', 'cpu')]).toEqual([
      'abc',
      'bac',
      'abc',
      'c',
    ]);
  });
});

describe('the screen of top', () => {
  test.each([20, 40, 80, 120, 200])('has no line wider than %i columns, whatever a process is called', (width) => {
    const rows = ['java', '漢字漢字漢字漢字漢字漢字漢字', 'a\u0301\u0301', '\x1b[31mred', `x${'y'.repeat(300)}`].map(
      (name) => row({ name, host: name }),
    );
    const lines = topScreen(state(rows, { problem: 'p'.repeat(300), stale: ['x'] }), width, 12, none);
    expect(lines).toHaveLength(12);
    for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(width);
    expect(lines.join('')).not.toContain('\x1b');
  });

  test('shows the chosen row, and scrolls to it', () => {
    const rows = Array.from({ length: 100 }, (_, k) => row({ name: `p${k}`, cpu: 100 - k }));
    const lines = topScreen(state(rows, { selected: 50 }), 80, 14, pc.createColors(true));
    expect(lines.filter((line) => line.includes('\x1b[7m'))).toEqual([expect.stringContaining('p50 ')]);
  });

  test('is sent only where it is other', () => {
    let sent = '';
    const write = (text: string) => {
      sent += text;
    };
    const screen = new LineScreen({ write });
    screen.draw(['too early']);
    expect(sent).toBe('');
    screen.open();
    screen.draw(['a', 'b', 'c']);
    sent = '';
    screen.draw(['a', 'x', 'c']);
    expect(sent).toBe('\x1b[2;1Hx\x1b[K');
    sent = '';
    screen.draw(['a']);
    expect(sent).toBe('\x1b[2;1H\x1b[K\x1b[3;1H\x1b[K');
  });
});

test('a plot has a column for each stretch, its line, and nothing where nothing is known', () => {
  const points = [0, 1, 2, 3].map((k) => ({ time: k * 10 + 5, value: k * 25 }));
  const shape = { from: 0, to: 60, width: 6, height: 4, threshold: 100, label: (value: number) => String(value) };
  expect(plotLines(points, shape)).toEqual(['100 ┄┄┄┄┄┄', ' 75    █  ', ' 50   ██  ', ' 25 ▁███  ']);
  expect(sparkline([0, 50, 100])).toBe('▁▅█');
});

const tmux = ['-L', `amberwatch-${process.pid}`];
const canRun = spawnSync('tmux', ['-V']).status === 0;
if (!canRun) process.stderr.write('skipped: top driven in a terminal; on Debian: apt-get install tmux\n');
afterAll(() => void (canRun && spawnSync('tmux', [...tmux, 'kill-server'])));

test.skipIf(!canRun)('driven in a terminal: sorts, filters, shows one, takes another size, ends', async () => {
  const listen = `127.0.0.1:${await freePort()}`;
  const server = new Program(['serve', '--listen', listen, '--data', temporaryFolder(), '--store', 'memory:']);
  const put = async () => {
    const processes = ['busy', 'large', 'quiet'].map((name) => ({
      name,
      cpu: name === 'busy' ? 97 : 3,
      memory: name === 'large' ? 40 : 1,
    }));
    const { host, time } = makeSnapshot({ host: 'web-01', time: Date.now(), processes: [] });
    const body = JSON.stringify({ host, time: new Date(time).toISOString(), interval: 1, processes });
    return (
      await fetch(`http://${listen}/v1/usage`, {
        method: 'PUT',
        body,
        headers: { 'content-type': 'application/json' },
      }).catch(() => null)
    )?.status;
  };
  for (let k = 0; k < 100 && (await put()) !== 204; k++) await new Promise((resolve) => setTimeout(resolve, 100));
  const sending = setInterval(() => void put(), 500);
  const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
  const run = (...args: string[]) => execFileSync('tmux', [...tmux, ...args], { encoding: 'utf8' });
  const command = `${process.execPath} ${cli} top --server http://${listen} --data ${temporaryFolder()}; echo ENDED $?; sleep 60`;
  run('new-session', '-d', '-s', 't', '-x', '120', '-y', '20', command);
  const shows = async (pattern: RegExp) => {
    let seen = '';
    for (let k = 0; k < 100 && !pattern.test(seen); k++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      seen = run('capture-pane', '-p', '-t', 't');
    }
    expect(seen).toMatch(pattern);
    return seen;
  };
  const press = (...keys: string[]) => run('send-keys', '-t', 't', ...keys);
  await shows(/1 host, RED 1, AMBER 0; \d processes by cpu.*RED +web-01 +busy/s);
  press('m');
  await shows(/by memory.*PROCESS[^\n]*\n[^\n]*large/s);
  press('/', 'qui', 'Enter');
  const filtered = await shows(/1 with 'qui'/);
  expect(filtered).not.toMatch(/busy|large/);
  press('Enter');
  await shows(/process_cpu_max\{host="web-01",process="quiet"\}.*any key: back/s);
  press('x');
  run('resize-window', '-t', 't', '-x', '50', '-y', '10');
  await shows(/LEVEL +PROCESS +CPU %/);
  press('q');
  await shows(/ENDED 0/);
  clearInterval(sending);
  await server.stop();
});

test.skipIf(!canRun)(
  'up ends in it where the terminal allows it, and says at its end what was said meanwhile',
  async () => {
    const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
    const run = (...args: string[]) => execFileSync('tmux', [...tmux, ...args], { encoding: 'utf8' });
    const listen = `127.0.0.1:${await freePort()}`;
    const up = `${process.execPath} ${cli} up --listen ${listen} --data ${temporaryFolder()} --interval 500ms`;
    run('new-session', '-d', '-s', 'u', '-x', '120', '-y', '30', `${up}; echo ENDED $?; sleep 60`);
    const shows = async (pattern: RegExp) => {
      let seen = '';
      for (let k = 0; k < 200 && !pattern.test(seen); k++) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        seen = run('capture-pane', '-p', '-t', 'u');
      }
      expect(seen).toMatch(pattern);
    };
    await shows(/1 host, RED \d+, AMBER \d+; \d+ processes by cpu.*q quit/s);
    run('send-keys', '-t', 'u', 'q');
    await shows(/amberwatch \S+: http.*PROCESS +PID.*stopping: storing what has been taken.*ENDED 0/s);
  },
);
