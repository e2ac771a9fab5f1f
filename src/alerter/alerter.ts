import type { MonitorClient } from '../client/monitor-client.ts';
import type { Alarms, Ended } from '../core/alarm.ts';
import { changes } from '../core/change.ts';
import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { MonitorError, messageOf } from '../core/error.ts';
import { every } from '../platform/every.ts';
import { SayOnce } from '../platform/say-once.ts';
import { readAlarms, type ToldAlarm } from '../wire/alarm-codec.ts';
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

/** Polls the server and says each change once, also over a restart. */
export class Alerter {
  readonly #options: AlerterOptions;
  readonly #deliveries: readonly Delivery[];
  readonly #absence: SayOnce;
  #stop: () => void = () => undefined;
  #hasLooked = false;
  #isDelivering: Promise<unknown> | null = null;
  #polling: Promise<void> | null = null;
  #nextStale: NodeJS.Timeout | undefined;

  constructor(options: AlerterOptions) {
    const { outbox, clock, output, channels, random = Math.random } = options;
    this.#options = options;
    const note = (message: string) => output.note(clock.now(), message);
    const all = [new TerminalChannel((announcement) => output.announce(announcement)), ...channels];
    this.#deliveries = all.map((channel) => new Delivery({ channel, outbox, clock, random, note }));
    this.#absence = new SayOnce(() => clock.monotonic());
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
      const { alarms: now, ended } = await this.#ask();
      this.#absence.end((ms) => output.note(clock.now(), `${client.server} is back after ${formatDuration(ms)}`));
      if (!this.#hasLooked) await this.#greet(now);
      this.#hasLooked = true;
      await outbox.append(toSay(outbox.alarms, now, ended));
      await this.#deliver();
      this.#lookWhenSilent(now);
    } catch (error) {
      const away = `${messageOf(error)}; trying again every ${formatDuration(pollMs)}`;
      this.#absence.begin(() => output.note(clock.now(), away));
    }
  }

  /** What there is now, and how what was said and is no more has ended. */
  async #ask(): Promise<ReturnType<typeof readAlarms>> {
    const { client, outbox } = this.#options;
    const { alarms, stale } = outbox.alarms;
    const { saidAt } = outbox;
    const hasSaid = alarms.length + stale.length > 0 && saidAt !== null;
    const asked = hasSaid ? { since: new Date(saidAt).toISOString() } : {};
    const answer = await client.alarms(asked).catch((error: unknown) => {
      // It takes too long to read again what was there long ago, or the server is an older one that cannot: what is
      // there now matters more than how that has ended.
      const isTooMuch = error instanceof MonitorError && ['timeout', 'invalid'].includes(error.code);
      if (hasSaid && isTooMuch) return client.alarms();
      throw error;
    });
    return readAlarms(answer);
  }

  /** What was said before the restart and is still so is not said again, but whoever looks must know of it. */
  async #greet(now: Alarms<ToldAlarm>): Promise<void> {
    const { client, clock, output, outbox } = this.#options;
    if (now.level === 'GREEN') output.note(clock.now(), allIsWell((await client.hosts()).hosts.length, client.server));
    const levels = new Map(outbox.alarms.alarms.map(({ id, level }) => [id, level]));
    for (const alarm of now.alarms.filter(({ id, level }) => levels.get(id) === level))
      output.note(clock.now(), stillText(alarm));
  }

  /** Wakes every channel, and waits for those that take a moment. */
  async #deliver(): Promise<void> {
    this.#isDelivering ??= Promise.all(this.#deliveries.map((delivery) => delivery.start()));
    await this.#isDelivering;
    await Promise.all(this.#deliveries.map((delivery) => delivery.wake()));
  }

  /** A host that falls silent is told at once, and not at the next poll. */
  #lookWhenSilent({ at, nextStaleAt }: Alarms<ToldAlarm>): void {
    clearTimeout(this.#nextStale);
    const waitMs = (nextStaleAt ?? Infinity) - at + staleMarginMs;
    if (waitMs < this.#options.pollMs) this.#nextStale = setTimeout(() => void this.poll(), waitMs);
  }
}

/** All that is to be said of the alarms now, as if nothing had been said before. Nobody there is not green. */
export async function announceAll(
  client: MonitorClient,
): Promise<{ level: Alarms['level']; announcements: Announcement[]; hosts: number; summary: string }> {
  const { alarms } = readAlarms(await client.alarms());
  const said = toSay(null, alarms, []).map(({ announcement }) => announcement);
  const count = (level: string) => said.filter((announcement) => announcement.level === level).length;
  const hosts = (await client.hosts()).hosts.length;
  if (said.length === 0) {
    const level = hosts === 0 ? 'STALE' : alarms.level;
    return { level, announcements: said, hosts, summary: allIsWell(hosts, client.server) };
  }
  const summary = `${count('RED')} RED, ${count('AMBER')} AMBER, ${count('STALE')} STALE`;
  return { level: alarms.level, announcements: said, hosts, summary };
}

function toSay(before: Alarms<ToldAlarm> | null, now: Alarms<ToldAlarm>, ended: readonly Ended[]) {
  return changes(before, now, ended).map((change) => ({ change, announcement: announcementOf(change, now.at) }));
}
