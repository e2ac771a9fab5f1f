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
  #nextAt = Number.NEGATIVE_INFINITY;
  #isLooking = false;

  constructor(client: MonitorClient, server: string, host: string | undefined) {
    this.#client = client;
    this.#host = host;
    const rest = { sort: 'cpu' as SortKey, filter: '', isFiltering: false, selected: 0, problem: null };
    this.state = { server, at: clock.now(), hosts: 0, stale: [], rows: [], ...rest };
  }

  /** Unless that was done a moment ago. */
  async lookIfDue(): Promise<void> {
    if (this.#isLooking || clock.monotonic() < this.#nextAt) return;
    this.#isLooking = true;
    const begin = clock.monotonic();
    try {
      await this.look();
    } catch (error) {
      this.state = { ...this.state, problem: `nothing newer: ${messageOf(error)}` };
    } finally {
      this.#isLooking = false;
      const took = clock.monotonic() - begin;
      this.#nextAt = begin + took + Math.max(everyMs * 0.9 - took, took * restShare);
    }
  }

  async look(): Promise<void> {
    const { keyOf, processRows } = await import('../report/process-rows.ts');
    const host = this.#host;
    const [{ hosts }, { alarms, stale }] = await Promise.all([this.#client.hosts(), this.#client.alarms()]);
    const seen = hosts.filter((each) => host === undefined || each.host === host);
    if (host !== undefined && seen.length === 0) throw new MonitorError('not_found', `no host '${host}' has reported`);
    const newest = await this.#client.newest({ ...(host !== undefined && { host }) });
    const rows = processRows(newest, alarms, this.#known);
    this.#known = new Map(rows.map((row) => [keyOf(row.host, row.name), row]));
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
  /** Questions about one process so far. */
  #asked = 0;
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
    const pressed = (text: string | undefined, key: Key) => this.#do(this.#press(text ?? '', key));
    const resized = () => {
      this.#screen.clear();
      this.#do(Promise.resolve());
    };
    process.stdin.on('keypress', pressed);
    process.stdout.on('resize', resized);
    const timer = setInterval(() => this.#do(this.#looker.lookIfDue()), everyMs);
    // Whatever ends the program: the terminal is as it was.
    const restore = () => this.#screen.close();
    process.once('exit', restore);
    try {
      await this.#draw();
      await new Promise<void>((resolve) => {
        this.#end = resolve;
        for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.once(signal, resolve);
      });
    } finally {
      clearInterval(timer);
      process.off('exit', restore);
      process.stdin.off('keypress', pressed);
      process.stdout.off('resize', resized);
      process.stdin.setRawMode(false);
      process.stdin.pause();
      this.#screen.close();
    }
  }

  /** Then all is drawn; what goes wrong with that ends it. */
  #do(work: Promise<void>): void {
    work.then(() => this.#draw()).catch(() => this.#end());
  }

  async #draw(): Promise<void> {
    const { cut, topScreen } = await import('../report/top-screen.ts');
    // A terminal that does not tell its size says 0.
    const [columns, rows] = [process.stdout.columns || 80, process.stdout.rows || 24];
    const detail = this.#detail?.map((line) => cut(line, columns));
    this.#screen.draw((detail ?? topScreen(this.#looker.state, columns, rows, pc)).slice(0, rows));
  }

  async #press(text: string, { name = '', ctrl = false }: Key): Promise<void> {
    const { state } = this.#looker;
    if (ctrl && (name === 'c' || name === 'd')) return this.#end();
    if (name !== 'return') this.#asked++;
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
    const asked = ++this.#asked;
    try {
      const [series, { forecasts }] = await Promise.all([
        this.#client.series({ ...query, metric: 'cpuMax', window: '1h', step: '30s' }),
        this.#client.forecasts({ ...query, metric: 'cpu' }),
      ]);
      const columns = process.stdout.columns || 80;
      // Of several that were asked for the last is shown, unless somebody has gone on.
      if (asked === this.#asked) this.#detail = [...historyPlot(series, forecasts[0], columns), '', 'any key: back'];
    } catch (error) {
      this.#set({ problem: messageOf(error) });
    }
  }
}
