import { emitKeypressEvents, type Key } from 'node:readline';
import pc from 'picocolors';
import type { MonitorClient } from '../client/monitor-client.ts';
import { MonitorError, messageOf } from '../core/error.ts';
import { LineScreen } from '../platform/line-screen.ts';
import type { ProcessRow, SortKey } from '../report/process-rows.ts';
import type { TopState } from '../report/top-screen.ts';
import { clock } from './real-clock.ts';

const everyMs = 1000;
/** A look that takes long is not taken again at once: the server has others to answer. */
const restShare = 10;

/** Whether somebody sits before it, and can press keys. */
export function isLiveTerminal(): boolean {
  return process.stdout.isTTY === true && process.stdin.isTTY === true;
}

/** Asks the server for what there is to see. */
export class Looker {
  state: TopState;
  readonly #client: MonitorClient;
  readonly #host: string | undefined;
  #known: ReadonlyMap<string, ProcessRow> = new Map();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #tookMs = 0;

  constructor(client: MonitorClient, server: string, host: string | undefined) {
    this.#client = client;
    this.#host = host;
    const rest = { sort: 'cpu' as SortKey, filter: '', isFiltering: false, selected: 0, problem: null };
    this.state = { server, at: clock.now(), hosts: 0, stale: [], rows: [], ...rest };
  }

  /** Unless that was done a moment ago. */
  async lookIfDue(): Promise<void> {
    if (clock.monotonic() - this.#lookedAt < Math.max(everyMs * 0.9, this.#tookMs * restShare)) return;
    try {
      await this.look();
    } catch (error) {
      this.state = { ...this.state, problem: `nothing newer: ${messageOf(error)}` };
    }
  }

  async look(): Promise<void> {
    const { keyOf, processRows } = await import('../report/process-rows.ts');
    const begin = clock.monotonic();
    this.#lookedAt = begin;
    const host = this.#host;
    const [{ hosts }, { alarms, stale }] = await Promise.all([this.#client.hosts(), this.#client.alarms()]);
    const seen = hosts.filter((each) => host === undefined || each.host === host);
    if (host !== undefined && seen.length === 0) throw new MonitorError('not_found', `no host '${host}' has reported`);
    const newest = await this.#client.newest({ ...(host !== undefined && { host }) });
    const rows = processRows(newest, alarms, this.#known);
    this.#known = new Map(rows.map((row) => [keyOf(row.host, row.name), row]));
    this.#tookMs = clock.monotonic() - begin;
    const silent = stale.map((each) => each.host);
    this.state = { ...this.state, at: clock.now(), hosts: seen.length, stale: silent, rows, problem: null };
  }
}

/** The screen, and the keys that change what is on it. */
export class LiveTop {
  readonly #looker: Looker;
  readonly #client: MonitorClient;
  readonly #screen = new LineScreen(process.stdout);
  /** Of one process, instead of all. */
  #detail: readonly string[] | null = null;
  #end: () => void = () => undefined;

  constructor(looker: Looker, client: MonitorClient) {
    this.#looker = looker;
    this.#client = client;
  }

  async run(): Promise<void> {
    await this.#looker.look();
    this.#screen.open();
    emitKeypressEvents(process.stdin);
    process.stdin.setRawMode(true);
    const pressed = (text: string | undefined, key: Key) => void this.#press(text ?? '', key).then(() => this.#draw());
    const resized = () => {
      this.#screen.clear();
      void this.#draw();
    };
    process.stdin.on('keypress', pressed);
    process.stdout.on('resize', resized);
    const timer = setInterval(() => void this.#looker.lookIfDue().then(() => this.#draw()), everyMs);
    try {
      await this.#draw();
      await new Promise<void>((resolve) => {
        this.#end = resolve;
        for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.once(signal, resolve);
      });
    } finally {
      clearInterval(timer);
      process.stdin.off('keypress', pressed);
      process.stdout.off('resize', resized);
      process.stdin.setRawMode(false);
      process.stdin.pause();
      this.#screen.close();
    }
  }

  async #draw(): Promise<void> {
    const { topScreen } = await import('../report/top-screen.ts');
    const { columns = 80, rows = 24 } = process.stdout;
    this.#screen.draw((this.#detail ?? topScreen(this.#looker.state, columns, rows, pc)).slice(0, rows));
  }

  async #press(text: string, { name = '', ctrl = false }: Key): Promise<void> {
    const { state } = this.#looker;
    if (ctrl && (name === 'c' || name === 'd')) return this.#end();
    if (this.#detail !== null) {
      this.#detail = null;
      return;
    }
    if (state.isFiltering) return this.#filter(text, name);
    const change: Record<string, Partial<TopState>> = {
      c: { sort: 'cpu' },
      m: { sort: 'memory' },
      n: { sort: 'name' },
      '/': { isFiltering: true, filter: '', selected: 0 },
      escape: { filter: '', selected: 0 },
      up: { selected: Math.max(0, state.selected - 1) },
      down: { selected: state.selected + 1 },
      pageup: { selected: Math.max(0, state.selected - 20) },
      pagedown: { selected: state.selected + 20 },
    };
    const alias: Record<string, string> = { k: 'up', j: 'down' };
    const asked = text === '/' ? '/' : (alias[name] ?? name);
    if (asked === 'q') this.#end();
    else if (asked === 'return') await this.#open();
    else this.#set(change[asked] ?? {});
  }

  #filter(text: string, name: string): void {
    const { filter } = this.#looker.state;
    if (name === 'return') this.#set({ isFiltering: false });
    else if (name === 'escape') this.#set({ isFiltering: false, filter: '' });
    else if (name === 'backspace') this.#set({ filter: [...filter].slice(0, -1).join('') });
    else if (text >= ' ' && filter.length < 100) this.#set({ filter: filter + text, selected: 0 });
  }

  #set(change: Partial<TopState>): void {
    const state = { ...this.#looker.state, ...change };
    this.#looker.state = { ...state, selected: Math.min(state.selected, Math.max(0, state.rows.length - 1)) };
  }

  /** The last hour of what is chosen. */
  async #open(): Promise<void> {
    const [{ shownRows }, { historyPlot }] = await Promise.all([
      import('../report/process-rows.ts'),
      import('../report/history-plot.ts'),
    ]);
    const { rows, filter, sort, selected } = this.#looker.state;
    const row = shownRows(rows, filter, sort)[selected];
    if (row === undefined) return;
    const query = { host: row.host, process: row.name };
    try {
      const [series, { forecasts }] = await Promise.all([
        this.#client.series({ ...query, metric: 'cpuMax', window: '1h', step: '30s' }),
        this.#client.forecasts({ ...query, metric: 'cpu' }),
      ]);
      const columns = process.stdout.columns ?? 80;
      this.#detail = [...historyPlot(series, forecasts[0], columns), '', 'any key: back'];
    } catch (error) {
      this.#set({ problem: messageOf(error) });
    }
  }
}
