import type { MonitorClient } from '../client/monitor-client.ts';
import { type Alarms, type Ended, mostEndings } from '../core/alarm.ts';
import { type Change, changes, withEndings } from '../core/change.ts';
import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { MonitorError, messageOf } from '../core/error.ts';
import { ConditionReporter } from '../platform/condition-reporter.ts';
import { every } from '../platform/every.ts';
import type { EndingsBody } from '../wire/alarm.ts';
import { type ReceivedAlarm, readAlarms, readEnded } from '../wire/alarm-codec.ts';
import { announcementOf } from './announce.ts';
import type { Announcement } from './announcement.ts';
import type { Channel } from './channels/channel.ts';
import { TerminalChannel } from './channels/terminal.ts';
import { Delivery } from './delivery.ts';
import type { Outbox } from './outbox.ts';
import { allIsWell, stillText } from './render.ts';

export interface AlerterOutput {
  announce(announcement: Announcement): void;
  /** About the alerter itself: that all is well, that the server is away or back. */
  note(time: number, message: string): void;
}

export interface AlerterOptions {
  client: MonitorClient;
  clock: Clock;
  pollMs: number;
  output: AlerterOutput;
  outbox: Outbox;
  /** Besides the terminal. */
  channels: readonly Channel[];
  /** Absent: the usual one. */
  random?: () => number;
}

/** After the instant at which a host falls silent: the server's answer must be later than that. */
const staleMarginMs = 200;
/** An answer that knows less than the one before is passed over for so long. */
const longestBehindMs = 30_000;
/** So often it is asked again how something has ended; then it is said without. */
const mostFailedEndings = 3;

/** Polls the server and says each change once, also over a restart. */
export class Alerter {
  readonly #options: AlerterOptions;
  readonly #deliveries: readonly Delivery[];
  readonly #absence: ConditionReporter;
  #stop: () => void = () => undefined;
  #hasLooked = false;
  #isDelivering: Promise<unknown> | null = null;
  #polling: Promise<void> | null = null;
  #nextStale: NodeJS.Timeout | undefined;
  /** The newest snapshot that an answer was made of, and when that was heard, monotonic. */
  #newest = { at: Number.NEGATIVE_INFINITY, heardAt: 0 };
  /** What has ended a moment ago, by id. */
  readonly #ended = new Map<string, { since: number; at: number }>();
  /** Times in a row that it could not be found out how something has ended. */
  #failedEndings = 0;

  constructor(options: AlerterOptions) {
    const { outbox, clock, output, channels, random = Math.random } = options;
    this.#options = options;
    const note = (message: string) => output.note(clock.now(), message);
    const all = [new TerminalChannel((announcement) => output.announce(announcement)), ...channels];
    this.#deliveries = all.map((channel) => new Delivery({ channel, outbox, clock, random, note }));
    this.#absence = new ConditionReporter(() => clock.monotonic());
  }

