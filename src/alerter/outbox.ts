import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Alarms } from '../core/alarm.ts';
import { type Change, withChange } from '../core/change.ts';
import { appendDurably, replaceFile } from '../platform/durable-file.ts';
import type { ReceivedAlarm } from '../wire/alarm-codec.ts';
import { type Announcement, upgradeAnnouncement } from './announcement.ts';

/** One thing said. */
export interface OutboxEntry {
  /** 1, 2, 3, ...: by it a channel knows where it is. */
  number: number;
  /** The same however often it is delivered. */
  id: string;
  change: Change<ReceivedAlarm>;
  announcement: Announcement;
}

/** First line of a log that has been shortened: all that was said before. */
interface Base {
  base: Alarms<ReceivedAlarm>;
  number: number;
}

const logName = 'said.ndjson';
/** Beyond so many lines what every channel has had becomes one. */
const longestLog = 5000;
const nothingSaid: Alarms<ReceivedAlarm> = {
  at: 0,
  level: 'GREEN',
  alarms: [],
  stale: [],
  paused: [],
  nextStaleAt: null,
};

/**
 * What the alerter has said, one JSON line each, appended and synced before it goes anywhere. Each
 * channel reads it at its own pace and keeps where it is, so a kill at any moment loses nothing
 * and repeats at most the one that was just on its way.
 */
export class Outbox {
  readonly #folder: string | null;
  #base: Base;
  #entries: OutboxEntry[];
  #alarms: Alarms<ReceivedAlarm>;
  /** Part of what is in memory is not, or not whole, on disk. */
  #isBehind = false;
  readonly #places = new Map<string, number>();

  private constructor(folder: string | null, base: Base, entries: OutboxEntry[]) {
    this.#folder = folder;
    this.#base = base;
    this.#entries = entries;
    this.#alarms = entries.reduce((said, { change }) => withChange(said, change), base.base);
  }

  /** @param folder null: nothing is kept over a restart */
  static async open(folder: string | null): Promise<Outbox> {
    if (folder === null) return new Outbox(null, { base: nothingSaid, number: 0 }, []);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { base, entries } = parseLog(await readFile(join(folder, logName), 'utf8').catch(() => ''));
    const log = new Outbox(folder, base, entries);
    // A line that a kill cut off is gone with this: nobody was told, so it will be said.
    await log.#rewrite();
    return log;
  }

  /** What has been said and is still so. */
  get alarms(): Alarms<ReceivedAlarm> {
    return this.#alarms;
  }

  get last(): number {
    return this.#entries.at(-1)?.number ?? this.#base.number;
  }

  /** Resolves once it is on disk, or the disk has refused it. */
  async append(said: readonly Pick<OutboxEntry, 'change' | 'announcement'>[]): Promise<void> {
    if (said.length === 0) return;
    const entries = said.map((each, index) => ({ number: this.last + 1 + index, id: randomUUID(), ...each }));
    this.#entries.push(...entries);
    this.#alarms = entries.reduce((alarms, { change }) => withChange(alarms, change), this.#alarms);
    await this.#keep(entries);
    if (this.#entries.length > longestLog) await this.#shorten();
  }

  /** Where the disk takes nothing, all of it goes there with the next thing said: it is said in any case. */
  async #keep(entries: readonly OutboxEntry[]): Promise<void> {
    if (this.#folder === null) return;
    try {
      if (this.#isBehind) await this.#rewrite();
      else await appendDurably(join(this.#folder, logName), entries.map(toLine).join(''));
      this.#isBehind = false;
    } catch {
      this.#isBehind = true;
    }
  }

  /** What a channel has not had yet. One that has never been here begins with what comes next. */
  async unread(channel: string): Promise<readonly OutboxEntry[]> {
    const at = this.#places.get(channel) ?? (await this.#begin(channel));
    return this.#entries.filter((entry) => entry.number > at);
  }

  /** The channel has everything up to this number. */
  async acknowledge(channel: string, number: number): Promise<void> {
    this.#places.set(channel, number);
    if (this.#folder === null) return;
    // On a full disk it is known until the next start, which then says something again.
    await replaceFile(join(this.#folder, `read-by-${channel}`), String(number)).catch(() => undefined);
  }

  async #begin(channel: string): Promise<number> {
    const kept = this.#folder && (await readFile(join(this.#folder, `read-by-${channel}`), 'utf8').catch(() => null));
    const number = /^\d+$/.test(kept ?? '') ? Math.min(Number(kept), this.last) : this.last;
    await this.acknowledge(channel, number);
    return number;
  }

  /** Nobody can be so far behind: what a webhook has not taken within this many is lost to it. */
  async #shorten(): Promise<void> {
    const slowest = Math.max(Math.min(...this.#places.values(), this.last), this.last - 2 * longestLog);
    const old = this.#entries.filter((entry) => entry.number <= slowest);
    if (old.length === 0) return;
    const base = old.reduce((said, { change }) => withChange(said, change), this.#base.base);
    this.#base = { base, number: slowest };
    this.#entries = this.#entries.filter((entry) => entry.number > slowest);
    await this.#rewrite().catch(() => {
      this.#isBehind = true;
    });
  }

  async #rewrite(): Promise<void> {
    if (this.#folder === null) return;
    const lines = [`${JSON.stringify(this.#base)}\n`, ...this.#entries.map(toLine)];
    await replaceFile(join(this.#folder, logName), lines.join(''));
  }
}

function toLine(entry: OutboxEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

function parseLog(text: string): { base: Base; entries: OutboxEntry[] } {
  let base: Base = { base: nothingSaid, number: 0 };
  const entries: OutboxEntry[] = [];
  for (const line of text.split('\n')) {
    const parsed = parseLine(line);
    if (parsed === null) continue;
    // Up to 0.5.0 nobody was paused.
    if ('base' in parsed) base = { ...parsed, base: { ...parsed.base, paused: parsed.base.paused ?? [] } };
    else entries.push({ ...parsed, announcement: upgradeAnnouncement(parsed.announcement) });
  }
  return { base, entries };
}

function parseLine(line: string): Base | OutboxEntry | null {
  try {
    return JSON.parse(line) as Base | OutboxEntry;
  } catch {
    return null;
  }
}
