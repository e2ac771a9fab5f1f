import type { AgentRights } from '../../access/agent-admission.ts';
import type { MetricSample } from '../../core/sample.ts';
import { type Series, seriesKey } from '../../core/series.ts';
import { type FieldMetric, fieldMetrics, longestField, mostOfField, numberOfField } from '../../wire/agent-message.ts';
import type { QueuedSample } from './sample-queue.ts';

/** How a client is named: by address and port, by its address, or by what a field of its messages holds. */
export type ClientLabel = 'address-port' | 'address' | { field: string };

export interface AgentReadingsOptions {
  client: ClientLabel;
  /** Keys whose values add up. */
  counters: readonly string[];
}

/** A series as it is now, of one client or of several with the same label. */
interface CurrentSeries {
  key: string;
  series: Series;
  kind: MetricSample['kind'];
  owner: string;
  value: number;
  /** Connections that have sent it. */
  holders: number;
  /** Handed on last. */
  last: QueuedSample | null;
  /** Of the sample that was written last; epoch milliseconds. */
  takenAt: number;
}

/** Who sends: what is known of one connection. */
export interface Agent {
  /** Without brackets around IPv6. */
  address: string;
  port: number;
  rights: AgentRights;
  /** By client and then by field: what it has sent so far. */
  readonly series: Map<string, Map<string, CurrentSeries>>;
  count: number;
}

/** Fields of one message that are looked at. */
const mostOfMessage = 1000;
/** Different fields of one connection, those of all its clients together. */
const mostOfOne = 500;
const mostInAll = 100_000;
/** Sums of clients that have left: they go on where they were when they are back. */
const mostSums = 10_000;
const longestClient = 200;
/** A clock that is further back has been set back. */
const aMomentMs = 1000;

/** What every connected agent has said last. */
export class AgentReadings {
  readonly #client: ClientLabel;
  readonly #metricOf: (field: string) => FieldMetric;
  readonly #current = new Map<string, CurrentSeries>();
  readonly #sums = new Map<string, number>();
  /** Figures that were not taken: more of one connection, or in all, than there may be. */
  refused = 0;

  constructor({ client, counters }: AgentReadingsOptions) {
    this.#client = client;
    this.#metricOf = fieldMetrics(counters);
  }

  /** The values of all series now, of agents that are connected. */
  current(): Iterable<Readonly<Pick<CurrentSeries, 'series' | 'kind' | 'value'>>> {
    return this.#current.values();
  }

  /** Takes in one message; `store` is given each value that is to be kept. */
  take(agent: Agent, message: Record<string, unknown>, now: number, store: (sample: QueuedSample) => void): void {
    const client = this.#clientOf(agent, message);
    const label = typeof this.#client === 'object' ? this.#client.field : null;
    let fields = 0;
    for (const [field, given] of Object.entries(message)) {
      if (++fields > mostOfMessage) {
        this.refused++;
        break;
      }
      const number = numberOfField(given);
      if (number === null || field === '' || field === label || field.length > longestField) continue;
      const current = agent.series.get(client)?.get(field) ?? this.#enter(agent, client, field);
      if (current === null) this.refused++;
      else addTo(current, number, now, store);
    }
  }

  /** A connection has ended: what nobody else sends is not known any more. */
  leave({ series }: Agent): void {
    for (const ofClient of series.values())
      for (const current of ofClient.values()) {
        current.holders--;
        if (current.holders > 0) continue;
        this.#current.delete(current.key);
        if (current.kind === 'counter') this.#keepSum(current);
      }
    series.clear();
  }

  #clientOf({ address, port }: Agent, message: Record<string, unknown>): string {
    const ofAddress = address.includes(':') ? `[${address}]` : address;
    if (this.#client === 'address') return address;
    const told = typeof this.#client === 'object' ? message[this.#client.field] : undefined;
    const isTold = (typeof told === 'string' && told !== '') || typeof told === 'number';
    return isTold ? String(told).slice(0, longestClient).toWellFormed() : `${ofAddress}:${port}`;
  }

  /** Null: there are too many. */
  #enter(agent: Agent, client: string, field: string): CurrentSeries | null {
    if (agent.count >= mostOfOne || this.#current.size >= mostInAll) return null;
    const { metric, labels, kind } = this.#metricOf(field);
    const series = { metric, labels: { client, ...labels, ...agent.rights.labels } };
    const key = seriesKey(series);
    const value = this.#sums.get(key) ?? 0;
    const { owner } = agent.rights;
    const current = this.#current.get(key) ?? { key, series, kind, owner, value, holders: 0, last: null, takenAt: 0 };
    current.holders++;
    this.#current.set(key, current);
    agent.count++;
    agent.series.set(client, (agent.series.get(client) ?? new Map()).set(field, current));
    return current;
  }

  #keepSum({ key, value }: CurrentSeries): void {
    this.#sums.delete(key);
    this.#sums.set(key, value);
    if (this.#sums.size > mostSums) this.#sums.delete(this.#sums.keys().next().value as string);
  }
}

/** A counter does not fall. Where values come faster than they are written, the last of those that wait is kept. */
function addTo(current: CurrentSeries, value: number, now: number, store: (sample: QueuedSample) => void): void {
  const { series, kind, owner, last } = current;
  current.value = kind === 'counter' ? Math.min(mostOfField, current.value + Math.max(0, value)) : value;
  const isWaiting = last !== null && !last.isTaken;
  if (last?.isTaken) current.takenAt = last.time;
  const time = timeAfter(current.takenAt, now);
  if (isWaiting) {
    last.value = current.value;
    last.time = time;
    return;
  }
  current.last = { series, kind, value: current.value, time, owner };
  store(current.last);
}

/** (series, time) names a sample: one that is written already is not changed by another of the same millisecond. */
function timeAfter(takenAt: number, now: number): number {
  const isOfThisMoment = now <= takenAt && takenAt - now < aMomentMs;
  return isOfThisMoment ? takenAt + 1 : now;
}
