import { AsyncTask, SimpleIntervalJob, ToadScheduler } from 'toad-scheduler';
import type { MonitorClient } from '../client/monitor-client.ts';
import { type Alarm, type Alarms, serverClockMetric } from '../core/alarm.ts';
import { type Change, changes } from '../core/change.ts';
import type { Clock } from '../core/clock.ts';
import { formatDuration } from '../core/duration.ts';
import { MonitorError, messageOf } from '../core/error.ts';
import { columnOfQuantity } from '../core/metric.ts';
import type { ProcessUsage } from '../core/snapshot.ts';
import type { AlarmsAnswer } from '../wire/alarm.ts';
import type { Announcement } from './announcement.ts';
import type { SaidLog } from './said-log.ts';
import type { Webhook } from './webhook.ts';

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
  log: SaidLog;
  webhooks: readonly Webhook[];
}

const terminal = 'terminal';
/** After the instant at which a host falls silent: the server's answer must be later than that. */
const staleMarginMs = 200;

/** Polls the server and says each change once, also over a restart. */
export class Alerter {
  readonly #options: AlerterOptions;
  readonly #scheduler = new ToadScheduler();
  #hasLooked = false;
  #awaySince: number | null = null;
  #polling: Promise<void> | null = null;
  #nextStale: NodeJS.Timeout | undefined;

  constructor(options: AlerterOptions) {
    this.#options = options;
  }