  /** Resolves after the first poll, whether the server was there or not. */
  async start(): Promise<void> {
    const { output, clock, pollMs } = this.#options;
    await this.poll();
    this.#stop = every(
      pollMs,
      () => this.poll(),
      (error) => output.note(clock.now(), messageOf(error)),
    );
  }

  async close(): Promise<void> {
    this.#stop();
    clearTimeout(this.#nextStale);
    await this.#polling;
    clearTimeout(this.#nextStale);
    for (const delivery of this.#deliveries) await delivery.close();
    await this.#options.client.close();
  }

  /** One look at the server; its absence is said once, and its return once. */
  poll(): Promise<void> {
    this.#polling ??= this.#look().finally(() => {
      this.#polling = null;
    });
    return this.#polling;
  }

  async #look(): Promise<void> {
    const { client, clock, output, outbox, pollMs } = this.#options;
    try {
      await this.#deliver();
      const now = readAlarms(await client.alarms());
      this.#absence.end((ms) => output.note(clock.now(), `${client.server} is back after ${formatDuration(ms)}`));
      if (this.#isBehind(now)) return;
      if (!this.#hasLooked) await this.#greet(now);
      this.#hasLooked = true;
      await outbox.append(toSay(await this.#news(now), now.at));
      await this.#deliver();
      this.#lookWhenSilent(now);
    } catch (error) {
      const away = `${messageOf(error)}; trying again every ${formatDuration(pollMs)}`;
      this.#absence.begin(() => output.note(clock.now(), away));
    }
  }

  /**
   * Of several servers one may know less for a moment: what it says is late, and would take back what has been said.
   * One that knows less for long is right: a clock may have been mended, or a store put back.
   */
  #isBehind({ newestAt }: Alarms<ReceivedAlarm>): boolean {
    const now = this.#options.clock.monotonic();
    if (newestAt === undefined) return false;
    if (newestAt < this.#newest.at && now - this.#newest.heardAt < longestBehindMs) return true;
    this.#newest = { at: newestAt, heardAt: now };
    return false;
  }

  /** What has changed since it was said, with how what is gone has ended. */
  async #news(now: Alarms<ReceivedAlarm>): Promise<Change<ReceivedAlarm>[]> {
    const found = changes(this.#options.outbox.alarms, now).filter((change) => !this.#isEndedAlready(change));
    const gone = found.filter(({ level }) => level === 'OK');
    if (gone.length === 0) return found;
    try {
      const ended = await askEndings(this.#options.client, gone);
      this.#failedEndings = 0;
      const known = withEndings(found, ended).filter((change) => !this.#isUnheardOf(change, ended));
      for (const { level, alarm } of known)
        if (level === 'OK' && alarm !== null)
          this.#ended.set(alarm.id, { since: alarm.since, at: this.#options.clock.monotonic() });
      return known;
    } catch (error) {
      // What is new is said at once; an end can wait for a moment, and not for ever.
      const isWorthWaiting = isPassing(error) && ++this.#failedEndings < mostFailedEndings;
      return isWorthWaiting ? found.filter(({ level }) => level !== 'OK') : found;
    }
  }

  /** Who says that it has ended has not heard yet that it began. */
  #isUnheardOf({ level, before, alarm }: Change<ReceivedAlarm>, ended: readonly Ended[]): boolean {
    if (level !== 'OK' || before !== 'RED' || alarm === null) return false;
    if (this.#options.clock.now() - alarm.since > longestBehindMs) return false;
    return (ended.find(({ id }) => id === alarm.id)?.newestAt ?? Number.POSITIVE_INFINITY) < alarm.since;
  }

  /** Who says that it is there has not heard yet that it has ended: one that comes again has begun anew. */
  #isEndedAlready({ before, alarm }: Change<ReceivedAlarm>): boolean {
    const oldest = this.#options.clock.monotonic() - longestBehindMs;
    for (const [id, { at }] of this.#ended) if (at < oldest) this.#ended.delete(id);
    const ended = before === null && alarm !== null ? this.#ended.get(alarm.id) : undefined;
    return ended !== undefined && alarm !== null && alarm.since <= ended.since;
  }

  /** What was said before the restart and is still so is not said again, but whoever looks must know of it. */
  async #greet(now: Alarms<ReceivedAlarm>): Promise<void> {
    const { client, clock, output, outbox } = this.#options;
    if (now.level === 'GREEN') output.note(clock.now(), allIsWell((await client.hosts()).hosts.length, client.server));
    const levels = new Map(outbox.alarms.alarms.map(({ id, level }) => [id, level]));
    for (const alarm of now.alarms.filter(({ id, level }) => levels.get(id) === level))
      output.note(clock.now(), stillText(alarm));
    for (const [level, hosts, said] of [
      ['STALE', now.stale, outbox.alarms.stale],
      ['PAUSED', now.paused, outbox.alarms.paused],
    ] as const)
      for (const { host } of hosts.filter(({ host }) => said.some((each) => each.host === host)))
        output.note(clock.now(), `still ${level}: ${host}`);
  }

  /** Wakes every channel, and waits for those that take a moment. */
  async #deliver(): Promise<void> {
    this.#isDelivering ??= Promise.all(this.#deliveries.map((delivery) => delivery.start()));
    await this.#isDelivering;
    await Promise.all(this.#deliveries.map((delivery) => delivery.wake()));
  }

  /** A host that falls silent is told at once, and not at the next poll. */
  #lookWhenSilent({ at, nextStaleAt }: Alarms<ReceivedAlarm>): void {
    clearTimeout(this.#nextStale);
    const waitMs = (nextStaleAt ?? Infinity) - at + staleMarginMs;
    if (waitMs < this.#options.pollMs) this.#nextStale = setTimeout(() => void this.poll(), waitMs);
  }
}

/** All that is to be said of the alarms now, as if nothing had been said before. Nobody there is not green. */
export async function announceAll(
  client: MonitorClient,
): Promise<{ level: Alarms['level']; announcements: Announcement[]; hosts: number; summary: string }> {
  const alarms = readAlarms(await client.alarms());
  const said = toSay(changes(null, alarms), alarms.at).map(({ announcement }) => announcement);
  const count = (level: string) => said.filter((announcement) => announcement.level === level).length;
  const hosts = (await client.hosts()).hosts.length;
  if (said.length === 0) {
    const level = hosts === 0 ? 'STALE' : alarms.level;
    return { level, announcements: said, hosts, summary: allIsWell(hosts, client.server) };
  }
  const paused = count('PAUSED') > 0 ? `, ${count('PAUSED')} PAUSED` : '';
  const summary = `${count('RED')} RED, ${count('AMBER')} AMBER, ${count('STALE')} STALE${paused}`;
  return { level: alarms.level, announcements: said, hosts, summary };
}

function toSay(found: readonly Change<ReceivedAlarm>[], at: number) {
  return found.map((change) => ({ change, announcement: announcementOf(change, at) }));
}

async function askEndings(client: MonitorClient, gone: readonly Change<ReceivedAlarm>[]): Promise<Ended[]> {
  const ended: Ended[] = [];
  for (let from = 0; from < gone.length; from += mostEndings)
    for (const each of (await client.endings(endingsAsked(gone.slice(from, from + mostEndings)))).ended)
      ended.push(readEnded(each));
  return ended;
}

function endingsAsked(gone: readonly Change<ReceivedAlarm>[]): EndingsBody {
  return {
    // Those that 0.3.0 and before have said name no series.
    alarms: gone.flatMap(({ alarm }) => {
      if (alarm?.series === undefined) return [];
      const { id, host, series, basis } = alarm;
      return [{ id, host, series, ...(basis !== undefined && { basis }) }];
    }),
    hosts: gone.flatMap(({ alarm, host }) => (alarm === null ? [host] : [])),
  };
}

/** It may be answered the next time. */
function isPassing(error: unknown): boolean {
  const codes = ['unavailable', 'timeout', 'internal', 'rate_limited'];
  return error instanceof MonitorError && codes.includes(error.code);
}
