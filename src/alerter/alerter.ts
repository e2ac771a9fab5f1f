import { AsyncTask, SimpleIntervalJob, ToadScheduler } from 'toad-scheduler';
import type { MonitorClient } from '../client.ts';
import type { Alarm, Alarms } from '../core/alarm.ts';
import { type Change, changes } from '../core/change.ts';
import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { messageOf } from '../core/error.ts';
import type { AlarmsAnswer } from '../core/schema.ts';
import type { Announcement } from './announcement.ts';

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
}

/** Polls the server and says each change once. */
export class Alerter {
  readonly #options: AlerterOptions;
  readonly #scheduler = new ToadScheduler();
  #said: Alarms | null = null;
  #awaySince: number | null = null;

  constructor(options: AlerterOptions) {
    this.#options = options;
  }

  /** Resolves after the first poll, whether the server was there or not. */
  async start(): Promise<void> {
    await this.poll();
    const task = new AsyncTask(
      'poll',
      () => this.poll(),
      (error) => this.#options.output.note(this.#options.clock.now(), messageOf(error)),
    );
    const job = new SimpleIntervalJob({ milliseconds: this.#options.pollMs }, task, { preventOverrun: true });
    this.#scheduler.addSimpleIntervalJob(job);
  }

  async close(): Promise<void> {
    this.#scheduler.stop();
    await this.#options.client.close();
  }

  /** One look at the server; its absence is said once, and its return once. */
  async poll(): Promise<void> {
    const { client, clock, output } = this.#options;
    try {
      const now = fromAnswer(await client.alarms());
      this.#isBack();
      if (this.#said === null && now.level === 'GREEN') {
        const { length } = (await client.hosts()).hosts;
        output.note(clock.now(), allIsWell(length, client.server));
      }
      for (const announcement of await announcements(this.#said, now, client)) output.announce(announcement);
      this.#said = now;
    } catch (error) {
      if (this.#awaySince !== null) return;
      this.#awaySince = clock.monotonic();
      output.note(clock.now(), `${messageOf(error)}; trying again every ${formatDuration(this.#options.pollMs)}`);
    }
  }

  #isBack(): void {
    const { client, clock, output } = this.#options;
    if (this.#awaySince === null) return;
    output.note(clock.now(), `${client.server} is back after ${formatDuration(clock.monotonic() - this.#awaySince)}`);
    this.#awaySince = null;
  }
}

/** All that is to be said of the alarms now, as if nothing had been said before. Nobody there is not green. */
export async function announceAll(
  client: MonitorClient,
): Promise<{ level: Alarms['level']; announcements: Announcement[]; summary: string }> {
  const now = fromAnswer(await client.alarms());
  const said = await announcements(null, now, client);
  const count = (level: string) => said.filter((announcement) => announcement.level === level).length;
  if (said.length > 0) {
    const summary = `${count('RED')} RED, ${count('AMBER')} AMBER, ${count('STALE')} STALE`;
    return { level: now.level, announcements: said, summary };
  }
  const { length } = (await client.hosts()).hosts;
  return { level: length === 0 ? 'STALE' : now.level, announcements: said, summary: allIsWell(length, client.server) };
}

function allIsWell(hosts: number, server: string): string {
  if (hosts === 0) return `no host has reported yet; start a collector with: amberwatch collect --server ${server}`;
  return `GREEN: nothing is over the line on ${hosts} host${hosts === 1 ? '' : 's'}`;
}

async function announcements(before: Alarms | null, now: Alarms, client: MonitorClient): Promise<Announcement[]> {
  const found: Announcement[] = [];
  for (const change of changes(before, now)) {
    const announcement = toAnnouncement(change, now.at);
    found.push(change.level === 'OK' ? { ...announcement, ...(await ending(change, client)) } : announcement);
  }
  return found;
}

function toAnnouncement({ level, before, host, alarm, lastSeen }: Change, time: number): Announcement {
  const process = alarm?.subject.kind === 'process' ? alarm.subject : null;
  return {
    time,
    level,
    before,
    id: alarm?.id ?? null,
    host,
    state: alarm?.state ?? null,
    process: process?.name ?? null,
    pid: process?.pid ?? null,
    metric: alarm?.metric ?? null,
    value: alarm?.value ?? null,
    threshold: alarm?.threshold ?? null,
    since: alarm?.since ?? lastSeen,
    reason: alarm?.reason ?? '',
    prediction: alarm?.prediction ?? null,
    leadSeconds: alarm?.leadSeconds ?? null,
  };
}

/**
 * Why something is over: the value in the host's newest snapshot, or that the process is not in it. A
 * host that is not known any more has been silent for longer than the retention: that is not OK.
 */
async function ending({ host, alarm }: Change, client: MonitorClient): Promise<Partial<Announcement>> {
  const known = (await client.hosts()).hosts.find((candidate) => candidate.host === host);
  if (!known) return { level: 'STALE', value: null, reason: 'forgotten: silent for longer than snapshots are kept' };
  if (alarm === null) return {};
  if (alarm.subject.kind === 'system') {
    const value = known.system[alarm.metric.replace('system.', '')] ?? null;
    return { value, reason: value === null ? 'not known any more' : 'back under the threshold' };
  }
  const { name } = alarm.subject;
  const { processes } = await client.detailed({ host, process: name, at: known.lastSeen, window: '1ms' });
  const row = processes[name]?.[0];
  if (!row) return { value: null, reason: 'exited' };
  const value = alarm.metric === 'cpu' ? row.cpuMax : row.memoryMax;
  return { value, reason: value === null ? 'not known any more' : 'back under the threshold' };
}

function fromAnswer(answer: AlarmsAnswer): Alarms {
  return {
    at: Date.parse(answer.at),
    level: answer.level as Alarms['level'],
    alarms: answer.alarms.map((alarm) => ({ ...alarm, since: Date.parse(alarm.since) }) as Alarm),
    stale: answer.stale.map(({ host, lastSeen }) => ({ host, lastSeen: Date.parse(lastSeen) })),
  };
}