  /** Resolves after the first poll, whether the server was there or not. */
  async start(): Promise<void> {
    for (const webhook of this.#options.webhooks) await webhook.start();
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
    clearTimeout(this.#nextStale);
    await this.#polling;
    clearTimeout(this.#nextStale);
    for (const webhook of this.#options.webhooks) await webhook.close();
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
    const { client, clock, output, log, pollMs } = this.#options;
    try {
      await this.#say();
      const now = fromAnswer(await client.alarms());
      this.#isBack();
      if (!this.#hasLooked) await this.#greet(now);
      this.#hasLooked = true;
      await log.append(await announcements(log.alarms, now, client));
      await this.#say();
      for (const webhook of this.#options.webhooks) webhook.wake();
      this.#lookWhenSilent(now);
    } catch (error) {
      if (this.#awaySince !== null) return;
      this.#awaySince = clock.monotonic();
      output.note(clock.now(), `${messageOf(error)}; trying again every ${formatDuration(pollMs)}`);
    }
  }

  /** What was said before the restart and is still so is not said again, but whoever looks must know of it. */
  async #greet(now: Alarms): Promise<void> {
    const { client, clock, output, log } = this.#options;
    if (now.level === 'GREEN') output.note(clock.now(), allIsWell((await client.hosts()).hosts.length, client.server));
    const levels = new Map(log.alarms.alarms.map(({ id, level }) => [id, level]));
    for (const alarm of now.alarms.filter(({ id, level }) => levels.get(id) === level))
      output.note(clock.now(), `still ${alarm.level}: ${alarm.host}, ${subjectName(alarm)}, ${alarm.reason}`);
  }

  /** Prints what is in the log and has not been printed. */
  async #say(): Promise<void> {
    const { log, output } = this.#options;
    for (const { number, announcement } of await log.unread(terminal)) {
      output.announce(announcement);
      await log.read(terminal, number);
    }
  }

  /** A host that falls silent is told at once, and not at the next poll. */
  #lookWhenSilent({ at, nextStaleAt }: Alarms): void {
    clearTimeout(this.#nextStale);
    const waitMs = (nextStaleAt ?? Infinity) - at + staleMarginMs;
    if (waitMs < this.#options.pollMs) this.#nextStale = setTimeout(() => void this.poll(), waitMs);
  }

  #isBack(): void {
    const { client, clock, output } = this.#options;
    if (this.#awaySince === null) return;
    output.note(clock.now(), `${client.server} is back after ${formatDuration(clock.monotonic() - this.#awaySince)}`);
    this.#awaySince = null;
  }
}

function subjectName({ subject, series }: Alarm): string {
  if (subject.kind === 'series') return series;
  return subject.kind === 'process' ? subject.name : 'the host';
}

/** All that is to be said of the alarms now, as if nothing had been said before. Nobody there is not green. */
export async function announceAll(
  client: MonitorClient,
): Promise<{ level: Alarms['level']; announcements: Announcement[]; hosts: number; summary: string }> {
  const now = fromAnswer(await client.alarms());
  const said = (await announcements(null, now, client)).map(({ announcement }) => announcement);
  const count = (level: string) => said.filter((announcement) => announcement.level === level).length;
  const hosts = (await client.hosts()).hosts.length;
  if (said.length > 0) {
    const summary = `${count('RED')} RED, ${count('AMBER')} AMBER, ${count('STALE')} STALE`;
    return { level: now.level, announcements: said, hosts, summary };
  }
  return {
    level: hosts === 0 ? 'STALE' : now.level,
    announcements: said,
    hosts,
    summary: allIsWell(hosts, client.server),
  };
}

function allIsWell(hosts: number, server: string): string {
  if (hosts === 0) return `no host has reported yet; start a collector with: amberwatch collect --server ${server}`;
  return `GREEN: nothing is over the line on ${hosts} host${hosts === 1 ? '' : 's'}`;
}

async function announcements(
  before: Alarms | null,
  now: Alarms,
  client: MonitorClient,
): Promise<{ change: Change; announcement: Announcement }[]> {
  const found: { change: Change; announcement: Announcement }[] = [];
  for (const change of changes(before, now)) {
    const announcement = toAnnouncement(change, now.at);
    const end = change.level === 'OK' ? await ending(change, client) : {};
    found.push({ change, announcement: { ...announcement, ...end } });
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
    series: alarm?.subject.kind === 'series' ? alarm.series : null,
    value: alarm?.value ?? null,
    threshold: alarm?.threshold ?? null,
    since: alarm?.since ?? lastSeen,
    reason: alarm?.reason ?? (level === 'STALE' ? silenceReason(time, lastSeen ?? time) : ''),
    prediction: alarm?.prediction ?? null,
    leadSeconds: alarm?.leadSeconds ?? null,
  };
}

function silenceReason(time: number, lastSeen: number): string {
  const silentMs = Math.max(0, Math.round((time - lastSeen) / 1000) * 1000);
  return `nothing heard for ${formatDuration(silentMs)}, more than three of its intervals: its collector has ended, or the host or the network is down`;
}

/**
 * Why something is over: the value in the host's newest snapshot, or that the process is not in it. A
 * host that is not known any more has been silent for longer than the retention: that is not OK.
 */
async function ending({ host, alarm }: Change, client: MonitorClient): Promise<Partial<Announcement>> {
  if (alarm?.metric === serverClockMetric) return { value: null, reason: 'the clock is believed again' };
  if (alarm?.subject.kind === 'series') return endingOfSeries(alarm, client);
  const { hosts, forgotten = [] } = await client.hosts();
  const known = hosts.find((candidate) => candidate.host === host);
  if (!known && forgotten.some((gone) => gone.host === host))
    return { level: 'OK', value: null, reason: 'forgotten, as somebody has said' };
  if (!known) return { level: 'STALE', value: null, reason: 'forgotten: silent for longer than snapshots are kept' };
  if (alarm === null) return {};
  if (alarm.subject.kind === 'system') {
    const [group, name = ''] = alarm.metric.split('.') as ['system' | 'collector', string?];
    const value = known[group][name] ?? null;
    return { value, reason: value === null ? 'not known any more' : 'back under the threshold' };
  }
  const { name } = alarm.subject;
  const { processes } = await client.detailed({ host, process: name, at: known.lastSeen, window: '1ms' });
  const row = processes[name]?.[0];
  if (!row) return { value: null, reason: 'exited' };
  const value = measured(alarm, row, known.cores);
  return { value, reason: value === null ? 'not known any more' : 'back under the threshold' };
}

/** Of another source: its newest value, where it can be had: what has ended is said in any case. */
async function endingOfSeries({ series: key }: Alarm, client: MonitorClient): Promise<Partial<Announcement>> {
  const query = { series: key, window: '1h', step: '10s', aggregate: 'max' };
  const answer = await client.series(query).catch((error: unknown) => {
    if (error instanceof MonitorError && ['unavailable', 'timeout', 'internal'].includes(error.code)) throw error;
    return null;
  });
  if (answer === null) return { value: null, reason: 'back under the threshold' };
  // The key of one without a label also names those that have more.
  const value = answer.series.find(({ series }) => series === key)?.points.at(-1)?.value;
  if (value === undefined)
    return { level: 'STALE', value: null, reason: 'forgotten: nothing has been heard of it for an hour' };
  return { value, reason: 'back under the threshold' };
}

/** The quantity the alarm was about. Alarms that 0.1.0 has said do not tell: they were of the largest instance. */
function measured(
  { metric, of = 'largest', basis }: Alarm,
  row: Omit<ProcessUsage, 'name'>,
  cores: number | null,
): number | null {
  const column = columnOfQuantity(metric, of);
  const value = column === undefined ? null : row[column];
  return value !== null && metric === 'cpu' && basis === 'host' ? value / (cores ?? 1) : value;
}

function fromAnswer(answer: AlarmsAnswer): Alarms {
  return {
    at: Date.parse(answer.at),
    level: answer.level as Alarms['level'],
    alarms: answer.alarms.map((alarm) => ({ ...alarm, since: Date.parse(alarm.since) }) as Alarm),
    stale: answer.stale.map(({ host, lastSeen }) => ({ host, lastSeen: Date.parse(lastSeen) })),
    nextStaleAt: answer.nextStaleAt === null ? null : Date.parse(answer.nextStaleAt),
  };
}
